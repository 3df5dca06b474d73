// Sends with the OpenTelemetry SDK for Java; cases on standard input, values as run.py wants them.

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.context.Context;
import io.opentelemetry.exporter.otlp.http.logs.OtlpHttpLogRecordExporter;
import io.opentelemetry.exporter.otlp.logs.OtlpGrpcLogRecordExporter;
import io.opentelemetry.sdk.logs.SdkLoggerProvider;
import io.opentelemetry.sdk.logs.export.BatchLogRecordProcessor;
import io.opentelemetry.sdk.logs.export.LogRecordExporter;
import io.opentelemetry.sdk.resources.Resource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Scanner;
import java.util.concurrent.TimeUnit;

class JavaSdk {
    static final String TEXT = "ü 日本 🐝 \"\\\n\0";
    static final long LARGE = (1L << 53) - 1;
    static final Value<?> BYTES = Value.of(new byte[] {0, -1, -128});
    static final Value<?> LIST = Value.of(
        Value.of("a"), Value.of(1), Value.of(2.5), Value.of(true), Value.empty(),
        Value.of(Value.of("b"), Value.of(new byte[] {0, -1})));
    static final Value<?> MAP = Value.of(
        KeyValue.of("ü", Value.of(KeyValue.of("list", Value.of(Value.of(1), Value.of(new KeyValue[] {}))))),
        KeyValue.of("none", Value.empty()));
    static final List<Value<?>> BODIES =
        List.of(Value.of(TEXT), Value.of(LARGE), Value.of(2.5), Value.of(true), BYTES, LIST, MAP, Value.empty());

    static LogRecordExporter exporter(String protocol, String compression, String endpoint, String ca, String token)
            throws Exception {
        if (protocol.equals("grpc")) {
            var it = OtlpGrpcLogRecordExporter.builder().setEndpoint(endpoint).setCompression(compression);
            if (!ca.isEmpty()) it.setTrustedCertificates(Files.readAllBytes(Path.of(ca)));
            if (!token.isEmpty()) it.addHeader("authorization", "Bearer " + token);
            return it.build();
        }
        var it = OtlpHttpLogRecordExporter.builder().setEndpoint(endpoint + "/v1/logs").setCompression(compression);
        if (!ca.isEmpty()) it.setTrustedCertificates(Files.readAllBytes(Path.of(ca)));
        if (!token.isEmpty()) it.addHeader("authorization", "Bearer " + token);
        return it.build();
    }

    static void send(String name, LogRecordExporter exporter) {
        var provider = SdkLoggerProvider.builder()
            .setResource(Resource.create(Attributes.of(AttributeKey.stringKey("service.name"), "java")))
            .addLogRecordProcessor(BatchLogRecordProcessor.builder(exporter).build())
            .build();
        Logger logger = provider.loggerBuilder("sdk")
            .setInstrumentationVersion("1.0").setSchemaUrl("https://example.com/schema").build();
        var span = Span.wrap(SpanContext.create(
            "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", TraceFlags.getSampled(), TraceState.getDefault()));
        for (int number = 0; number < BODIES.size(); number++) {
            logger.logRecordBuilder()
                .setTimestamp(1795175317057123456L, TimeUnit.NANOSECONDS)
                .setContext(Context.root().with(span))
                .setSeverity(Severity.ERROR)
                .setSeverityText("ERROR")
                .setEventName("sdk.event")
                .setBody(BODIES.get(number))
                .setAttribute("case", name)
                .setAttribute("number", number)
                .setAttribute("large", LARGE)
                .setAttribute("least", Long.MIN_VALUE)
                .setAttribute("whole", 3.0)
                .setAttribute("double", -0.25)
                .setAttribute("nan", Double.NaN)
                .setAttribute("bool", false)
                .setAttribute("text", TEXT)
                .setAttribute("nothing", "")
                .setAttribute("bytes", BYTES)
                .setAttribute("list", LIST)
                .setAttribute("map", MAP)
                .setAttribute("empty", Value.empty())
                .emit();
        }
        provider.shutdown().join(30, TimeUnit.SECONDS);
    }

    public static void main(String[] arguments) throws Exception {
        var lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            String[] words = lines.nextLine().split("\t", -1);
            System.err.println("case " + words[0]);
            send(words[0], exporter(words[1], words[2], words[3], words[4], words[5]));
        }
        System.exit(0);
    }
}
