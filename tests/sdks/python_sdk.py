"""Sends with the OpenTelemetry SDK for Python; cases on standard input, values as run.py wants them."""

import math
import sys

import grpc
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as over_grpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as over_http
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

SPAN = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, False, TraceFlags(1))
TEXT = 'ü 日本 🐝 "\\\n\0'
LARGE = 2**53 - 1
LIST = ["a", 1, 2.5, True, None, ["b", b"\x00\xff"]]
MAP = {"ü": {"list": [1, {}]}, "none": None}
BODIES = [TEXT, LARGE, 2.5, True, b"\x00\xff\x80", LIST, MAP, None]


def exporter(protocol: str, compression: str, endpoint: str, ca: str, token: str):
    headers = {"authorization": f"Bearer {token}"} if token else None
    if protocol == "grpc":
        chosen = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}[compression]
        tls = {"insecure": True}
        if ca:
            with open(ca, "rb") as file:
                tls = {"credentials": grpc.ssl_channel_credentials(file.read())}
        return over_grpc.OTLPLogExporter(endpoint=endpoint, headers=headers, compression=chosen, **tls)
    chosen = {"none": Compression.NoCompression, "gzip": Compression.Gzip, "deflate": Compression.Deflate}[compression]
    url = f"{endpoint}/v1/logs"
    return over_http.OTLPLogExporter(endpoint=url, headers=headers, compression=chosen, certificate_file=ca or None)


for line in sys.stdin:
    name, *how = line.rstrip("\n").split("\t")
    print(f"case {name}", file=sys.stderr, flush=True)
    provider = LoggerProvider(resource=Resource.create({"service.name": "python"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter(*how)))
    logger = provider.get_logger("sdk", "1.0", "https://example.com/schema")
    for number, body in enumerate(BODIES):
        logger.emit(
            LogRecord(
                timestamp=1795175317057123456,
                context=set_span_in_context(NonRecordingSpan(SPAN)),
                severity_number=SeverityNumber.ERROR,
                severity_text="ERROR",
                event_name="sdk.event",
                body=body,
                attributes={
                    "case": name,
                    "number": number,
                    "large": LARGE,
                    "least": -(2**63),
                    "whole": 3.0,
                    "double": -0.25,
                    "nan": math.nan,
                    "bool": False,
                    "text": TEXT,
                    "nothing": "",
                    "bytes": b"\x00\xff\x80",
                    "list": LIST,
                    "map": MAP,
                    "empty": None,
                },
            )
        )
    provider.shutdown()
