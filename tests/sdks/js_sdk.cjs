// Sends one record with the OpenTelemetry SDK for JavaScript: js_sdk.cjs PROTOCOL COMPRESSION ENDPOINT TEXT.
const { LoggerProvider, SimpleLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');

const [protocol, compression, endpoint, text] = process.argv.slice(2);
const kind = { json: 'http', protobuf: 'proto', grpc: 'grpc' }[protocol];
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);
const url = protocol === 'grpc' ? endpoint : `${endpoint}/v1/logs`;
const exporter = new OTLPLogExporter({ url, compression });
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ 'service.name': 'javascript' }),
  processors: [new SimpleLogRecordProcessor({ exporter })],
});
provider.getLogger('sdk', '1.0').emit({
  timestamp: new Date(1795175317057),
  severityNumber: 9,
  severityText: 'INFO',
  body: text,
  attributes: { int: 5, double: 1.5, bool: true, list: ['a', 'b'], text: 'ü' },
});
provider.forceFlush().then(() => provider.shutdown());
