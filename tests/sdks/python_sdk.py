"""Sends one record with the OpenTelemetry SDK for Python: python_sdk.py PROTOCOL COMPRESSION ENDPOINT TEXT."""

import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

protocol, compression, endpoint, text = sys.argv[1:]
if protocol == "grpc":
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    chosen = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
    exporter = OTLPLogExporter(endpoint=endpoint, insecure=True, compression=chosen)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    chosen = {"gzip": Compression.Gzip, "deflate": Compression.Deflate, "none": Compression.NoCompression}
    exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs", compression=chosen[compression])

provider = LoggerProvider(resource=Resource.create({"service.name": "python"}))
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
logger = provider.get_logger("sdk", "1.0")
logger.emit(
    LogRecord(
        timestamp=1795175317057000000,
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        body=text,
        attributes={"int": 5, "double": 1.5, "bool": True, "list": ["a", "b"], "text": "ü"},
    )
)
provider.shutdown()
