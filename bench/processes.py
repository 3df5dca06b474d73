"""A server under test: started, ready, measured, stopped. What is measured is only this process."""

import re
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

READY_MAX_S = 10  # from start to the ready line
SETTLE_MAX_S = 10  # without progress before records count as lost
STOP_MAX_S = 15  # from SIGTERM to the end; the default grace is 8 s
POLL_S = 0.02


class Failure(Exception):
    """A run that came to nothing, and why."""


def spent(before, after):
    """User and system seconds between two times: the sum to the nanosecond, divided as the kernel's ticks are."""
    total, user, system = (late - early for early, late in zip(before, after))
    share = user / (user + system) if user + system else 1.0
    return total * share, total * (1 - share)


def settled(figure, expected):
    """Polls a figure that grows until it is what is expected, or has not moved for a while: the figure, and when."""
    last, moved = -1, time.monotonic()
    while True:
        current, now = figure(), time.monotonic()
        if current >= expected:
            return current, now
        if current != last:
            last, moved = current, now
        elif now - moved > SETTLE_MAX_S:
            return current, moved
        time.sleep(POLL_S)


class Process:
    """A program that says on standard error that it is ready."""

    def __init__(self, command, workdir, ready):
        self.log = []
        self.changed = threading.Condition()
        self.started_at = time.monotonic()
        command = [str(word) for word in command]
        self.process = subprocess.Popen(command, cwd=workdir, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.pid = self.process.pid
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.ready = self.wait_for(ready, READY_MAX_S)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.ready_s = self.matched_at - self.started_at

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.log.append((time.monotonic(), line.decode(errors="replace").rstrip()))
                self.changed.notify_all()
        with self.changed:
            self.log.append((time.monotonic(), None))
            self.changed.notify_all()

    def wait_for(self, pattern, seconds):
        """The match of the first line on standard error that fits; `self.matched_at` is its time."""
        deadline, seen = time.monotonic() + seconds, 0
        with self.changed:
            while True:
                for self.matched_at, line in self.log[seen:]:
                    if line is None:
                        raise Failure(f"the server ended early:\n{self.tail()}")
                    if match := re.search(pattern, line):
                        return match
                seen = len(self.log)
                if not self.changed.wait(deadline - time.monotonic()):
                    raise Failure(f"no line with /{pattern}/ within {seconds} s:\n{self.tail()}")

    def tail(self):
        return "\n".join(f"    {line}" for _, line in self.log[-8:] if line is not None)

    def cpu(self):
        """What it has used so far; see `spent`."""
        values = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        # The clock of another process (clock_getcpuclockid(3)); threads that ended are in it.
        return time.clock_gettime((~self.pid << 3) | 2), int(values[11]), int(values[12])

    def memory(self, name="VmHWM"):
        """Resident bytes: the peak so far, or VmRSS, those of now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024

    def stop(self, sent_signal=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sent_signal)
        try:
            return self.process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed"


class Yardstick(Process):
    """The minimal loop, or the acknowledger."""

    def __init__(self, command, workdir):
        super().__init__(command, workdir, r"ready (\S+)")
        self.address = self.ready[1]

    def wait_delivered(self, expected):
        """Lines, or requests and bytes: how many of them came; with the time when that was known."""
        done = self.wait_for(r"done (\d+)(?: (\d+))?", SETTLE_MAX_S)
        ended = self.matched_at
        return (int(done[1]) if done[2] is None else int(done[2])), ended


def config(source, sinks, more=""):
    """One source and some sinks, all else at its default."""
    outs = "".join(f"  out{number}: {sink}\n" for number, sink in enumerate(sinks))
    return f"sources:\n  in: {source}\nsinks:\n{outs}{more}admin: {{listen: '127.0.0.1:0'}}\n"


class Logboom(Process):
    """`logboom run` with a configuration whose listeners have port 0."""

    def __init__(self, binary, workdir, text):
        path = Path(workdir) / f"logboom-{time.monotonic_ns()}.yaml"
        path.write_text(text)
        super().__init__([binary, "run", "-c", path], workdir, r"ready: (.*)")
        self.addresses = re.findall(r"\b(?:lines|otlp) (127\.0\.0\.1:\d+)", self.ready[1])
        admin = re.search(r"\badmin (127\.0\.0\.1:\d+)", self.ready[1])
        if not self.addresses or not admin:
            self.process.kill()
            raise Failure(f"the ready line names no address: {self.ready[1]}")
        self.address, self.admin = self.addresses[0], admin[1]

    def page(self, path):
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as response:
            return response.read().decode()

    def metrics(self):
        """Sums over labels, by name."""
        sums = {}
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", self.page("/metrics"), re.MULTILINE):
            sums[name] = sums.get(name, 0) + float(value)
        return sums

    def wait_delivered(self, expected):
        """Polls until all is delivered, or nothing has moved for a while."""
        return settled(lambda: int(self.metrics().get("logboom_delivered_records_total", 0)), expected)
