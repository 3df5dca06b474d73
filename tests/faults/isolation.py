"""What one sink must not do to another, and memory that is really capped."""

import os
import time
from pathlib import Path

from harness import Skip, file_sink, row, sources
from matrix import upstream_sink
from oracle import MARK
from process import large_messages
from upstream import Answer, Upstream
from waiting import until

CGROUP = Path("/sys/fs/cgroup/memory")
CAP_BYTES = 128 << 20


@row(24)
def slow_sink(environment, verdict):
    """An upstream that takes 100 records/s beside a file: the file keeps 95 % of its solo speed at 200,000 lines/s, and what the upstream
    has not got is in the journal, or counted as shed without one."""
    def answer(message):
        return Answer(delay_s=max(1, message.count(MARK) or message.count(b"GET ")) / 100)

    seconds, speeds = environment.pick(60, 3), {"solo": [], "beside": []}
    for number in range(environment.pick(5, 2)):
        for kind in ("solo", "beside"):
            path = environment.directory / f"{kind}-{number}.log"
            mock = Upstream(answer=answer)
            environment.afterwards(mock.close)
            sinks = {"files": {**file_sink(path), "rotate": {"size": "256MiB"}, "keep": {"files": 1}}}
            if kind == "beside":
                sinks["slow"] = upstream_sink(mock.port, timeout="60s", wait_max="0s")
            journal = environment.journal_if_any(mode="buffered", max="1GiB")
            if journal:
                journal["journal"]["dir"] += f"-{kind}-{number}"
            logboom = environment.logboom({"sources": sources(), "sinks": sinks, **journal}, verdict)
            report = environment.gen(
                "--format", "kuma-http", "--rate", "200k", "--duration", f"{seconds}s", "--connections", 4, "--per-write", 0,
                "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
            ).report(seconds + 60)
            begun = time.monotonic()
            verdict.expect(until(lambda: logboom.behind("files") == 0, 30), "the file is behind")  # noqa: B023
            speeds[kind].append(report["records"] / (seconds + time.monotonic() - begun))
            verdict.expect(logboom.shed("files") == 0, f"the file missed {logboom.shed('files')}")
            if kind == "beside":
                slow = logboom.sink("slow")
                left = report["records"] - slow["delivered_records"]
                verdict.figure("slow: delivered, behind, shed", (slow["delivered_records"], logboom.behind("slow"), logboom.shed("slow")))
                verdict.expect(left > report["records"] * 0.9, "the slow sink was not slow: this shows nothing")
                logboom.check_memory()
            logboom.kill()
            mock.close()
            path.unlink()
    solo, beside = (sorted(speeds[kind])[len(speeds[kind]) // 2] for kind in ("solo", "beside"))
    verdict.figure("solo lines/s", round(solo))
    verdict.figure("beside lines/s", round(beside))
    verdict.figure("ratio", round(beside / solo, 3))
    verdict.expect(beside >= 0.95 * solo, f"beside a slow sink the file is at {beside / solo:.0%} of its speed")


@row(50)
def memory_cap(environment, verdict):
    """128 MiB for the whole process, a file and a dead upstream, 150 connections of lines and 50 clients with messages of 3 MB: it is not
    killed, and messages get through."""
    _capped_run(environment, verdict, ("raw", "dead"), CAP_BYTES)


@row(50)
def memory_cap_four(environment, verdict):
    """The same with four sinks, which need more: capped at the bound that it prints itself, it is not killed."""
    _capped_run(environment, verdict, ("raw", "json", "nowhere", "dead"), None)


@row(50)
def memory_small(environment, verdict):
    """The same with two sinks and room: resident memory stays below the bound that it prints itself."""
    _capped_run(environment, verdict, ("raw", "dead"), 1 << 30)


def _capped_run(environment, verdict, names, cap):
    group = _group(environment)
    directory = environment.directory
    described = sources()
    described["otlp"].update({"message_max": "4MiB", "connections_max": 64})
    described["mesh"].update({"connections_max": 160})
    bounded = {"rotate": {"size": "64MiB"}, "keep": {"files": 1}, "inbox": "2MiB"}
    sinks = {
        "raw": {**file_sink(directory / "raw.log"), **bounded}, "json": {**file_sink(directory / "all.json", "json"), **bounded},
        "nowhere": {"type": "null", "inbox": "1MiB"}, "dead": upstream_sink(1, inbox="2MiB", wait_max="0s"),
    }
    config = {
        "sources": described, "memory": "24MiB", "sinks": {name: sinks[name] for name in names},
        **environment.journal_if_any(mode="buffered", max="256MiB"),
    }
    logboom = environment.logboom(config, verdict, before=lambda: (group / "cgroup.procs").write_text(str(os.getpid())))
    bound = logboom.status()["memory_bound_bytes"]
    (group / "memory.limit_in_bytes").write_text(str(cap or bound))
    verdict.figure("cap", f"cgroup, {(cap or bound) >> 20} MiB")
    verdict.figure("bound MiB", bound >> 20)
    seconds = environment.pick(600, 6)
    load = environment.gen(
        "--format", "mixed", "--rate", "max", "--connections", 150, "--duration", f"{seconds}s",
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    codes = large_messages(logboom, seconds, 50, records=3)
    report = load.report(seconds + 60)
    control = dict(line.split() for line in (group / "memory.oom_control").read_text().splitlines())
    verdict.figure("lines", report["records"])
    verdict.figure("messages", codes)
    verdict.equal("kills", int(control["oom_kill"]), 0)
    verdict.figure("times at the cap", int((group / "memory.failcnt").read_text()))
    if verdict.expect(logboom.alive(), f"it has ended, code {logboom.process.poll()}"):
        logboom.check_memory()
        verdict.expect(codes.get("OK", 0) > seconds / 2, "hardly a message gets through")
        files = [name for name in names if name in ("raw", "json")]
        verdict.expect(until(lambda: logboom.behind(*files) == 0, 30), "the files are behind")
        logboom.stop(codes=(0, 3))


def _group(environment):
    """A control group for what a case starts in it."""
    group = CGROUP / f"logboom-faults-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as why:
        raise Skip(f"no control group can be made here: {why}") from why
    environment.afterwards(lambda: until(lambda: _removed(group), 5))
    return group


def _removed(group):
    try:
        group.rmdir()
    except OSError:
        return False
    return True


CASES = [slow_sink, memory_cap, memory_cap_four, memory_small]
