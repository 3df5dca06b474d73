"""The file sink: rotation, a full disk, and files that somebody takes away."""

import gzip
import os
import re
import signal
import subprocess
import time

from harness import Skip, contains, file_sink, row, send_line, sources
from ids import Ids, in_order
from waiting import until


GAP = rb"(\d+) records from ([\w-]+) did not reach"


@row(21)
def rotation_gzip(environment, verdict):
    """Rotation at 1 MiB with gzip under full load: each line once, in the order of its connection, none torn."""
    _rotation(environment, verdict, "gzip")


@row(21)
def rotation_zstd(environment, verdict):
    """The same with zstd."""
    if subprocess.run(["sh", "-c", "command -v zstd"], capture_output=True, check=False).returncode != 0:
        raise Skip("there is no zstd program to read the files with")
    _rotation(environment, verdict, "zstd")


def _rotation(environment, verdict, compress):
    directory = environment.directory / "out"
    sink = {**file_sink(directory / "access.log"), "rotate": {"size": "1MiB"}, "compress": compress}
    logboom = environment.logboom({"sources": sources(), "sinks": {"files": sink}}, verdict)
    seconds = environment.pick(60, 5)
    load = environment.gen(
        "--format", "kuma-http", "--id", "--rate", "max", "--connections", 4, "--duration", f"{seconds}s",
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    report = load.report(seconds + 60)
    verdict.expect(not report["errors"], f"gen: {report['errors']}")
    verdict.expect(logboom.settled(60), "records are still on their way a minute after the last was sent")
    verdict.equal("shed", logboom.shed("files"), 0)
    rotations = logboom.metric("logboom_file_rotations_total", sink="files", reason="size")
    verdict.figure("lines/s", report.get("records_per_second"))
    verdict.figure("rotations", rotations)
    verdict.expect(rotations > 0, "nothing rotated")
    cut = logboom.cut_lines()
    _, seconds, ledger = logboom.stop()
    verdict.figure("stop s", round(seconds, 2))
    verdict.equal("delivered", ledger.get("files", {}).get("delivered"), report["records"] + cut)
    finished, current = _files(directory, "access")
    verdict.equal("finished files", len(finished), rotations)
    verdict.figure("compressed", sum(path.suffix in (".gz", ".zst") for path in finished))
    verdict.expect(not list(directory.glob("*.tmp")), "a compression has left its temporary file behind")
    ids = Ids()
    for path in [*finished, current]:
        ids.feed(_content(path))
    in_order(verdict, ids, report, cut=cut)


@row(13)
def disk_full(environment, verdict):
    """A full disk: no torn line, nothing settled that is not written, the other sink whole; it goes on once there is room."""
    disk = environment.directory / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        raise Skip("only root may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "logboom-faults", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        raise Skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        _disk_full(environment, verdict, disk)
    finally:
        environment.end()
        subprocess.run(["umount", "-l", str(disk)], check=False)


def _disk_full(environment, verdict, disk):
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(5 << 20))
    config = {
        "sources": sources(),
        "sinks": {
            "small": {**file_sink(disk / "out/small.log"), "rotate": {"size": "1MiB"}, "inbox": "1MiB", "wait_max": "500ms"},
            "other": file_sink(environment.directory / "other.log"),
        },
    }
    logboom = environment.logboom(config, verdict)
    count = environment.pick(600_000, 100_000)
    load = environment.gen(
        "--format", "kuma-http", "--id", "--rate", "20k", "--count", count, "--connections", 4, "--per-write", 1,
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    full = until(lambda: logboom.sink("small")["state"] != "healthy", 30)
    verdict.expect(full, "the disk never became full")
    time.sleep(2)
    state = logboom.sink("small")
    verdict.expect("error" in state, f"/status does not say why: {state}")
    delivered, ids = state["delivered_records"], _small(disk)
    verdict.equal("torn while full", ids.torn, 0)
    verdict.expect(ids.lines >= delivered, f"{delivered} settled, only {ids.lines} written")
    report = load.report(180)
    verdict.expect(until(lambda: logboom.sink("other")["in_flight_records"] == 0, 30), "the other sink is behind")
    verdict.equal("other shed", logboom.shed("other"), 0)
    freed = time.monotonic()
    ballast.unlink()
    resumed = until(lambda: logboom.sink("small")["state"] == "healthy" and logboom.sink("small")["in_flight_records"] == 0, 15, 0.01)
    verdict.figure("resume ms", round((time.monotonic() - freed) * 1000))
    verdict.expect(resumed, f"not resumed 15 s after there was room: {logboom.sink('small')}")
    shed = logboom.shed("small")
    verdict.figure("shed", shed)
    cut = logboom.cut_lines()
    _, _, ledger = logboom.stop()
    ids = _small(disk)
    gaps = [int(re.search(GAP, line)[1]) for line in ids.others]
    verdict.equal("told in gap records", sum(gaps), shed)
    verdict.equal("delivered", ledger.get("small", {}).get("delivered"), ids.lines)
    in_order(verdict, ids, report, shed, cut)
    other = Ids()
    other.feed((environment.directory / "other.log").read_bytes())
    verdict.equal("missing in other", other.missing(report), 0)
    verdict.equal("torn in other", other.torn, 0)


def _small(disk):
    ids = Ids(besides=GAP)
    finished, current = _files(disk / "out", "small")
    for path in [*finished, current]:
        ids.feed(path.read_bytes())
    return ids


@row(22)
def removed(environment, verdict):
    """The active file is removed under load: begun anew at once; only what was in the removed files is gone with them."""
    handles = []

    def remove(path, _):
        # Open, the file can still be read when it has no name any more.
        handles.append(path.open("rb"))
        path.unlink()

    def removed_content():
        return [handle.read() for handle in handles]

    _disturbed(environment, verdict, remove, removed_content)
    for handle in handles:
        handle.close()


@row(22)
def renamed(environment, verdict):
    """The active file is renamed and SIGHUP sent, as log rotators do: nothing is lost, torn or written twice."""
    moved = []

    def rename(path, logboom):
        moved.append(path.with_name(f"moved-{len(moved)}"))
        path.rename(moved[-1])
        logboom.process.send_signal(signal.SIGHUP)

    _disturbed(environment, verdict, rename, lambda: [path.read_bytes() for path in moved])


def _disturbed(environment, verdict, disturb, earlier_content):
    path = environment.directory / "out/access.log"
    config = {"sources": sources(), "sinks": {"files": file_sink(path)}}
    logboom = environment.logboom(config, verdict)
    load, seconds = _steady(environment, logboom)
    slowest, ends = 0.0, time.monotonic() + seconds - 2
    times = 0
    while time.monotonic() < ends:
        time.sleep(0.3)
        disturb(path, logboom)
        begun = time.monotonic()
        verdict.expect(until(path.exists, 5, 0.005), "no new file after 5 s")
        slowest, times = max(slowest, time.monotonic() - begun), times + 1
    report = load.report(60)
    verdict.expect(logboom.settled(), "records are still on their way")
    verdict.equal("shed", logboom.shed("files"), 0)
    cut = logboom.cut_lines()
    logboom.stop()
    verdict.figure("times", times)
    verdict.figure("slowest reopen ms", round(slowest * 1000))
    verdict.expect(slowest <= 1.5, f"reopening took {slowest:.1f} s")
    ids = Ids()
    for content in [*earlier_content(), path.read_bytes()]:
        ids.feed(content)
    in_order(verdict, ids, report, cut=cut)


@row(22)
def truncated(environment, verdict):
    """The active file is truncated under load: it goes on from the new end, without holes, torn lines or doubles."""
    path = environment.directory / "out/access.log"
    logboom = environment.logboom({"sources": sources(), "sinks": {"files": file_sink(path)}}, verdict)
    load, seconds = _steady(environment, logboom)
    ends, times = time.monotonic() + seconds - 2, 0
    while time.monotonic() < ends:
        time.sleep(0.3)
        os.truncate(path, 0)
        times += 1
    report = load.report(60)
    verdict.expect(logboom.settled(), "records are still on their way")
    logboom.stop()
    data, ids = path.read_bytes(), Ids()
    ids.feed(data)
    verdict.figure("times", times)
    verdict.figure("records", report["records"])
    verdict.equal("zero bytes", data.count(b"\0"), 0)
    verdict.equal("torn", ids.torn, 0)
    verdict.equal("duplicates", ids.duplicates, 0)
    verdict.equal("disordered", ids.disordered, 0)
    # Only beginnings may be missing: what came after the last truncation is all there.
    verdict.expect(ids.records() > 0 and ids.holes() <= 4, f"{ids.holes()} holes after the last truncation")


@row(23)
def directory_gone(environment, verdict):
    """The directory is moved away and a file put in its place: nothing is lost, and once the way is free the
    directory is there again within two seconds."""
    directory, away = environment.directory / "out", environment.directory / "away"
    path = directory / "access.log"
    logboom = environment.logboom({"sources": sources(), "sinks": {"files": file_sink(path)}}, verdict)
    load, seconds = _steady(environment, logboom)
    time.sleep(seconds / 4)
    directory.rename(away)
    directory.write_text("in the way")
    logboom.process.send_signal(signal.SIGHUP)
    time.sleep(seconds / 4)
    directory.unlink()
    freed = time.monotonic()
    verdict.expect(until(path.exists, 10, 0.01), "the directory is not made again")
    verdict.figure("resume ms", round((time.monotonic() - freed) * 1000))
    verdict.expect(time.monotonic() - freed < 2, "later than two seconds")
    report = load.report(60)
    verdict.expect(logboom.settled(), "records are still on their way")
    verdict.equal("shed", logboom.shed("files"), 0)
    cut = logboom.cut_lines()
    logboom.stop()
    ids = Ids()
    for one in (away / "access.log", path):
        ids.feed(one.read_bytes())
    in_order(verdict, ids, report, cut=cut)


@row(23)
def path_taken(environment, verdict):
    """A directory, then a symbolic link sits at the path: the sink says so and follows nothing, the other goes on,
    and what was held is written once the way is free."""
    path, other, elsewhere = (environment.directory / name for name in ("out/access.log", "other.log", "elsewhere"))
    logboom = environment.logboom({"sources": sources(), "sinks": {"files": file_sink(path, wait_max="10s"), "other": file_sink(other)}}, verdict)
    send_line(logboom.lines, "first")
    verdict.expect(until(lambda: contains(path, "first"), 5), "the first line was not written")
    obstacles = {"directory": (path.mkdir, path.rmdir), "link": (lambda: path.symlink_to(elsewhere), path.unlink)}
    for name, (block, free) in obstacles.items():
        path.unlink()
        block()
        logboom.process.send_signal(signal.SIGHUP)
        verdict.expect(until(lambda: logboom.sink("files")["state"] == "failing", 5), f"{name}: /status does not say so")
        verdict.expect("error" in logboom.sink("files"), f"{name}: /status does not say why")
        send_line(logboom.lines, f"during {name}")
        verdict.expect(until(lambda: contains(other, f"during {name}"), 5), f"{name}: the other sink does not go on")  # noqa: B023
        free()
        freed = time.monotonic()
        verdict.expect(until(lambda: contains(path, f"during {name}"), 10, 0.01), f"{name}: what was held is missing")  # noqa: B023
        verdict.figure(f"resume after {name} ms", round((time.monotonic() - freed) * 1000))
    verdict.expect(not elsewhere.exists(), "the link was followed")
    verdict.expect(logboom.settled(), "records are still on their way")
    verdict.equal("shed", logboom.shed("files") + logboom.shed("other"), 0)
    logboom.stop()


def _steady(environment, logboom):
    seconds = environment.pick(30, 6)
    load = environment.gen(
        "--format", "kuma-http", "--id", "--rate", "30k", "--duration", f"{seconds}s", "--connections", 4,
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    return load, seconds


def _files(directory, stem):
    """Finished files in the order written, and the one that is active."""
    finished = {}
    for path in directory.glob(f"{stem}@*"):
        if match := re.fullmatch(rf"{stem}@(\d+)-\S+?\.log(\.gz|\.zst)?", path.name):
            finished[int(match[1])] = path
    return [finished[number] for number in sorted(finished)], directory / f"{stem}.log"


def _content(path):
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
    return path.read_bytes()


CASES = [rotation_gzip, rotation_zstd, disk_full, removed, renamed, truncated, directory_gone, path_taken]
