"""The process as a whole: its end under load, and its memory."""

import collections
import random
import threading
import time

from harness import file_sink, row, sources
from http2 import Closed, Grpc
from otlp import record, request
from running import GRACE_S
from waiting import until


@row(16)
def sigterm_lines(environment, verdict):
    """SIGTERM under load of lines: exit 0 within the grace, the file holds as many as the ledger says, and at a million a second none is shed."""
    counter = random.Random(environment.seed)
    slowest, delivered_all, shed_at_full_load, runs = 0.0, 0, 0, environment.pick(20, 2)
    # As fast as possible is more than many disks take for the four seconds that a sender without a
    # pause is heard after SIGTERM. What the disk does not take is shed, by rule, and counted.
    for number, rate in ((number, rate) for number in range(runs) for rate in ("max", "1M")):
        path = environment.directory / f"{number}-{rate}.log"
        logboom = environment.logboom({"sources": sources(), "sinks": {"files": file_sink(path)}}, verdict)
        environment.gen(
            "--format", "kuma-http", "--id", "--rate", rate, "--connections", 4, "--duration", "30s",
            "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
        )
        time.sleep(counter.uniform(0.3, 1.5))
        _, seconds, ledger = logboom.stop()
        environment.end()
        slowest = max(slowest, seconds)
        files = ledger.get("files", {})
        delivered, written = files.get("delivered"), path.read_bytes().count(b"\n")
        delivered_all += delivered or 0
        verdict.expect(delivered == written, f"run {number} at {rate}: {delivered} delivered, {written} in the file")
        if rate == "max":
            shed_at_full_load += files.get("shed") or 0
        else:
            verdict.expect(files.get("shed") == 0, f"run {number} at {rate}: {ledger}")
        path.unlink()
    verdict.figure("runs", runs)
    verdict.figure("records", delivered_all)
    verdict.figure("shed at full load", shed_at_full_load)
    verdict.figure("slowest stop s", round(slowest, 2))
    verdict.expect(slowest <= GRACE_S, f"ended after {slowest:.1f} s")


@row(16)
def sigterm_otlp(environment, verdict):
    """SIGTERM under full load of OTLP: exit 0 within the grace, and every acknowledged record is in the file."""
    counter = random.Random(environment.seed)
    slowest, acknowledged_all, runs, lost = 0.0, 0, environment.pick(20, 3), 0
    for number in range(runs):
        path = environment.directory / f"{number}.log"
        logboom = environment.logboom({"sources": sources(), "sinks": {"files": file_sink(path)}}, verdict)
        load = environment.gen(
            "--format", "otlp", "--id", "--rate", "max", "--connections", 4, "--batch", 17, "--duration", "30s",
            "--seed", environment.seed, "--to", f"otlp://127.0.0.1:{logboom.otlp}",
        )
        witness = _Witness(logboom.otlp)
        time.sleep(counter.uniform(0.3, 1.5))
        _, seconds, ledger = logboom.stop()
        witness.join()
        # A connection that broke has ended its thread of the generator; the report comes at once.
        load.interrupt()
        report = load.report(40)
        slowest = max(slowest, seconds)
        content = path.read_bytes()
        written, delivered = content.count(b"\n"), ledger.get("files", {}).get("delivered")
        verdict.expect(delivered == written, f"run {number}: {delivered} delivered, {written} in the file")
        acknowledged = report["requests"].get("OK", 0) * 17
        of_gen = written - content.count(b"witness-")
        verdict.expect(of_gen >= acknowledged, f"run {number}: {acknowledged} acknowledged, {of_gen} in the file")
        found = set(content.split(b"\n"))
        missing = [one for one in witness.acknowledged if one.encode() not in found]
        lost += len(missing)
        verdict.expect(not missing, f"run {number}: acknowledged and not in the file: {missing[:3]}")
        verdict.expect(witness.acknowledged, f"run {number}: the witness got nothing acknowledged")
        acknowledged_all += acknowledged + len(witness.acknowledged)
        environment.end()
        path.unlink()
    verdict.figure("runs", runs)
    verdict.figure("acknowledged", acknowledged_all)
    verdict.figure("of these lost", lost)
    verdict.figure("slowest stop s", round(slowest, 2))
    verdict.expect(slowest <= GRACE_S, f"ended after {slowest:.1f} s")


class _Witness(threading.Thread):
    """Sends one record after the other and remembers which were acknowledged."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.acknowledged, self._port = [], port
        self.start()

    def run(self):
        try:
            with Grpc(self._port, timeout_s=10) as client:
                for number in range(10_000_000):
                    name = f"witness-{number}"
                    if client.call(request([record(name)])) == "OK":
                        self.acknowledged.append(name)
        except (Closed, OSError):
            pass


def memory_lines(environment, verdict):
    """150 connections send ordinary lines as fast as they can to one json file: resident memory stays below the
    printed bound, and no line is lost."""
    sink = _bounded_file(environment.directory / "all.json", "json")
    logboom = environment.logboom({"sources": sources(), "sinks": {"json": sink}}, verdict)
    seconds = environment.pick(30, 5)
    report = environment.gen(
        "--format", "kuma-http", "--rate", "max", "--connections", 150, "--duration", f"{seconds}s",
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    ).report(seconds + 60)
    verdict.figure("lines", report["records"])
    verdict.expect(logboom.settled(30), "records are still on their way")
    verdict.equal("shed", logboom.shed("json"), 0)
    logboom.check_memory()
    cut = logboom.cut_lines()
    _, _, ledger = logboom.stop()
    verdict.equal("delivered", ledger.get("json", {}).get("delivered"), report["records"] + cut)


def memory_messages(environment, verdict):
    """50 clients send messages of 15 MB each, far more than the budget holds at once: resident memory stays below
    the printed bound, and at least one message a second gets through."""
    sink = _bounded_file(environment.directory / "raw.log", "raw")
    logboom = environment.logboom({"sources": sources(), "sinks": {"raw": sink}}, verdict)
    seconds = environment.pick(30, 8)
    codes = large_messages(logboom, seconds, 50)
    verdict.figure("answers", codes)
    verdict.expect(set(codes) <= {"OK", "UNAVAILABLE"}, f"answers: {codes}")
    verdict.expect(codes.get("OK", 0) >= seconds, f"{codes.get('OK', 0)} messages got through in {seconds} s")
    verdict.expect(logboom.settled(30), "records are still on their way")
    logboom.check_memory()
    logboom.stop()


def memory_bound(environment, verdict):
    """Four sinks, one of them dead, 200 connections, hostile lines and large messages: resident memory stays below
    the printed bound."""
    _memory_bound(environment, verdict, {})


def memory_bound_journal(environment, verdict):
    """The same with a journal, which has a limit of 512 MiB: it fills up, and memory stays below the printed bound."""
    environment.needs_journal()
    _memory_bound(environment, verdict, environment.journal(mode="buffered", max="512MiB"))


def _memory_bound(environment, verdict, journal):
    directory = environment.directory
    config = {
        **journal,
        "sources": sources(),
        "sinks": {
            "raw": {**_bounded_file(directory / "raw.log", "raw"), "inbox": "8MiB"},
            "json": {**_bounded_file(directory / "all.json", "json"), "inbox": "8MiB", "compress": "zstd"},
            "nowhere": {"type": "null", "inbox": "1MiB"},
            "dead": {"type": "otlp", "endpoint": "http://127.0.0.1:1", "inbox": "8MiB"},
        },
    }
    logboom = environment.logboom(config, verdict)
    seconds = environment.pick(30, 8)
    load = environment.gen(
        "--format", "mixed", "--hostile", "--rate", "max", "--connections", 150, "--duration", f"{seconds}s",
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    codes = large_messages(logboom, seconds, 50)
    report = load.report(seconds + 60)
    verdict.figure("lines", report["records"])
    verdict.figure("large messages", codes)
    verdict.expect(set(codes) <= {"OK", "UNAVAILABLE"}, f"answers: {codes}")
    verdict.expect(logboom.alive(), "it has ended")
    behind = lambda: logboom.sink("raw")["in_flight_records"] + logboom.sink("json")["in_flight_records"]  # noqa: E731
    verdict.expect(until(lambda: behind() == 0, 30), "the files are behind")
    logboom.check_memory()
    verdict.figure("shed by raw, json", (logboom.shed("raw"), logboom.shed("json")))
    logboom.stop(codes=(0, 3) if journal else (3,))


def _bounded_file(path, encoding):
    """A file of which little stays on the disk."""
    return {**file_sink(path, encoding), "rotate": {"size": "256MiB"}, "keep": {"files": 1}}


def large_messages(logboom, seconds, clients, records=15):
    """How often which code was the answer to a message of so many MB, by default just under the limit of messages."""
    message, ends, codes = request([record("x" * 1_000_000)] * records), time.monotonic() + seconds, collections.Counter()

    def send():
        while time.monotonic() < ends:
            try:
                with Grpc(logboom.otlp, timeout_s=20) as client:
                    while time.monotonic() < ends:
                        codes[client.call(message)] += 1
            except (Closed, OSError) as error:
                codes[type(error).__name__] += 1

    senders = [threading.Thread(target=send, daemon=True) for _ in range(clients)]
    for one in senders:
        one.start()
    for one in senders:
        one.join(seconds + 40)
    return dict(codes)


CASES = [sigterm_lines, sigterm_otlp, memory_lines, memory_messages, memory_bound, memory_bound_journal]
