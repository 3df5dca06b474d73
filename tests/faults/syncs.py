"""Disks that fail to sync, or take long: system calls that fail from outside."""

import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from disks import Scene
from harness import Skip, connect, file_sink, row, sources
from running import GRACE_S
from waiting import percentiles, until


def strace(environment, inject):
    """A wrapper that lets system calls fail from outside. The traced process keeps its id; the tracer writes to a file."""
    probe = subprocess.run(["strace", "-D", "-f", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=1", "true"],
                           capture_output=True, text=True, check=False) if _exists("strace") else None
    if probe is None or probe.returncode != 0:
        why = "there is no strace" if probe is None else f"ptrace is not permitted here: {probe.stderr.strip()}"
        print(f"NOTICE: {why}; faults of the disk are NOT tested", flush=True)
        raise Skip(why)
    trace = environment.directory / "strace.log"
    # Interruptible, or it could not be ended without the process; without a filter in the kernel, which would outlive it.
    return ["strace", "-D", "-I", "1", "-f", "-y", "-o", str(trace), "-e", "trace=fdatasync", "-e", f"inject={inject}"], trace


def _exists(program):
    return subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True, check=False).returncode == 0


def heal(logboom):
    """Ends the tracer: system calls work again."""
    tracer = _tracer(logboom)
    if tracer:
        os.kill(tracer, signal.SIGTERM)
    return tracer and until(lambda: not _tracer(logboom), 5)


def _tracer(logboom):
    with open(f"/proc/{logboom.pid}/status") as status:
        return int(re.search(r"TracerPid:\s+(\d+)", status.read())[1])


def ready(logboom):
    """Whether /readyz says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{logboom.admin}/readyz", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


@row(9)
def sync_fails_once(environment, verdict):
    """fdatasync fails once with EIO: nothing acknowledged is lost, not even by a kill -9 right after; the file is never synced again;
    it goes on by itself."""
    environment.needs_journal()
    wrap, trace = strace(environment, "fdatasync:error=EIO:when=20")
    scene = Scene(environment, verdict, environment.journal(mode="durable"), wrap)
    verdict.expect(until(lambda: "EIO" in trace.read_text(), 20), "fdatasync was not called 20 times: this shows nothing")
    before, begun = scene.acked(), time.monotonic()
    verdict.expect(until(lambda: scene.acked() > before + 100, 10, 0.01), "nothing is acknowledged any more")
    verdict.figure("recover ms", round((time.monotonic() - begun) * 1000))
    scene.logboom.crash()
    logboom = environment.logboom(scene.config, verdict)
    scene.finish(verdict, logboom)
    _never_synced_again(verdict, trace)
    logboom.stop()


@row(9)
def sync_fails_always(environment, verdict):
    """fdatasync fails for good: not one more acknowledgement, requests are answered UNAVAILABLE, /readyz says so, the process lives and goes on
    by itself once the disk works; what was acknowledged before arrives."""
    environment.needs_journal()
    wrap, trace = strace(environment, "fdatasync:error=EIO:when=20+")
    scene = Scene(environment, verdict, environment.journal(mode="durable"), wrap)
    verdict.expect(until(lambda: "EIO" in trace.read_text(), 20), "fdatasync was not called 20 times: this shows nothing")
    time.sleep(1)
    before, failed = scene.acked(), dict(scene.codes())
    time.sleep(environment.pick(10, 4))
    verdict.equal("acknowledged while nothing can be synced", scene.acked() - before, 0)
    codes = {code: count - failed.get(code, 0) for code, count in scene.codes().items() if count > failed.get(code, 0)}
    verdict.figure("answers then", codes)
    verdict.expect(set(codes) <= {"UNAVAILABLE"} and codes, f"answers: {codes}")
    verdict.expect(not ready(scene.logboom), "/readyz says ready while nothing can be acknowledged")
    verdict.expect(scene.logboom.alive(), "it has ended")
    cpu = scene.logboom.cpu_s()
    time.sleep(1)
    verdict.figure("CPU % meanwhile", round(100 * (scene.logboom.cpu_s() - cpu)))
    verdict.expect(heal(scene.logboom), "the tracer is gone")
    begun = time.monotonic()
    verdict.expect(until(lambda: scene.acked() > before + 100, 30, 0.01), "nothing is acknowledged once the disk works")
    verdict.figure("recover ms", round((time.monotonic() - begun) * 1000))
    verdict.expect(until(lambda: ready(scene.logboom), 5), "/readyz does not say ready again")
    scene.finish(verdict)
    _never_synced_again(verdict, trace)
    scene.logboom.stop()


def _never_synced_again(verdict, trace):
    failed, again = set(), 0
    for path, result in re.findall(r"fdatasync\(\d+<([^>]*\.seg)>\)\s+= (\S+)", trace.read_text()):
        again += path in failed
        if result.startswith("-1"):
            failed.add(path)
    verdict.figure("syncs that failed", len(failed))
    verdict.equal("syncs of a file after one failed", again, 0)


@row(14)
def disk_stall(environment, verdict):
    """Every fdatasync takes 10 s: requests wait or are refused, health answers within 100 ms, memory stays bounded, nothing acknowledged is lost."""
    environment.needs_journal()
    wrap, _ = strace(environment, f"fdatasync:delay_exit={environment.pick(10_000_000, 3_000_000)}:when=10+")
    scene = Scene(environment, verdict, environment.journal(mode="durable"), wrap)
    over, waits = threading.Event(), []

    def probe():
        while not over.wait(0.05):
            begun = time.monotonic()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{scene.logboom.admin}/livez", timeout=5) as answer:
                    answer.read()
            except OSError:
                pass
            waits.append(time.monotonic() - begun)

    prober = threading.Thread(target=probe, daemon=True)
    prober.start()
    time.sleep(environment.pick(40, 8))
    over.set()
    prober.join(10)
    health = sorted(waits)[int(len(waits) * 0.99)]
    verdict.figure("health ms p50/p99/max", percentiles(waits))
    verdict.figure("requests ms p50/p99/max", percentiles([one for producer in scene.producers for one in producer.waits_s]))
    verdict.figure("answers", scene.codes())
    # Of 160 readings the second slowest is the machine's. A blocked runtime would take as long as the disk.
    verdict.expect(health <= environment.pick(0.1, 0.5), f"health answered after {health * 1000:.0f} ms")
    scene.logboom.check_memory()
    heal(scene.logboom)
    scene.finish(verdict)
    scene.logboom.stop()


class Lines:
    """A connection that sends numbered lines to a file sink with the default `sync`, and how long each took to its file."""

    def __init__(self, environment, verdict, inject):
        wrap, self.trace = strace(environment, inject)
        self.directory = environment.directory / "out"
        sink = {**file_sink(self.directory / "access.log"), "sync": "1s"}
        self.logboom = environment.logboom({"sources": sources(), "sinks": {"files": sink}}, verdict, wrap=wrap)
        self.verdict, self.sent, self.waits = verdict, 0, []

    def send(self, seconds):
        over = time.monotonic() + seconds
        with connect(self.logboom.lines) as stream:
            while time.monotonic() < over:
                line = f"line {self.sent:08d}\n".encode()
                begun = time.monotonic()
                stream.sendall(line)
                self.sent += 1
                self.verdict.expect(until(lambda line=line: line in self.current(), 20, 0.001), f"{line} does not come")
                self.waits.append(time.monotonic() - begun)

    def current(self):
        try:
            return (self.directory / "access.log").read_bytes()[-100:]
        except FileNotFoundError:
            return b""

    def complete(self):
        text = b"".join(path.read_bytes() for path in sorted(self.directory.iterdir(), key=lambda path: (path.name == "access.log", path.name)))
        wanted = b"".join(f"line {number:08d}\n".encode() for number in range(self.sent))
        self.verdict.expect(text == wanted, "lines are missing, out of order or altered")
        self.verdict.figure("to the file ms p50/p99/max", percentiles(self.waits))


@row(9)
def file_sync_fails(environment, verdict):
    """fdatasync of a file fails once with EIO while lines come: counted once, the file is finished and never synced again, the next
    one begun; no line waits for it, none is missing."""
    scene = Lines(environment, verdict, "fdatasync:error=EIO:when=3")
    scene.send(environment.pick(15, 6))
    failed = until(lambda: scene.logboom.metric("logboom_write_errors_total", sink="files", reason="sync"), 5)
    verdict.expect(failed, "no sync has failed: this shows nothing")
    verdict.equal("failed syncs", scene.logboom.metric("logboom_write_errors_total", sink="files", reason="sync"), 1)
    verdict.equal("finished for it", scene.logboom.metric("logboom_file_rotations_total", sink="files", reason="error"), 1)
    verdict.expect(until(lambda: ready(scene.logboom), 5), "/readyz does not say ready again")
    scene.logboom.stop()
    scene.complete()
    verdict.equal("syncs of the finished file", len(re.findall(r"fdatasync\(\d+<[^>]*@", scene.trace.read_text())), 0)


@row(14)
def file_sync_stall(environment, verdict):
    """fdatasync of a file takes a minute: no line waits for it, one sync is under way and no second, the end comes within the grace."""
    scene = Lines(environment, verdict, "fdatasync:delay_exit=60000000:when=2+")
    scene.send(environment.pick(30, 6))
    verdict.expect(max(scene.waits) < 1, f"a line took {max(scene.waits):.1f} s to its file")
    verdict.equal("syncs begun", len(re.findall(r"fdatasync\(", scene.trace.read_text())), 2)
    begun = time.monotonic()
    scene.logboom.process.send_signal(signal.SIGTERM)
    told = f"files: delivered {scene.sent}, shed 0, failed 0, undelivered 0"
    verdict.expect(until(lambda: told in scene.logboom.log.read_text(), GRACE_S + 1), f"no ledger within the grace that says '{told}'")
    verdict.figure("stop s", round(time.monotonic() - begun, 2))
    # The tracer keeps what it delays from being buried.
    heal(scene.logboom)
    verdict.equal("exit code", scene.logboom.ended(5), 0)
    scene.complete()


CASES = [sync_fails_once, sync_fails_always, disk_stall, file_sync_fails, file_sync_stall]
