"""The process as a whole: its end under load, and its memory."""

import random
import threading
import time

from harness import GRACE_S, file_sink, sources, until
from http2 import Closed, Grpc
from otlp import record, request


def sigterm_lines(environment, verdict):
    """SIGTERM under full load of lines: exit 0 within the grace, and the file holds as many lines as the ledger says."""
    counter = random.Random(environment.seed)
    slowest, delivered_all, runs = 0.0, 0, environment.pick(20, 3)
    for number in range(runs):
        path = environment.directory / f"{number}.log"
        logboom = environment.logboom({"sources": sources(), "sinks": {"files": file_sink(path)}}, verdict)
        environment.gen(
            "--format", "kuma-http", "--id", "--rate", "max", "--connections", 4, "--duration", "30s",
            "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
        )
        time.sleep(counter.uniform(0.3, 1.5))
        _, seconds, ledger = logboom.stop()
        environment.end()
        slowest = max(slowest, seconds)
        delivered, written = ledger.get("files", {}).get("delivered"), path.read_bytes().count(b"\n")
        delivered_all += delivered or 0
        verdict.expect(delivered == written, f"run {number}: {delivered} delivered, {written} in the file")
        verdict.expect(ledger.get("files", {}).get("shed") == 0, f"run {number}: {ledger}")
        path.unlink()
    verdict.figure("runs", runs)
    verdict.figure("records", delivered_all)
    verdict.figure("slowest stop s", round(slowest, 2))
    verdict.expect(slowest <= GRACE_S, f"ended after {slowest:.1f} s")


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


def memory_bound(environment, verdict):
    """Four sinks, one of them dead, 200 connections and large messages: resident memory stays below the printed bound."""
    directory = environment.directory
    config = {
        "sources": sources(),
        "sinks": {
            "raw": {**file_sink(directory / "raw.log"), "inbox": "8MiB", "keep": {"files": 2}, "rotate": {"size": "64MiB"}},
            "json": {**file_sink(directory / "all.json", "json"), "inbox": "8MiB", "keep": {"files": 2}, "rotate": {"size": "64MiB"}, "compress": "zstd"},
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
    ends, codes = time.monotonic() + seconds, {}
    # 15 records just under the limit of one: a message just under the limit of messages.
    large = request([record("x" * 1_000_000)] * 15)

    def flood():
        while time.monotonic() < ends:
            try:
                with Grpc(logboom.otlp, timeout_s=20) as client:
                    while time.monotonic() < ends:
                        code = client.call(large)
                        codes[code] = codes.get(code, 0) + 1
            except (Closed, OSError) as error:
                codes[type(error).__name__] = codes.get(type(error).__name__, 0) + 1

    floods = [threading.Thread(target=flood, daemon=True) for _ in range(50)]
    for one in floods:
        one.start()
    for one in floods:
        one.join(seconds + 40)
    report = load.report(seconds + 60)
    verdict.figure("lines", report["records"])
    verdict.figure("large messages", codes)
    verdict.expect(set(codes) <= {"OK", "UNAVAILABLE"}, f"answers: {codes}")
    verdict.expect(logboom.alive(), "it has ended")
    verdict.expect(until(lambda: all(logboom.sink(name)["in_flight_records"] == 0 for name in ("raw", "json")), 30), "the files are behind")
    logboom.check_memory()
    verdict.figure("shed by raw, json", (logboom.shed("raw"), logboom.shed("json")))
    verdict.equal("rejected lines", logboom.status()["sources"]["mesh"]["rejected_records"], 0)
    logboom.stop(codes=(3,))


CASES = [sigterm_lines, sigterm_otlp, memory_bound]
