// Sends with the OpenTelemetry SDK for JavaScript; cases on standard input, values as run.py wants them.
const fs = require('fs');
const { credentials, Metadata } = require('@grpc/grpc-js');
const { diag, DiagConsoleLogger, DiagLogLevel, ROOT_CONTEXT, trace } = require('@opentelemetry/api');
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
const text = 'ü 日本 🐝 "\\\n\0';
const large = Number.MAX_SAFE_INTEGER;
const bytes = new Uint8Array([0, 255, 128]);
const list = ['a', 1, 2.5, true, null, ['b', new Uint8Array([0, 255])]];
const map = { ü: { list: [1, {}] }, none: null };
const span = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };

function exporter(protocol, compression, endpoint, ca, token) {
  const kind = { json: 'http', protobuf: 'proto', grpc: 'grpc' }[protocol];
  const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);
  if (protocol === 'grpc') {
    const metadata = new Metadata();
    if (token) metadata.set('authorization', `Bearer ${token}`);
    const tls = ca ? credentials.createSsl(fs.readFileSync(ca)) : credentials.createInsecure();
    return new OTLPLogExporter({ url: endpoint, compression, metadata, credentials: tls });
  }
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const httpAgentOptions = ca ? { ca: fs.readFileSync(ca) } : {};
  return new OTLPLogExporter({ url: `${endpoint}/v1/logs`, compression, headers, httpAgentOptions });
}

async function send(name, ...how) {
  console.error(`case ${name}`);
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'javascript' }),
    processors: [new BatchLogRecordProcessor({ exporter: exporter(...how) })],
  });
  const logger = provider.getLogger('sdk', '1.0', { schemaUrl: 'https://example.com/schema' });
  [text, large, 2.5, true, bytes, list, map, null].forEach((body, number) =>
    logger.emit({
      timestamp: [1795175317, 57123456],
      context: trace.setSpanContext(ROOT_CONTEXT, span),
      severityNumber: 17,
      severityText: 'ERROR',
      eventName: 'sdk.event',
      body,
      attributes: {
        case: name, number, large, least: -(2 ** 63), whole: 3.0, double: -0.25, nan: NaN, bool: false, text, nothing: '',
        bytes, list, map, empty: null,
      },
    }));
  await provider.forceFlush().catch((error) => console.error(error));
  await provider.shutdown().catch((error) => console.error(error));
}

(async () => {
  for (const line of fs.readFileSync(0, 'utf8').trimEnd().split('\n')) await send(...line.split('\t'));
})();
