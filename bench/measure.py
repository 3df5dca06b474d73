"""One run of one case: fresh processes, an empty file, full speed, then half of it."""

import json
import os
import shutil
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path

import arrivals
import latency
import load as generator
import peers
from cases import NULL, source
from machine import Neighbours
from processes import Failure, Logboom, Yardstick, config, spent

# Runs up to so many records are checked number by number.
NUMBERED_MAX = 400_000
HALF_LOAD_S, HALF_LOAD_SHORT_S = 1.5, 0.7
JOURNAL = "journal"


@dataclass
class Run:
    """What one run came to; the JSON result holds these."""

    sent: int
    refused: int
    lost: int
    wall_s: float
    user_s: float
    system_s: float
    generator_cpu_s: float
    upstream_cpu_s: float | None
    bytes: int
    rss_bytes: int
    bound_bytes: int | None
    numbered: bool
    others_share: float
    stolen_share: float
    latency_ms: dict | None = None
    half_rate: float | None = None
    samples_ms: list = field(default_factory=list, repr=False)
    notes: list = field(default_factory=list)

    @property
    def arrived(self):
        return self.sent - self.refused - self.lost

    @property
    def cpu_s(self):
        return max(self.user_s + self.system_s, 1e-6)

    @property
    def rate(self):
        """Records per second of CPU time of the server: the figure."""
        return self.arrived / self.cpu_s

    def as_json(self):
        return {name: value for name, value in asdict(self).items() if name != "samples_ms"}


def measure(options, binary, case, workdir, *, scale, half_load):
    """Runs `case` once, with half of its load after it or without, and stops all it started."""
    started = []
    file = Path(workdir) / "out.log"
    try:
        server, run, ids, expected = _full_load(options, binary, case, workdir, scale, file, started)
        if half_load and case.latency and not case.is_yardstick:
            expected += _half_load(options, case, server, file, run)
        _settle(case, server, file, run, ids, expected)
        return run
    finally:
        for process in started:
            process.stop(signal.SIGKILL)
        file.unlink(missing_ok=True)
        shutil.rmtree(Path(workdir) / JOURNAL, ignore_errors=True)


def _full_load(options, binary, case, workdir, scale, file, started):
    server, upstream = _start(options, binary, case, workdir, file, started)
    records = max(int(case.records * scale), case.load.connections)
    numbered = bool(case.encoding) and not case.is_yardstick and records <= NUMBERED_MAX
    os.sync()
    neighbours, before = Neighbours(), server.cpu()
    upstream_before = upstream.cpu() if upstream else None
    sent = generator.send(options.generator, case.load, server.address, count=records, ids=numbered)
    expected = sent.records - sent.refused
    # The acknowledger counts bytes: it does not know what a record is.
    in_bytes = case.is_yardstick and case.load.otlp or bool(case.peer)
    arrived, ended = server.wait_delivered(sent.bytes if in_bytes else expected)
    user_s, system_s = spent(before, server.cpu())
    wall_s = sent.seconds + max(ended - sent.ended_at, 0)
    upstream_s = sum(spent(upstream_before, upstream.cpu())) if upstream else None
    others, stolen = neighbours.since(user_s + system_s + sent.all_cpu_s + (upstream_s or 0))
    lost = (0 if case.peer or arrived == sent.bytes else expected) if in_bytes else expected - arrived
    if upstream:
        lost = max(lost, expected - upstream.wait_delivered(expected)[0])
    run = Run(
        sent=sent.records,
        refused=sent.refused,
        lost=lost,
        wall_s=wall_s,
        user_s=user_s,
        system_s=system_s,
        generator_cpu_s=sent.cpu_s,
        upstream_cpu_s=upstream_s,
        bytes=sent.bytes,
        rss_bytes=server.memory(),
        bound_bytes=_bound(server),
        numbered=numbered,
        others_share=others,
        stolen_share=stolen,
        notes=[f"{count} times {error}" for error, count in sent.errors.items()],
    )
    return server, run, sent.ids, expected


def _start(options, binary, case, workdir, file, started):
    if case.peer:
        started.append(peers.start(case.peer, options.peers[case.peer], workdir, file))
        return started[-1], None
    if case.is_yardstick:
        target = file if case.encoding else os.devnull
        if case.load.otlp:
            command = [options.acknowledger, *([target] if case.encoding else [])]
        else:
            command = [options.yardstick, target, *(["escaped"] if case.yardstick == "escaped" else [])]
        started.append(Yardstick(command, workdir))
        return started[-1], None
    upstream = None
    if case.upstream:
        upstream = Logboom(binary, workdir, config(source(case.load, "raw"), [NULL.format()]))
        started.append(upstream)
    sink = case.sink.format(file=file, encoding=case.encoding, upstream=upstream and upstream.address)
    more = f"journal: {{dir: {JOURNAL}, mode: {case.journal}}}\n" if case.journal else ""
    started.append(Logboom(binary, workdir, config(source(case.load, case.reads), [sink], more)))
    return started[-1], upstream


def _bound(server):
    return json.loads(server.page("/status"))["memory_bound_bytes"] if isinstance(server, Logboom) else None


def _half_load(options, case, server, file, run):
    """Half of the wall throughput just seen. Returns the records that were sent, which must arrive too."""
    run.half_rate = run.arrived / run.wall_s / 2
    already = server.metrics().get("logboom_delivered_records_total", 0)
    seconds = HALF_LOAD_S if options.scale >= 1 else HALF_LOAD_SHORT_S
    if case.load.otlp:
        run.latency_ms, sent = latency.otlp(options.generator, case.load, server, run.half_rate, seconds)
        expected = sent.records - sent.refused
    else:
        run.latency_ms, run.samples_ms, sent = latency.lines(options, case.load, server, file, run.half_rate, seconds)
        expected = sent.records + len(run.samples_ms)
    run.lost += int(already + expected - server.wait_delivered(already + expected)[0])
    reached = sent.records / sent.seconds
    if reached < 0.9 * run.half_rate:
        run.notes.append(f"half load came to {reached / run.half_rate:.0%} of itself: others had the machine")
    run.rss_bytes = max(run.rss_bytes, server.memory())
    return expected


def _settle(case, server, file, run, ids, expected):
    """Stops the server and reads its file: what it holds back until then is not lost."""
    if isinstance(server, Logboom):
        counters = server.metrics()
        for name in ("shed", "rejected", "failed"):
            if number := counters.get(f"logboom_{name}_records_total"):
                run.notes.append(f"{name} {number:.0f}")
        # Some sinks get by with the default grace of 8 s.
        if (code := server.stop()) != 0:
            run.notes.append(f"the server ended with {code}")
    else:
        server.stop(signal.SIGKILL if case.is_yardstick else signal.SIGTERM)
    if not case.encoding or case.is_yardstick and case.load.otlp:
        return
    in_file = arrivals.count_in_file(file, b'"timeUnixNano":' if case.encoding == "otlp-json" else b"\n")
    run.lost = max(run.lost, expected - in_file)
    if in_file > expected:
        raise Failure(f"the file is wrong: {in_file - expected} more in it than were sent")
    if run.numbered:
        lines, ordered = case.encoding != "otlp-json", not case.load.otlp
        missing, wrong = arrivals.check_numbers(file, ids, ordered=ordered, lines=lines)
        run.lost = max(run.lost, missing)
        if wrong:
            raise Failure(f"the file is wrong: {', '.join(wrong)}")
