"""SIGHUP with new configurations, good and bad, and two processes on one journal."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import time

from crashes import fixed_sources
from harness import Skip, file_sink, free_port, row, send_line
from matrix import upstream_sink
from oracle import Delivered, Producer, judge, missing
from running import NotReady
from waiting import until


@row(19)
def hup_storm(environment, verdict):
    """SIGHUP 1,000 times in 10 s under load, with two configurations in turn: nothing is lost, the last configuration wins, descriptors and memory
    stay flat."""
    paths = [environment.directory / f"out-{number}/all.log" for number in (0, 1)]
    described = fixed_sources()
    configs = [{"admin": {"listen": f"127.0.0.1:{free_port()}"}, "sources": described, "sinks": {"files": file_sink(path)}} for path in paths]
    logboom = environment.logboom(configs[0], verdict)
    producers = [Producer(number, logboom.otlp, 20, 300, 2000) for number in (1, 2)]
    environment.afterwards(lambda: [one.finish(0) for one in producers])
    alternates = "reloads" in logboom.status()
    verdict.figure("configurations", 2 if alternates else "1, for this binary does not read a changed one")
    descriptors, resident = _descriptors(logboom), logboom.rss_kib()
    times, begun = environment.pick(1000, 150), time.monotonic()
    for number in range(times):
        if alternates:
            _replace(logboom.config, configs[number % 2])
        logboom.process.send_signal(signal.SIGHUP)
        time.sleep(max(0.0, begun + (number + 1) * 0.01 - time.monotonic()))
    verdict.figure("times", times)
    last = paths[(times - 1) % 2] if alternates else paths[0]
    time.sleep(1)
    marker = f"the last one wins {environment.seed}"
    send_line(logboom.lines, marker)
    verdict.expect(until(lambda: last.exists() and marker.encode() in last.read_bytes(), 5), "the last configuration did not win")
    for one in producers:
        verdict.expect(one.finish(), "a producer still waits for an answer")
    codes = {code for one in producers for code in one.codes}
    verdict.expect(codes == {"OK"}, f"answers: {codes}")
    verdict.expect(logboom.settled(), "records are still on their way")
    more = _descriptors(logboom) - descriptors
    verdict.figure("descriptors more", more)
    verdict.figure("RSS MiB more", round((logboom.rss_kib() - resident) / 1024, 1))
    verdict.expect(more <= 4, f"{more} descriptors more than before")
    verdict.expect(logboom.rss_kib() - resident <= 32 << 10, "memory grows with reloads")
    logboom.stop()
    delivered = Delivered({1: 300, 2: 300})
    for path in paths:
        if path.exists():
            delivered.feed(path.read_bytes())
    judge(verdict, [one.ledger for one in producers], delivered, duplicates_max=0)


def _descriptors(logboom):
    return len(os.listdir(f"/proc/{logboom.pid}/fd"))


def _replace(path, config):
    """As an editor or a mounted volume does: never half a file."""
    text = config if isinstance(config, str) else json.dumps(config, indent=1)
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


@row(20)
def bad_reloads(environment, verdict):
    """SIGHUP with twelve kinds of bad configuration: the old one goes on, the log says why, `check` refuses the same file, and a good one
    works afterwards."""
    path = environment.directory / "out/all.log"
    taken = socket.create_server(("127.0.0.1", 0))
    environment.afterwards(taken.close)
    good = {"admin": {"listen": f"127.0.0.1:{free_port()}"}, "sources": fixed_sources(), "sinks": {"files": file_sink(path)}}
    logboom = environment.logboom(good, verdict)
    if "reloads" not in logboom.status():
        raise Skip("this binary does not read a changed configuration")

    def changed(**parts):
        return {**good, **parts}

    mesh, files = good["sources"]["mesh"], good["sinks"]["files"]
    bad = {
        "empty": "", "no syntax": '{"sources": [', "unknown key": changed(surces={}), "no sinks": changed(sinks={}),
        "wrong type": changed(memory=["64MiB"]), "bad unit": changed(memory="64 parsecs"), "memory too small": changed(memory="1KiB"),
        "duplicate key": json.dumps(good)[:-1] + ', "memory": "64MiB", "memory": "65MiB"}',
        "source that is not there": changed(sinks={"files": {**files, "from": ["nobody"]}}),
        "condition that cannot be read": changed(sinks={"files": {**files, "when": "status >>> 3"}}),
        "port in use": changed(sources={**good["sources"], "second": {**mesh, "listen": f"127.0.0.1:{taken.getsockname()[1]}"}}),
        "certificate that cannot be read": changed(
            sinks={"files": files, "up": upstream_sink(1, endpoint="https://127.0.0.1:1", tls={"ca": "/nowhere/ca.pem"})}
        ),
    }
    wrong = 0
    for number, (kind, config) in enumerate(bad.items()):
        before = len(logboom.log.read_text())
        _replace(logboom.config, config)
        checked = subprocess.run([environment.binary, "check", "-c", logboom.config], capture_output=True, text=True, check=False)
        if kind not in ("port in use", "certificate that cannot be read"):
            verdict.expect(checked.returncode == 2, f"{kind}: check ends with {checked.returncode}")
        logboom.process.send_signal(signal.SIGHUP)
        told = until(lambda: "ERROR" in logboom.log.read_text()[before:], 3)  # noqa: B023
        verdict.expect(told, f"{kind}: the log has no error")
        text = f"during bad reload {number}."
        if verdict.expect(logboom.alive(), f"{kind}: it has ended"):
            send_line(logboom.lines, text)
            wrong += not verdict.expect(until(lambda: text.encode() in path.read_bytes(), 5), f"{kind}: lines do not arrive")  # noqa: B023
        else:
            return
    verdict.figure("kinds", len(bad))
    verdict.figure("outages", wrong)
    other = path.with_name("other.log")
    _replace(logboom.config, changed(sinks={"files": file_sink(other)}))
    logboom.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    send_line(logboom.lines, "a good one at last")
    verdict.expect(until(lambda: other.exists() and b"at last" in other.read_bytes(), 5), "a good configuration does not work afterwards")
    logboom.stop()


@row(15)
def second_instance(environment, verdict):
    """A second process on the same journal directory is refused with a message that names it, and changes nothing there; so is one on
    a journal of a newer format."""
    environment.needs_journal()
    config = {"sources": fixed_sources(), "sinks": {"up": upstream_sink(1, retry={"initial": "1s", "max": "1s"})}, **environment.journal(mode="durable")}
    first = environment.logboom(config, verdict)
    producer = Producer(1, first.otlp, 10, 300, count=100)
    verdict.expect(until(lambda: producer.ledger.acked() == 100, 10), "the first takes nothing")
    time.sleep(0.6)
    directory = environment.directory / "journal"
    before = _digest(directory)
    try:
        environment.logboom({**config, "sources": fixed_sources()}, verdict, ready_s=5)
        verdict.expect(False, "a second process started on the same directory")
    except NotReady as why:
        verdict.expect("journal" in str(why), f"the message does not name the directory: {why}")
        verdict.figure("it says", next((line[:150] for line in str(why).splitlines() if "journal" in line), ""))
    verdict.expect(first.alive(), "the first has ended")
    verdict.equal("files changed", sum(_digest(directory).get(name) != digest for name, digest in before.items()), 0)
    first.stop(codes=(0, 3))
    verdict.expect(not missing([producer.ledger], _in_journal(directory)), "acknowledged records are gone")


def _digest(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.rglob("*") if path.is_file()}


def _in_journal(directory):
    found = Delivered({1: 300})
    for path in directory.glob("*.seg"):
        found.feed(path.read_bytes())
    return found


CASES = [hup_storm, bad_reloads, second_instance]
