"""How the cost of a record grows with connections, sinks, batch size, line length and size of writes."""

import os
import signal
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import load as generator
from cases import FILE, NULL, OTLP, Load, source, streams
from processes import Logboom, config, spent


@dataclass(frozen=True)
class Point:
    """One place on a curve: nanoseconds of CPU time of the server per record are measured there."""

    chart: str
    series: str
    x: float
    load: Load
    sinks: tuple
    records: int
    per_write: int = 0
    upstream: bool = False
    rate: int = 0  # records per second, or as fast as they are taken


# As kuma-dp and Envoy send while nothing is in a hurry: one line a write, 17 records a request.
CALM_SECONDS = 3
CALM_LINES, CALM_OTLP, CALM_RELAY = "lines to file, JSON", "OTLP to file, JSON", "OTLP to OTLP"
CALM = "records a second"
RAW = FILE.replace("{encoding}", "raw")
JSON = FILE.replace("{encoding}", "json")
# A line of a length that we choose: a format of its own, so `auto` finds none that fits it.
PADDED = '%START_TIME% "%REQ(:METHOD)% %REQ(:PATH)%" %RESPONSE_CODE% '
PADDED_BYTES = 90


def _otlp(batch, connections=4):
    return Load("otlp", batch=batch, streams=streams(batch, connections), connections=connections)


def points():
    for number in (1, 4, 16, 64, 256, 1000):
        yield Point("connections", "lines to file, raw", number, Load(connections=number), (RAW,), 1_000_000)
        yield Point("connections", "OTLP to null, 100 a request", number, _otlp(100, number), (NULL,), 400_000)
    for number in (1, 2, 4, 8):
        yield Point("sinks", "lines to files, JSON", number, Load(), (JSON,) * number, 300_000)
        yield Point("sinks", "lines to files, raw", number, Load(), (RAW,) * number, 500_000)
    for number in (1, 4, 17, 100, 500, 2000):
        records = min(400_000, 30_000 * number)
        yield Point("batch", "OTLP to null", number, _otlp(number), (NULL,), records)
        yield Point("batch", "OTLP to file, JSON", number, _otlp(number), (JSON,), records)
        yield Point("batch", "OTLP to OTLP", number, _otlp(number), (OTLP,), records, upstream=True)
    for number in (100, 350, 1000, 4000, 16000):
        padded = Load(PADDED + "x" * max(number - PADDED_BYTES, 0))
        records = min(400_000, 400_000_000 // number)
        yield Point("line length", "to file, raw", number, padded, (RAW,), records)
        yield Point("line length", "to file, JSON, no known format", number, padded, (JSON,), records)
    for number in (1, 8, 64):
        yield Point("lines a write", "to file, JSON", number, Load(), (JSON,), 200_000, per_write=number)
        yield Point("lines a write", "to file, raw", number, Load(), (RAW,), 200_000, per_write=number)
    for number in (1000, 10_000, 50_000, 150_000):
        calm = dict(records=CALM_SECONDS * number, per_write=1, rate=number)
        yield Point(CALM, CALM_LINES, number, Load(connections=32), (JSON,), **calm)
        yield Point(CALM, CALM_OTLP, number, _otlp(17, 32), (JSON,), **calm)
        yield Point(CALM, CALM_RELAY, number, _otlp(17, 32), (OTLP,), upstream=True, **calm)


def cost(options, point, workdir):
    """Nanoseconds of CPU time per record, and bytes sent and written per record."""
    started, files = [], []
    try:
        upstream = None
        if point.upstream:
            upstream = Logboom(options.binary, workdir, config(source(Load("otlp"), "raw"), [NULL.format()]))
            started.append(upstream)
        sinks = []
        for sink in point.sinks:
            files.append(Path(workdir) / f"out-{len(files)}.log")
            sinks.append(sink.format(file=files[-1], upstream=upstream and upstream.address))
        server = Logboom(options.binary, workdir, config(source(point.load), sinks))
        started.append(server)
        os.sync()
        before = server.cpu()
        records = max(int(point.records * options.scale), point.load.connections)
        how = dict(count=records, per_write=point.per_write, rate=point.rate or "max")
        sent = generator.send(options.binary, point.load, server.address, **how)
        expected = (sent.records - sent.refused) * len(sinks)
        delivered, _ = server.wait_delivered(expected)
        used = sum(spent(before, server.cpu()))
        written = sum(file.stat().st_size for file in files if file.exists()) / len(sinks)
        return {
            "ns": used * 1e9 / sent.records,
            "bytes_in": sent.bytes / sent.records,
            "bytes_out": written / sent.records,
            "rss_bytes": server.memory("VmRSS"),
            "lost": expected - delivered,
        }
    finally:
        for process in started:
            process.stop(signal.SIGKILL)
        for file in files:
            file.unlink(missing_ok=True)


@dataclass
class Curve:
    """All runs of a point."""

    point: Point
    runs: list = field(default_factory=list)

    def median(self, name="ns"):
        return statistics.median(run[name] for run in self.runs)


def measure(options, workdir, log):
    """Every point once a round, in turns."""
    curves = [Curve(point) for point in points()]
    for round in range(options.runs):
        for curve in curves:
            point = curve.point
            log(f"round {round + 1}: {point.chart}, {point.series}, {point.x:g}")
            curve.runs.append(cost(options, point, workdir))
    return curves


def charts(curves):
    """(chart, [(series, [(x, nanoseconds)])]) in the order of the points."""
    found = {}
    for curve in curves:
        series = found.setdefault(curve.point.chart, {}).setdefault(curve.point.series, [])
        series.append((curve.point.x, curve.median()))
    return {chart: list(series.items()) for chart, series in found.items()}
