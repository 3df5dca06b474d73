// Sends with the OpenTelemetry SDK for Go; cases on standard input, values as run.py wants them.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdk "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"
)

const (
	text  = "ü 日本 🐝 \"\\\n\x00"
	large = 1<<53 - 1
)

func exporter(ctx context.Context, protocol, compression, endpoint, ca, token string) (sdk.Exporter, error) {
	headers := map[string]string{}
	if token != "" {
		headers["authorization"] = "Bearer " + token
	}
	var config *tls.Config
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config = &tls.Config{RootCAs: x509.NewCertPool()}
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	if protocol == "grpc" {
		options := []otlploggrpc.Option{otlploggrpc.WithEndpointURL(endpoint), otlploggrpc.WithHeaders(headers)}
		if compression == "gzip" {
			options = append(options, otlploggrpc.WithCompressor("gzip"))
		}
		if config != nil {
			options = append(options, otlploggrpc.WithTLSCredentials(credentials.NewTLS(config)))
		}
		return otlploggrpc.New(ctx, options...)
	}
	options := []otlploghttp.Option{otlploghttp.WithEndpointURL(endpoint + "/v1/logs"), otlploghttp.WithHeaders(headers)}
	if compression == "gzip" {
		options = append(options, otlploghttp.WithCompression(otlploghttp.GzipCompression))
	}
	if config != nil {
		options = append(options, otlploghttp.WithTLSClientConfig(config))
	}
	return otlploghttp.New(ctx, options...)
}

func send(name string, how []string) error {
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c},
		SpanID:     trace.SpanID{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
		TraceFlags: trace.FlagsSampled,
	})
	ctx := trace.ContextWithSpanContext(context.Background(), span)
	to, err := exporter(ctx, how[0], how[1], how[2], how[3], how[4])
	if err != nil {
		return err
	}
	provider := sdk.NewLoggerProvider(
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "go"))),
		sdk.WithProcessor(sdk.NewBatchProcessor(to)),
	)
	logger := provider.Logger("sdk", log.WithInstrumentationVersion("1.0"), log.WithSchemaURL("https://example.com/schema"))
	empty := attribute.Value{}
	bytes := attribute.ByteSliceValue([]byte{0, 255, 128})
	list := attribute.SliceValue(
		attribute.StringValue("a"), attribute.IntValue(1), attribute.Float64Value(2.5), attribute.BoolValue(true), empty,
		attribute.SliceValue(attribute.StringValue("b"), attribute.ByteSliceValue([]byte{0, 255})),
	)
	inner := attribute.MapValue(attribute.Slice("list", attribute.IntValue(1), attribute.MapValue()))
	tree := attribute.MapValue(attribute.KeyValue{Key: "ü", Value: inner}, attribute.KeyValue{Key: "none", Value: empty})
	bodies := []attribute.Value{
		attribute.StringValue(text), attribute.Int64Value(large), attribute.Float64Value(2.5), attribute.BoolValue(true),
		bytes, list, tree, empty,
	}
	for number, body := range bodies {
		var record log.Record
		record.SetTimestamp(time.Unix(0, 1795175317057123456))
		record.SetSeverity(log.SeverityError)
		record.SetSeverityText("ERROR")
		record.SetEventName("sdk.event")
		record.SetBody(body)
		record.AddAttributes(
			attribute.String("case", name), attribute.Int("number", number), attribute.Int64("large", large),
			attribute.Int64("least", math.MinInt64), attribute.Float64("whole", 3), attribute.Float64("double", -0.25),
			attribute.Float64("nan", math.NaN()), attribute.Bool("bool", false),
			attribute.String("text", text), attribute.String("nothing", ""),
			attribute.KeyValue{Key: "bytes", Value: bytes}, attribute.KeyValue{Key: "list", Value: list},
			attribute.KeyValue{Key: "map", Value: tree}, attribute.KeyValue{Key: "empty", Value: empty},
		)
		logger.Emit(ctx, record)
	}
	if err := provider.ForceFlush(ctx); err != nil {
		return err
	}
	return provider.Shutdown(ctx)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		fmt.Fprintln(os.Stderr, "case", words[0])
		if err := send(words[0], words[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
