"""Disks that fill up, under the journal and under files."""

import os
import re
import subprocess
import time

from chaos import Proxy
from crashes import fixed_sources, kuma_dp, sent
from files import GAP
from harness import Skip, file_sink, row, sources
from ids import Ids, in_order
from matrix import upstream_sink
from oracle import FRESH_SIZES, Delivered, Producer, fresh, judge
from upstream import OK, Upstream
from waiting import until

SIZE = 300


def tmpfs(environment, name, options):
    """A small disk, unmounted when the case is over."""
    disk = environment.directory / name
    disk.mkdir()
    if os.geteuid() != 0:
        raise Skip("only root may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", options, "logboom-faults", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        raise Skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    environment.afterwards(lambda: subprocess.run(["umount", "-l", str(disk)], check=False))
    return disk


class Scene:
    """Two producers, a journal, one upstream behind a proxy."""

    def __init__(self, environment, verdict, journal, wrap=(), rate=2000, otlp=None):
        self.delivered = Delivered({1: SIZE, 2: SIZE, **FRESH_SIZES})
        self.mock = Upstream(self.delivered)
        self.proxy = Proxy(self.mock.port)
        environment.afterwards(self.mock.close)
        environment.afterwards(self.proxy.close)
        described = fixed_sources()
        described["otlp"].update(otlp or {})
        retry = {"initial": "50ms", "max": "500ms"}
        self.config = {"sources": described, "sinks": {"up": upstream_sink(self.proxy.port, retry=retry)}, **journal}
        self.logboom = environment.logboom(self.config, verdict, wrap=wrap)
        self.producers = [Producer(number, self.logboom.otlp, 20, SIZE, rate) for number in (1, 2)]
        environment.afterwards(lambda: [one.finish(0) for one in self.producers])

    def codes(self):
        total = {}
        for one in self.producers:
            for code, count in one.codes.items():
                total[code] = total.get(code, 0) + count
        return total

    def acked(self):
        return sum(one.ledger.acked() for one in self.producers)

    def finish(self, verdict, logboom=None):
        logboom = logboom or self.logboom
        for one in self.producers:
            verdict.expect(one.finish(), "a producer still waits for an answer")
        verdict.expect(until(lambda: logboom.behind() == 0, 30), f"{logboom.behind()} records never arrived")
        verdict.expect(fresh(logboom.otlp, self.delivered) is not None, "a fresh record does not arrive within 5 s")
        judge(verdict, [one.ledger for one in self.producers], self.delivered)


@row(12)
def journal_disk_full(environment, verdict):
    """The disk of the journal is full and the upstream dead: requests are answered UNAVAILABLE, the process lives; with room it goes on within
    2 s, with the upstream everything acknowledged arrives, and what is delivered is deleted."""
    environment.needs_journal()
    disk = tmpfs(environment, "disk", "size=24m")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(8 << 20))
    journal = {"journal": {"dir": str(disk / "journal"), "mode": "durable", "max": "2GiB"}}
    scene = Scene(environment, verdict, journal, rate=20_000, otlp={"hold_max": "200ms"})
    scene.proxy.down()
    verdict.expect(until(lambda: "UNAVAILABLE" in scene.codes(), 60), f"the disk never became full: {scene.codes()}")
    time.sleep(1)
    before = scene.acked()
    ballast.unlink()
    begun = time.monotonic()
    verdict.expect(until(lambda: scene.acked() > before + 20, 10, 0.01), "not resumed 10 s after there was room")
    seconds = time.monotonic() - begun
    verdict.figure("resume ms", round(seconds * 1000))
    verdict.expect(seconds <= 2, f"resumed after {seconds:.1f} s")
    full = scene.codes()["UNAVAILABLE"]
    verdict.expect(until(lambda: scene.codes()["UNAVAILABLE"] > full + 5, 60), "the disk did not become full again")
    before = scene.acked()
    scene.proxy.up()
    begun = time.monotonic()
    verdict.expect(until(lambda: scene.acked() > before + 20, 20, 0.01), "a full disk stays full although everything can be delivered")
    verdict.figure("resume with the upstream ms", round((time.monotonic() - begun) * 1000))
    verdict.figure("answers", scene.codes())
    verdict.expect(set(scene.codes()) <= {"OK", "UNAVAILABLE"}, f"answers: {scene.codes()}")
    scene.finish(verdict)
    scene.logboom.stop()


@row(12)
def journal_max(environment, verdict):
    """The journal has reached its own limit and the upstream is dead: requests are held for `hold_max`, then answered UNAVAILABLE; the directory never
    holds more than `max`; with the upstream it goes on by itself and everything acknowledged arrives."""
    environment.needs_journal()
    limit = 16 << 20
    journal = environment.journal(mode="buffered", max="16MiB")
    scene = Scene(environment, verdict, journal, rate=20_000, otlp={"hold_max": "500ms", "message_max": "1MiB"})
    scene.proxy.down()
    verdict.expect(until(lambda: "UNAVAILABLE" in scene.codes(), 60), f"the journal never became full: {scene.codes()}")
    directory, most = environment.directory / "journal", 0
    for _ in range(20):
        most = max(most, sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file()))
        time.sleep(0.1)
    verdict.figure("on disk at most MiB", round(most / (1 << 20), 1))
    verdict.expect(most <= limit, f"{most} bytes on the disk, at most {limit} are allowed")
    held = max(one.slowest_s for one in scene.producers)
    verdict.figure("held at most ms", round(held * 1000))
    verdict.expect(0.4 <= held <= 2.5, f"a request was held for {held:.1f} s, hold_max is 0.5 s")
    before = scene.acked()
    scene.proxy.up()
    begun = time.monotonic()
    verdict.expect(until(lambda: scene.acked() > before + 20, 20, 0.01), "it does not go on with the upstream")
    verdict.figure("resume ms", round((time.monotonic() - begun) * 1000))
    scene.finish(verdict)
    scene.logboom.stop()


@row(12)
def journal_expires(environment, verdict):
    """The journal has reached its limit because one upstream is dead, and lines go on: the file beside it gets each of them, they wait at most for the upstream's
    `wait_max`, its oldest records expire, and what it misses is counted and told in gap records."""
    environment.needs_journal()
    delivered, gaps, path = Delivered({1: SIZE}), [], environment.directory / "out/all.log"

    def answer(message):
        gaps.extend(int(match[1]) for match in re.finditer(GAP, message))
        return OK

    mock = Upstream(delivered, answer)
    proxy = Proxy(mock.port)
    environment.afterwards(mock.close)
    environment.afterwards(proxy.close)
    proxy.down()
    described = fixed_sources()
    described["otlp"]["message_max"] = "1MiB"
    up = upstream_sink(proxy.port, retry={"initial": "50ms", "max": "200ms"}, wait_max="500ms", inbox="1MiB")
    config = {"sources": described, "sinks": {"files": file_sink(path), "up": up}, **environment.journal(mode="buffered", max="16MiB")}
    logboom = environment.logboom(config, verdict)
    sender = kuma_dp(environment, logboom.lines, rate=20_000, seconds=environment.pick(40, 8))
    expired = lambda: logboom.metric("logboom_expired_records_total", sink="up")  # noqa: E731
    verdict.expect(until(lambda: expired() > 0, 20), "nothing expired: this shows nothing")
    report = sent(sender, 90)
    verdict.expect(until(lambda: logboom.behind("files") == 0, 10), "the file is behind")
    most = sum(one.stat().st_blocks * 512 for one in (environment.directory / "journal").rglob("*") if one.is_file())
    proxy.up()
    verdict.expect(until(lambda: logboom.behind() == 0, 30), f"{logboom.behind()} records never arrived")
    missed = expired() + logboom.shed("up")
    written = Delivered({1: SIZE})
    logboom.stop()
    written.feed_lines(path.read_bytes())
    verdict.figure("lines", report["issued"])
    verdict.figure("a write held at most ms", round(report["send_max_s"] * 1000))
    verdict.figure("the sender late at most ms", round(report["late_max_s"] * 1000))
    verdict.figure("expired", missed)
    verdict.figure("on disk MiB", round(most / (1 << 20), 1))
    verdict.equal("missing in the file", sum(not written.has(1, number) for number in range(report["issued"])), 0)
    verdict.equal("missing upstream", sum(not delivered.has(1, number) for number in range(report["issued"])), missed)
    verdict.equal("told in gap records", sum(gaps), missed)
    verdict.equal("duplicates", written.duplicates + delivered.duplicates, 0)
    verdict.expect(report["send_max_s"] <= 1.0, f"a write was held for {report['send_max_s']} s, wait_max is 0.5 s")


@row(13)
def file_disk_full(environment, verdict):
    """The disk of a file is full, with a journal: nothing is lost and nothing torn, the upstream beside it is whole, and it goes on by
    itself from where it was."""
    environment.needs_journal()
    disk = tmpfs(environment, "disk", "size=8m")
    ballast, path = disk / "ballast", disk / "out/small.log"
    ballast.write_bytes(bytes(6 << 20))
    config = {
        "sources": sources(),
        "sinks": {"small": {**file_sink(path), "wait_max": "forever"}, "other": file_sink(environment.directory / "other.log")},
        **environment.journal(mode="buffered"),
    }
    logboom = environment.logboom(config, verdict)
    load = environment.gen(
        "--format", "kuma-http", "--id", "--rate", "10k", "--count", environment.pick(18_000, 12_000), "--connections", 4, "--per-write", 1,
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    verdict.expect(until(lambda: logboom.sink("small")["state"] != "healthy", 30), "the disk never became full")
    report = load.report(60)
    verdict.expect(until(lambda: logboom.behind("other") == 0, 15), "the other file is behind")
    torn = Ids()
    torn.feed(path.read_bytes())
    verdict.equal("torn while full", torn.torn, 0)
    ballast.unlink()
    begun = time.monotonic()
    verdict.expect(until(lambda: logboom.behind("small") == 0, 30, 0.01), "not resumed 30 s after there was room")
    verdict.figure("resume ms", round((time.monotonic() - begun) * 1000))
    verdict.equal("shed", logboom.shed("small") + logboom.shed("other"), 0)
    cut = logboom.cut_lines()
    logboom.stop()
    for name in (path, environment.directory / "other.log"):
        ids = Ids(besides=GAP)
        ids.feed(name.read_bytes())
        in_order(verdict, ids, report, cut=cut)


@row(13)
def file_out_of_inodes(environment, verdict):
    """The disk of a file has no inode left, so rotation cannot make files: nothing is lost, torn or doubled; once there are
    inodes it rotates again."""
    disk = tmpfs(environment, "disk", "size=64m,nr_inodes=12")
    ballast = [disk / f"ballast-{number}" for number in range(5)]
    for one in ballast:
        one.write_bytes(b"")
    path = disk / "out/small.log"
    config = {"sources": sources(), "sinks": {"small": {**file_sink(path), "rotate": {"size": "256KiB"}, "wait_max": "60s"}}}
    logboom = environment.logboom(config, verdict)
    seconds = environment.pick(12, 6)
    load = environment.gen(
        "--format", "kuma-http", "--id", "--rate", "5k", "--duration", f"{seconds}s", "--connections", 4, "--per-write", 1,
        "--seed", environment.seed, "--to", f"lines://127.0.0.1:{logboom.lines}",
    )
    rotations = lambda: logboom.metric("logboom_file_rotations_total", sink="small", reason="size")  # noqa: E731
    time.sleep(seconds / 2)
    stuck = rotations()
    verdict.figure("rotations until inodes ran out", stuck)
    verdict.figure("write errors", logboom.metric("logboom_write_errors_total", sink="small"))
    for one in ballast:
        one.unlink()
    verdict.expect(until(lambda: rotations() > stuck, 15), "it does not rotate again once there are inodes")
    report = load.report(60)
    # Twelve inodes are soon used up again; what is left is written on in the file that is open.
    verdict.expect(logboom.settled(30), "records are still on their way")
    verdict.equal("shed", logboom.shed("small"), 0)
    cut = logboom.cut_lines()
    logboom.stop()
    ids = Ids()
    for piece in sorted(path.parent.glob("small@*"), key=lambda one: int(re.search(r"@(\d+)", one.name)[1])):
        ids.feed(piece.read_bytes())
    ids.feed(path.read_bytes())
    in_order(verdict, ids, report, cut=cut)


CASES = [journal_disk_full, journal_max, journal_expires, file_disk_full, file_out_of_inodes]
