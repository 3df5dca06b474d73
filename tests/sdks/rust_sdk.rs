//! Sends with the OpenTelemetry SDK for Rust; cases on standard input, values as run.py wants them.

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead as _;
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{InstrumentationScope, Key, SpanId, TraceFlags, TraceId};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{Compression, LogExporter, Protocol, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;

type Outcome<T> = Result<T, Box<dyn Error>>;

const TEXT: &str = "ü 日本 🐝 \"\\\n\0";
const LARGE: i64 = (1 << 53) - 1;

fn exporter(protocol: &str, compression: &str, endpoint: &str, ca: &str, token: &str) -> Outcome<LogExporter> {
    let pem = if ca.is_empty() { None } else { Some(std::fs::read(ca)?) };
    let bearer = format!("Bearer {token}");
    if protocol == "grpc" {
        let mut builder = LogExporter::builder().with_tonic().with_endpoint(endpoint);
        if compression == "gzip" {
            builder = builder.with_compression(Compression::Gzip);
        }
        if let Some(pem) = pem {
            builder = builder.with_tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)));
        }
        let mut metadata = MetadataMap::new();
        if !token.is_empty() {
            metadata.insert("authorization", bearer.parse()?);
        }
        return Ok(builder.with_metadata(metadata).build()?);
    }
    let mut client = reqwest::blocking::Client::builder();
    if let Some(pem) = pem {
        client = client.tls_certs_only([reqwest::Certificate::from_pem(&pem)?]);
    }
    let mut builder = LogExporter::builder()
        .with_http()
        .with_http_client(client.build()?)
        .with_protocol(if protocol == "json" { Protocol::HttpJson } else { Protocol::HttpBinary })
        .with_endpoint(format!("{endpoint}/v1/logs"));
    if compression == "gzip" {
        builder = builder.with_compression(Compression::Gzip);
    }
    if !token.is_empty() {
        builder = builder.with_headers(HashMap::from([("authorization".to_owned(), bearer)]));
    }
    Ok(builder.build()?)
}

fn bytes(bytes: &[u8]) -> AnyValue {
    AnyValue::Bytes(Box::new(bytes.to_vec()))
}

fn list(items: Vec<AnyValue>) -> AnyValue {
    AnyValue::ListAny(Box::new(items))
}

fn map(pairs: Vec<(&'static str, AnyValue)>) -> AnyValue {
    AnyValue::Map(Box::new(pairs.into_iter().map(|(key, value)| (Key::new(key), value)).collect()))
}

fn send(name: &str, how: &[&str]) -> Outcome<()> {
    let [protocol, compression, endpoint, ca, token] = how else { return Err("not a case".into()) };
    let runtime = tokio::runtime::Runtime::new()?;
    let exporter = {
        // The client of gRPC runs on it, the one of HTTP must not see it.
        let _entered = (*protocol == "grpc").then(|| runtime.enter());
        exporter(protocol, compression, endpoint, ca, token)?
    };
    let resource = Resource::builder_empty().with_service_name("rust").build();
    let provider = SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
    let scope = InstrumentationScope::builder("sdk").with_version("1.0").with_schema_url("https://example.com/schema");
    let logger = provider.logger_with_scope(scope.build());
    // This SDK knows no empty value.
    let items = || {
        list(vec!["a".into(), 1.into(), 2.5.into(), true.into(), list(vec!["b".into(), bytes(&[0, 255])])])
    };
    let tree = || map(vec![("ü", map(vec![("list", list(vec![1.into(), map(Vec::new())]))]))]);
    let bodies = [
        Some(TEXT.into()),
        Some(LARGE.into()),
        Some(2.5.into()),
        Some(true.into()),
        Some(bytes(&[0, 255, 128])),
        Some(items()),
        Some(tree()),
        None,
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        let mut record = logger.create_log_record();
        record.set_timestamp(UNIX_EPOCH + Duration::from_nanos(1_795_175_317_057_123_456));
        record.set_severity_number(Severity::Error);
        record.set_severity_text("ERROR");
        record.set_event_name("sdk.event");
        record.set_trace_context(
            TraceId::from_hex("0af7651916cd43dd8448eb211c80319c")?,
            SpanId::from_hex("b7ad6b7169203331")?,
            Some(TraceFlags::SAMPLED),
        );
        if let Some(body) = body {
            record.set_body(body);
        }
        let attributes: [(&'static str, AnyValue); 13] = [
            ("case", name.to_owned().into()),
            ("number", (number as i64).into()),
            ("large", LARGE.into()),
            ("least", i64::MIN.into()),
            ("whole", 3.0.into()),
            ("double", (-0.25).into()),
            ("nan", f64::NAN.into()),
            ("bool", false.into()),
            ("text", TEXT.into()),
            ("nothing", "".into()),
            ("bytes", bytes(&[0, 255, 128])),
            ("list", items()),
            ("map", tree()),
        ];
        record.add_attributes(attributes);
        logger.emit(record);
    }
    provider.force_flush()?;
    provider.shutdown()?;
    Ok(())
}

fn main() -> Outcome<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        eprintln!("case {}", words[0]);
        if let Err(error) = send(words[0], &words[1..]) {
            eprintln!("{error:?}");
        }
    }
    Ok(())
}
