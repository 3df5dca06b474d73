"""Sinks that cannot deliver, beside one that can."""

import json
import os
import signal
import socket
import time

from harness import contains, file_sink, row, send_line, sources
from ids import Ids, in_order
from running import GRACE_S
from waiting import until



@row(26)
def dead_upstream(environment, verdict):
    """A dead upstream beside a file: the file is complete; the upstream keeps its inbox, what it
    missed is counted, and when it is back it gets all that was kept and one gap record for each source."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    port = reserved.getsockname()[1]
    upstream = {"type": "otlp", "endpoint": f"http://127.0.0.1:{port}", "retry": {"initial": "100ms", "max": "1s"}}
    path = environment.directory / "access.log"
    config = {"sources": sources(), "sinks": {"files": {**file_sink(path), "from": ["mesh"]}, "upstream": upstream}}
    logboom = environment.logboom(config, verdict)
    seconds = environment.pick(60, 6)
    common = ("--id", "--duration", f"{seconds}s", "--connections", 2, "--seed", environment.seed)
    loads = [
        environment.gen("--format", "kuma-http", "--rate", "20k", *common, "--to", f"lines://127.0.0.1:{logboom.lines}"),
        environment.gen("--format", "otlp", "--rate", "2k", *common, "--to", f"otlp://127.0.0.1:{logboom.otlp}"),
    ]
    lines, otlp = (load.report(seconds + 60) for load in loads)
    verdict.expect(not lines["errors"] and not otlp["errors"], f"gen: {lines['errors']} {otlp['errors']}")
    verdict.equal("requests refused", sum(count for code, count in otlp["requests"].items() if code != "OK"), 0)
    verdict.expect(until(lambda: logboom.sink("files")["in_flight_records"] == 0, 15), "the file is behind")
    verdict.equal("shed by the file", logboom.shed("files"), 0)
    state, shed = logboom.sink("upstream"), logboom.shed("upstream")
    kept, sent = state["in_flight_records"], lines["records"] + otlp["records"]
    verdict.figure("sent", sent)
    verdict.figure("kept", kept)
    verdict.figure("shed", shed)
    verdict.figure("kept bytes", state["inbox_bytes"])
    verdict.expect(shed > 0, "nothing was shed: the outage was too short to show anything")
    verdict.expect(kept + shed == sent, f"kept {kept} and shed {shed} are not what was sent, {sent}")
    verdict.expect(state["inbox_bytes"] <= state["inbox_capacity_bytes"], f"over its inbox: {state['inbox_bytes']}")
    verdict.expect(state["state"] == "failing", f"/status calls the dead upstream {state['state']}")

    reserved.close()
    received = environment.directory / "received.log"
    second = environment.logboom(
        {"sources": {"otlp": {"type": "otlp", "grpc": f"127.0.0.1:{port}"}}, "sinks": {"files": file_sink(received, "json")}}, verdict
    )
    back = time.monotonic()
    verdict.expect(until(lambda: logboom.sink("upstream")["in_flight_records"] == 0, 30), "the backlog was not delivered")
    verdict.figure("catch-up s", round(time.monotonic() - back, 2))
    logboom.check_memory()
    cut = logboom.cut_lines()
    _, _, ledger = logboom.stop()
    verdict.expect(second.settled(), "the second is behind")
    second.stop()
    records = [json.loads(line) for line in received.read_bytes().splitlines()]
    gaps = [record["attributes"] for record in records if "logboom.gap.count" in record.get("attributes", {})]
    verdict.equal("arrived", len(records) - len(gaps), kept)
    verdict.equal("gap records", len(gaps), 2)
    verdict.equal("told in gap records", sum(gap["logboom.gap.count"] for gap in gaps), shed)
    verdict.expect({gap["logboom.gap.source"] for gap in gaps} == {"mesh", "otlp"}, f"gaps: {gaps}")
    bodies = {json.dumps(record["body"]) + json.dumps(record.get("resource")) for record in records if record.get("body")}
    verdict.expect(len(bodies) == len(records), f"{len(records) - len(bodies)} records arrived twice")
    verdict.equal("delivered", ledger.get("upstream", {}).get("delivered"), len(records))
    ids = Ids()
    ids.feed(path.read_bytes())
    in_order(verdict, ids, lines, cut=cut)


@row(25)
def stdout_unread(environment, verdict):
    """Standard output is a pipe that nobody reads: the file is complete, the process lives and ends in time."""
    reader, writer = os.pipe()
    _stdout(environment, verdict, writer, codes=(3,))
    os.close(reader)


@row(25)
def stdout_closed(environment, verdict):
    """The reader of standard output goes away: no death by SIGPIPE, the file is complete, the loss is counted."""
    reader, writer = os.pipe()
    _stdout(environment, verdict, writer, codes=(0, 3), meanwhile=lambda: os.close(reader))


@row(25)
def stdout_full(environment, verdict):
    """Standard output is /dev/full: the file is complete, the loss is counted."""
    _stdout(environment, verdict, os.open("/dev/full", os.O_WRONLY), codes=(0, 3))


def _stdout(environment, verdict, out, codes, meanwhile=lambda: None):
    path = environment.directory / "access.log"
    config = {
        "sources": sources(),
        "sinks": {"files": file_sink(path), "console": {"type": "stdout", "encoding": "raw", "inbox": "1MiB"}},
    }
    logboom = environment.logboom(config, verdict, stdout=out)
    os.close(out)
    seconds = environment.pick(20, 4)
    load = environment.gen(
        "--format", "kuma-http", "--id", "--rate", "20k", "--duration", f"{seconds}s", "--connections", 4,
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    time.sleep(seconds / 3)
    meanwhile()
    report = load.report(seconds + 60)
    verdict.expect(until(lambda: logboom.sink("files")["in_flight_records"] == 0, 15), "the file is behind")
    verdict.equal("shed by the file", logboom.shed("files"), 0)
    console = logboom.sink("console")
    verdict.figure("console", {key: console[f"{key}_records"] for key in ("delivered", "failed", "abandoned", "in_flight")})
    verdict.figure("console shed", logboom.shed("console"))
    verdict.expect(console["delivered_records"] < report["records"], "everything went out: this shows nothing")
    cut = logboom.cut_lines()
    code, seconds, _ = logboom.stop(codes=codes)
    verdict.figure("exit code", code)
    verdict.figure("stop s", round(seconds, 2))
    verdict.expect(seconds <= GRACE_S + 0.5, "later than the grace period")
    ids = Ids()
    ids.feed(path.read_bytes())
    in_order(verdict, ids, report, cut=cut)


@row(25)
def stdout_closed_then_hup(environment, verdict):
    """After the reader of standard output has gone away, SIGHUP still reopens files and SIGTERM still ends in order."""
    reader, writer = os.pipe()
    path = environment.directory / "access.log"
    config = {"sources": sources(), "sinks": {"files": file_sink(path), "console": {"type": "stdout"}}}
    logboom = environment.logboom(config, verdict, stdout=writer)
    os.close(writer)
    os.close(reader)
    send_line(logboom.lines, "before")
    verdict.expect(until(lambda: contains(path, "before"), 5), "the first line was not written")
    moved = path.with_name("moved.log")
    path.rename(moved)
    logboom.process.send_signal(signal.SIGHUP)
    if verdict.expect(until(path.exists, 5), "the file was not opened anew") and verdict.expect(logboom.alive(), "it has ended"):
        send_line(logboom.lines, "after")
        verdict.expect(until(lambda: contains(path, "after"), 5), "the second line was not written")
    logboom.stop(codes=(0, 3))


CASES = [dead_upstream, stdout_unread, stdout_closed, stdout_closed_then_hup, stdout_full]
