"""Crowds of connections, slow ones, and no descriptor for another one."""

import contextlib
import resource
import time

from harness import Skip, connect, file_sink, row, sources
from honest import Honest
from http2 import DATA, PREFACE, SETTINGS, Grpc, frame, request_head
from ids import Ids, in_order
from otlp import record, request
from waiting import until

NEWLINE, SETTINGS_FRAME = b"\n", frame(SETTINGS, 0, 0, b"")


@row(32)
def idle_lines(environment, verdict):
    """10,000 idle connections of lines (smoke: 2,000) and 50 active ones: all that is sent arrives; a connection
    above the limit is refused and counted."""
    _idle(environment, verdict, "lines", environment.pick(10_000, 2_000), b"")


@row(32)
def idle_otlp(environment, verdict):
    """5,000 idle OTLP connections (smoke: 1,000) and 50 active ones: the same."""
    _idle(environment, verdict, "otlp", environment.pick(5_000, 1_000), PREFACE + SETTINGS_FRAME)


def _idle(environment, verdict, port, count, hello):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count + 500:
        raise Skip(f"{count} connections need a higher limit of open files")
    path = environment.directory / "access.log"
    both = sources()
    both["mesh" if port == "lines" else "otlp"]["connections_max"] = count + 50
    logboom = environment.logboom({"sources": both, "sinks": {"files": file_sink(path)}}, verdict, descriptors=count + 400)
    to = getattr(logboom, port)
    before = logboom.rss_kib()
    with contextlib.ExitStack() as stack:
        for number in range(count):
            stream = stack.enter_context(connect(to, f"127.0.0.{2 + number % 8}"))
            stream.sendall(hello)
        source = "mesh" if port == "lines" else "otlp"
        accepted = until(lambda: logboom.status()["sources"][source]["connections"] == count, 30)
        verdict.expect(accepted, f"only {logboom.status()['sources'][source]['connections']} accepted")
        verdict.figure("KiB each", round((logboom.rss_kib() - before) / count, 2))
        # As many as there is room for, and with them open some more.
        records = environment.pick(200_000, 40_000)
        kind = ("--format", "kuma-http") if port == "lines" else ("--format", "otlp", "--streams", 1)
        load = environment.gen(
            *kind, "--id", "--rate", "10k", "--count", records, "--connections", 50, "--seed", environment.seed,
            "--to", f"{port}://127.0.0.1:{to}",
        )
        full = until(lambda: logboom.status()["sources"][source]["connections"] == count + 50, 10)
        verdict.expect(full, "the active ones were not all accepted")
        refused = 0
        for _ in range(100):
            with connect(to) as stream:
                try:
                    refused += stream.recv(1) == b""
                except ConnectionResetError:
                    refused += 1
        verdict.equal("refused", refused, 100)
        verdict.equal("counted as refused", logboom.metric("logboom_connections_refused_total", source=source), 100)
        report = load.report(120)
        verdict.expect(not report["errors"], f"gen: {report['errors']}")
        if report.get("latency_ms"):
            verdict.figure("answer ms", report["latency_ms"])
        verdict.expect(logboom.settled(), "records are still on their way")
        verdict.expect(logboom.status()["sources"][source]["connections"] == count, "idle connections were closed")
        logboom.check_memory()
    cut = logboom.cut_lines()
    logboom.stop()
    ids = Ids()
    ids.feed(path.read_bytes())
    in_order(verdict, ids, report, cut=cut)


@row(34)
def descriptors(environment, verdict):
    """No descriptor left (limit 64): it does not spin, open connections go on, and accepting resumes within a second."""
    path = environment.directory / "out/access.log"
    # Rotation needs a descriptor too: without one the file is written on beyond its size.
    sink = {**file_sink(path), "rotate": {"size": "256KiB"}}
    logboom = environment.logboom({"sources": sources(), "sinks": {"files": sink}}, verdict, descriptors=64)
    early = connect(logboom.lines)
    early.sendall(b"early before\n")
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(logboom.lines))
        time.sleep(0.5)
        cpu, seconds = logboom.cpu_s(), environment.pick(10, 3)
        time.sleep(seconds)
        share = (logboom.cpu_s() - cpu) / seconds
        verdict.figure("CPU %", round(share * 100, 1))
        verdict.expect(share <= 0.10, f"{share:.0%} of a core while nothing can be accepted")
        verdict.figure("admin answers meanwhile", _answers(logboom))
        block = b"".join(b"early %06d %s\n" % (number, b"x" * 200) for number in range(5_000))
        early.sendall(block)
        arrived = until(lambda: b"early 004999 " in _all(path), 10)
        verdict.expect(arrived, "an open connection does not go on")
    freed = time.monotonic()
    with connect(logboom.lines) as late:
        late.sendall(b"late\n")
        resumed = until(lambda: b"\nlate\n" in _all(path), 10, 0.01)
    verdict.figure("resume ms", round((time.monotonic() - freed) * 1000))
    verdict.expect(resumed and time.monotonic() - freed < 1.5, "accepting did not resume within a second")
    early.close()
    errors = logboom.metric("logboom_accept_errors_total", source="mesh")
    verdict.figure("accept errors", errors)
    verdict.expect(errors > 0, "descriptors were never exhausted")
    verdict.expect(logboom.settled(), "records are still on their way")
    logboom.stop()
    content = _all(path)
    verdict.expect(content == b"early before\n" + block + b"late\n", f"{content.count(NEWLINE)} lines of 5002, or not in order")


def _answers(logboom):
    try:
        return bool(logboom.status())
    except OSError:
        return False


def _all(path):
    """The finished files in the order of their names, and the active one."""
    with contextlib.suppress(FileNotFoundError):  # It was finished just now.
        return b"".join(one.read_bytes() for one in sorted(path.parent.iterdir(), key=lambda one: (one == path, one.name)))
    return b""


@row(35)
def slowloris(environment, verdict):
    """500 connections of lines and 500 of OTLP that send a byte now and then, or a preface and nothing more:
    active senders are not affected, and memory stays in its bound."""
    path = environment.directory / "access.log"
    both = sources(connections_max=600)
    both["otlp"]["connections_max"] = 600
    logboom = environment.logboom({"sources": both, "sinks": {"files": {**file_sink(path), "from": ["mesh"]}}}, verdict)
    seconds = environment.pick(20, 8)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(logboom.lines)) for _ in range(500)]
        for number in range(500):
            stream = stack.enter_context(connect(logboom.otlp))
            stream.sendall((PREFACE[:10], PREFACE, PREFACE + SETTINGS_FRAME)[number % 3])
            if number % 3 == 0:
                slow.append(stream)
        load = environment.gen(
            "--format", "kuma-http", "--id", "--rate", "5k", "--duration", f"{seconds}s", "--connections", 4,
            "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
        )
        slowest, ends = 0.0, time.monotonic() + seconds
        with Grpc(logboom.otlp) as client:
            while time.monotonic() < ends:
                for stream in slow:
                    with contextlib.suppress(OSError):
                        stream.sendall(b"x")
                started = time.monotonic()
                code = client.call(request([record("active")]))
                verdict.expect(code == "OK", f"an active request: {code}")
                slowest = max(slowest, time.monotonic() - started)
                time.sleep(0.5)
        report = load.report(60)
        verdict.figure("slowest request ms", round(slowest * 1000))
        verdict.expect(slowest < 1, "an active request waited for more than a second")
        verdict.expect(until(lambda: logboom.sink("files")["in_flight_records"] == 0, 10), "records are still on their way")
        if not environment.smoke:
            # Those that never finished their preface are closed after ten seconds.
            left = logboom.status()["sources"]["otlp"]["connections"]
            verdict.figure("OTLP connections left", left)
            verdict.expect(left < 400, f"{left} OTLP connections are still open, a third never finished its preface")
        logboom.check_memory()
        verdict.equal("shed", logboom.shed("files"), 0)
    logboom.stop()
    ids = Ids(besides=rb"^x+$")
    ids.feed(path.read_bytes())
    in_order(verdict, ids, report)


@row(35)
def slow_bodies(environment, verdict):
    """2,000 requests that announce 16 MiB and send one KiB of it: they are charged for what they sent, and active
    senders on both ports go on within two seconds."""
    path = environment.directory / "access.log"
    logboom = environment.logboom({"sources": sources(), "sinks": {"files": file_sink(path)}}, verdict)
    start = b"\0" + (16 << 20).to_bytes(4, "big") + bytes(1024)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stream = stack.enter_context(connect(logboom.otlp))
            streams = range(1, 101, 2)
            stream.sendall(PREFACE + SETTINGS_FRAME + b"".join(request_head(one) + frame(DATA, 0, one, start) for one in streams))
        time.sleep(0.5)
        verdict.figure("reserved MiB", logboom.status()["memory_reserved_bytes"] >> 20)
        honest = Honest(logboom, path)
        time.sleep(environment.pick(20, 5))
        honest.finish(verdict)
        logboom.check_memory()
    logboom.stop()


CASES = [idle_lines, idle_otlp, descriptors, slowloris, slow_bodies]
