"""kill -9 at random instants, and the backlog that survives it."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from backlog import scan, segments
from chaos import Proxy
from harness import file_sink, free_port, row
from matrix import upstream_sink
from oracle import FRESH, FRESH_SIZES, Delivered, Producer, fresh, judge, sizes
from running import GRACE_S
from upstream import Upstream
from waiting import percentiles, until

READY_MAX_S = 2.0
# What a sink may have in flight, and what its cursor may lag behind: 4 MiB each.
WINDOW_BYTES = 8 << 20


def fixed_sources():
    """Sources that are found at the same place after a restart."""
    return {
        "mesh": {"type": "lines", "listen": f"127.0.0.1:{free_port()}", "format": "raw"},
        "otlp": {"type": "otlp", "grpc": f"127.0.0.1:{free_port()}", "connections_max": 256},
    }


@row(1)
def crash_otlp(environment, verdict):
    """kill -9 at random instants under OTLP load, `durable`: no acknowledged record is lost, twice arrives at most what was in flight
    and one cursor window for each kill, ready again within 2 s."""
    environment.needs_journal()
    rng, size, kills = random.Random(environment.seed), 300, environment.pick(200, 12)
    delivered = Delivered({1: size, 2: size, 3: size, **FRESH_SIZES})
    mock, path = Upstream(delivered), environment.directory / "out/all.log"
    environment.afterwards(mock.close)
    config = {
        "sources": fixed_sources(),
        "sinks": {"up": upstream_sink(mock.port), "files": file_sink(path)},
        **environment.journal(mode="durable"),
    }
    logboom = environment.logboom(config, verdict)
    producers = [Producer(number, logboom.otlp, 50, size) for number in (1, 2, 3)]
    environment.afterwards(lambda: [one.finish(0) for one in producers])
    ready, twice, before = [], [], 0
    for _ in range(kills):
        time.sleep(rng.uniform(0.05, environment.pick(3.0, 0.6)))
        # What arrives twice because of one kill arrives before the next, or counts for that.
        twice.append(delivered.duplicates - before)
        before = delivered.duplicates
        logboom.crash()
        logboom = environment.logboom(config, verdict)
        ready.append(logboom.ready_s)
    for one in producers:
        verdict.expect(one.finish(), "a producer still waits for an answer")
    verdict.expect(until(lambda: logboom.behind() == 0, 60), f"{logboom.behind()} records never arrived")
    after = fresh(logboom.otlp, delivered)
    verdict.expect(after is not None, "a fresh record does not arrive within 5 s")
    logboom.settled()
    code, _, _ = logboom.stop()
    verdict.figure("kills", kills)
    verdict.figure("ready ms p50/p99/max", percentiles(ready))
    verdict.figure("duplicates per kill p50/p99/max", percentiles(twice, 1, 0))
    verdict.expect(max(ready) <= READY_MAX_S, f"ready again after {max(ready):.1f} s")
    bound = kills * WINDOW_BYTES // size
    ledgers = [one.ledger for one in producers]
    judge(verdict, ledgers, delivered, "upstream", duplicates_max=bound)
    written = Delivered({**sizes(producers), **FRESH_SIZES})
    torn = [line for line in written.feed_lines(path.read_bytes()) if b"logboom" not in line]
    verdict.figure("torn lines in the file", len(torn))
    # A line that a kill has torn is written again, whole; it was in flight.
    written.altered = 0
    verdict.expect(len(torn) <= kills, f"{len(torn)} torn lines after {kills} kills, such as {torn[:2]}")
    judge(verdict, ledgers, written, "file", duplicates_max=bound)


@row(2)
def crash_lines(environment, verdict):
    """kill -9 under lines from the model of kuma-dp, `buffered`: no line is lost that the journal had written. What is lost was in
    the kernel's buffers or in the process, and is told apart by stopping both ends first."""
    environment.needs_journal()
    rng, size, kills = random.Random(environment.seed), 300, environment.pick(200, 10)
    path, directory = environment.directory / "out/all.log", environment.directory / "journal"
    config = {"sources": fixed_sources(), "sinks": {"files": file_sink(path)}, **environment.journal(mode="buffered")}
    logboom = environment.logboom(config, verdict)
    longest = kills * environment.pick(3, 1) + 10
    sender = kuma_dp(environment, logboom.lines, seconds=longest)
    written, in_kernel, ready = set(), 0, []
    for _ in range(kills):
        time.sleep(rng.uniform(0.05, environment.pick(1.5, 0.5)))
        logboom.process.send_signal(signal.SIGSTOP)
        stopped(logboom.pid)
        sender.send_signal(signal.SIGSTOP)
        stopped(sender.pid)
        in_kernel += -(-queued(logboom.lines) // (size + 60))
        logboom.crash()
        written.update(number for _, number in scan(directory))
        sender.send_signal(signal.SIGCONT)
        logboom = environment.logboom(config, verdict)
        ready.append(logboom.ready_s)
    time.sleep(0.3)
    sender.send_signal(signal.SIGTERM)
    report = sent(sender)
    verdict.expect(until(lambda: logboom.behind() == 0, 60), f"{logboom.behind()} records never arrived")
    time.sleep(0.3)
    logboom.stop()
    delivered = Delivered({1: size})
    delivered.feed_lines(path.read_bytes())
    dropped = report["dropped"]
    silent = [number for number in range(report["issued"]) if number not in dropped and not delivered.has(1, number)]
    after_write = [number for number in silent if number in written]
    verdict.figure("kills", kills)
    verdict.figure("lines", report["issued"])
    verdict.figure("refused or failed at the sender", len(dropped))
    verdict.figure("lost in kernel buffers", min(in_kernel, len(silent)))
    verdict.figure("lost in process", max(0, len(silent) - in_kernel - len(after_write)))
    verdict.equal("lost after the write", len(after_write), 0)
    verdict.figure("found in the journal after a kill", len(written))
    verdict.figure("duplicates", delivered.duplicates)
    verdict.figure("ready ms p50/p99/max", percentiles(ready))
    verdict.expect(written, "nothing was ever found in the journal: this shows nothing")
    verdict.expect(max(ready) <= READY_MAX_S, f"ready again after {max(ready):.1f} s")
    verdict.expect(len(silent) - in_kernel <= kills * (256 << 10) // size, "more than one read was in the process at a kill")
    verdict.expect(delivered.duplicates <= kills * WINDOW_BYTES // size, f"{delivered.duplicates} duplicates")


def kuma_dp(environment, port, rate=10_000, size=300, seconds=60, producer=1):
    """The model of kuma-dp as a process of its own, ready to send."""
    script = Path(__file__).with_name("kuma_dp.py")
    options = {"port": port, "producer": producer, "rate": rate, "size": size, "seconds": seconds}
    command = [sys.executable, script, *(f"--{key}={value}" for key, value in options.items())]
    sender = environment.adopt(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    sender.stdout.readline()
    return sender


def sent(sender, within_s=30):
    """What the model of kuma-dp says at its end; `dropped` is a set of numbers."""
    report = json.loads(sender.communicate(timeout=within_s)[0].splitlines()[-1])
    return {**report, "dropped": {number for first, last in report["dropped"] for number in range(first, last + 1)}}


def stopped(pid):
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 5, 0.001)


def queued(port):
    """Bytes in the kernel between the senders to a local port and whoever reads there."""
    wanted, total = f"{port:04X}", 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote, state = fields[1], fields[2], fields[3]
        sent, received = (int(one, 16) for one in fields[4].split(":"))
        if state == "01" and local.endswith(f":{wanted}"):
            total += received
        elif state == "01" and remote.endswith(f":{wanted}"):
            total += sent
    return total


@row(1, 17)
def crash_backlog(environment, verdict):
    """With a dead upstream and a GiB of backlog: ready again within 2 s of kill -9, SIGTERM ends within the grace, the backlog is the
    same record for record after each restart, and all of it arrives later."""
    environment.needs_journal()
    wanted, size = environment.pick(1 << 30, 96 << 20), 4000
    delivered = Delivered({1: size, 2: size, **FRESH_SIZES})
    mock = Upstream(delivered)
    proxy = Proxy(mock.port)
    environment.afterwards(mock.close)
    environment.afterwards(proxy.close)
    proxy.down()
    config = {
        "sources": fixed_sources(),
        "sinks": {"up": upstream_sink(proxy.port, retry={"initial": "100ms", "max": "1s"})},
        **environment.journal(mode="durable"),
    }
    logboom = environment.logboom(config, verdict)
    begun = time.monotonic()
    producers = [Producer(number, logboom.otlp, 100, size) for number in (1, 2)]
    environment.afterwards(lambda: [one.finish(0) for one in producers])
    verdict.expect(until(lambda: logboom.metric("logboom_journal_bytes") >= wanted, 120), "the backlog never grew")
    for one in producers:
        one.finish()
    verdict.figure("backlog MiB", round(logboom.metric("logboom_journal_bytes") / (1 << 20)))
    verdict.figure("MiB/s in", round(wanted / (1 << 20) / (time.monotonic() - begun)))
    held = backlog_ids(environment)
    acked = {(one.ledger.producer, number) for one in producers for number in range(one.ledger.issued) if one.ledger.is_acked(number)}
    verdict.expect(acked <= held, f"{len(acked - held)} acknowledged records are not in the journal")
    ready, ends = [], []
    for number in range(environment.pick(6, 4)):
        if number % 2 == 0:
            logboom.crash()
        else:
            code, seconds, _ = logboom.stop(codes=(0, 3))
            ends.append(seconds)
            verdict.figure("exit code", code)
        now = backlog_ids(environment)
        verdict.expect(now == held, f"restart {number}: {len(held - now)} records gone from the backlog, {len(now - held)} new")
        logboom = environment.logboom(config, verdict)
        ready.append(logboom.ready_s)
    verdict.figure("ready ms p50/p99/max", percentiles(ready))
    verdict.figure("exit ms p50/p99/max", percentiles(ends))
    verdict.expect(max(ready) <= READY_MAX_S, f"ready again after {max(ready):.1f} s")
    verdict.expect(max(ends) <= GRACE_S + 0.5, f"ended after {max(ends):.1f} s")
    verdict.figure("peak RSS MiB", round(logboom.rss_kib("VmHWM") / 1024))
    proxy.up()
    begun = time.monotonic()
    verdict.expect(until(lambda: logboom.behind() == 0, 180), f"{logboom.behind()} records never arrived")
    verdict.figure("catch-up MiB/s", round(wanted / (1 << 20) / (time.monotonic() - begun)))
    verdict.expect(fresh(logboom.otlp, delivered) is not None, "a fresh record does not arrive within 5 s")
    judge(verdict, [one.ledger for one in producers], delivered, duplicates_max=0, ordered_within=WINDOW_BYTES // 2 // size)
    kept = until(lambda: len(segments(environment.directory / "journal")) <= 3, 10)
    verdict.expect(kept, "segments that are delivered stay on the disk")
    logboom.stop()


def backlog_ids(environment):
    return {one for one in scan(environment.directory / "journal") if one[0] != FRESH}


@row(16)
def sigterm_journal(environment, verdict):
    """SIGTERM under full load of OTLP, `durable`: exit 0 within the grace, and every acknowledged record is in the file or, after
    the next start, will be."""
    environment.needs_journal()
    rng, size, runs = random.Random(environment.seed), 300, environment.pick(50, 5)
    path = environment.directory / "out/all.log"
    config = {"sources": fixed_sources(), "sinks": {"files": file_sink(path)}, **environment.journal(mode="durable")}
    ends, ledgers, codes = [], [], {}
    for number in range(runs):
        logboom = environment.logboom(config, verdict)
        load = environment.gen(
            "--format", "otlp", "--rate", "max", "--connections", 2, "--batch", 17, "--duration", "30s",
            "--seed", environment.seed, "--to", f"otlp://127.0.0.1:{logboom.otlp}",
        )
        producer = Producer(number + 1, logboom.otlp, 20, size)
        time.sleep(rng.uniform(0.3, 1.2))
        code, seconds, _ = logboom.stop(codes=(0, 3))
        producer.finish()
        load.kill()
        ledgers.append(producer.ledger)
        ends.append(seconds)
        codes[code] = codes.get(code, 0) + 1
    logboom = environment.logboom(config, verdict)
    verdict.expect(until(lambda: logboom.behind() == 0, 60), f"{logboom.behind()} records never arrived")
    time.sleep(0.3)
    logboom.stop()
    verdict.figure("runs", runs)
    verdict.figure("exit codes", codes)
    verdict.figure("exit ms p50/p99/max", percentiles(ends))
    verdict.expect(max(ends) <= GRACE_S + 0.5, f"ended after {max(ends):.1f} s")
    delivered = Delivered({ledger.producer: size for ledger in ledgers})
    for piece in path.parent.iterdir():
        delivered.feed(piece.read_bytes())
    judge(verdict, ledgers, delivered, duplicates_max=0, ordered_within=0)


CASES = [crash_otlp, crash_lines, crash_backlog, sigterm_journal]
