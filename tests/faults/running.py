"""The processes of a case: logboom, which is a black box, and its load.

A configuration goes in, and what is looked at are its sockets, its files, its standard error, /metrics and
/status, and what the kernel says about it.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
import urllib.request

from waiting import until

READY_S = 15.0
GRACE_S = 8.0
SCRAPE_S = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


class NotReady(RuntimeError):
    """It ended, or hung, before it was ready; the message is its log."""


class Logboom:
    """A running logboom. While it runs its ledger is read five times a second.

    `wrap` is a command put before it, which must keep the process id (`strace -D` does); `before` is
    called in the new process; `config` may be a path.
    """

    def __init__(self, binary, directory, name, config, verdict, descriptors=None, stdout=subprocess.DEVNULL,
                 wrap=(), arguments=(), before=None, ready_s=READY_S, **popen):
        path, self.log = directory / f"{name}.json", directory / f"{name}.log"
        if isinstance(config, dict):
            path.write_text(json.dumps({"admin": {"listen": "127.0.0.1:0"}, **config}, indent=1))
        else:
            path = config
        self._verdict, self._name = verdict, name
        self._ready, self._line = threading.Event(), None
        limit = descriptors or resource.getrlimit(resource.RLIMIT_NOFILE)[1]

        def prepare():
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            if before:
                before()

        started = time.monotonic()
        self.process = subprocess.Popen(
            [*wrap, binary, "run", "-c", path, *arguments], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
            text=True, errors="replace", preexec_fn=prepare, **popen,
        )
        self.config, self.pid = path, self.process.pid
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()
        if not self._ready.wait(ready_s) or self._line is None:
            self.process.kill()
            raise NotReady(f"logboom is not ready:\n{self.log.read_text()[-2000:]}")
        self.ready_s = time.monotonic() - started
        self.lines = self._port(r"lines (?:127\.0\.0\.1|0\.0\.0\.0):(\d+)")
        self.otlp = self._port(r"otlp (?:127\.0\.0\.1|0\.0\.0\.0):(\d+) \(grpc\)")
        self.admin = self._port(r"admin 127\.0\.0\.1:(\d+)")
        self.imbalance_max, self.scrapes, self._ending = 0, 0, threading.Event()
        self.status()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def status(self):
        return json.loads(self._get("/status"))

    def sink(self, name):
        return self.status()["sinks"][name]

    def shed(self, name):
        sink = self.sink(name)
        return sum(sink[f"shed_{reason}_records"] for reason in ("full", "hold", "stopped"))

    def metric(self, name, **labels):
        """The sum of the samples that carry these labels."""
        return _sample(self._get("/metrics"), name, labels)

    def cut_lines(self):
        """Lines that ended with their connection, not with a line feed: known once every connection is read to its
        end, and a sender that is gone may have left much of its own in the kernel."""
        ended = until(lambda: self.status()["sources"]["mesh"]["connections"] == 0, 30)
        self._verdict.expect(ended, "connections are open 30 s after their sender has ended")
        return self.metric("logboom_lines_total", source="mesh", result="partial")

    def rss_kib(self, key="VmRSS"):
        """Resident memory; with `VmHWM` the most there ever was."""
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(rf"{key}:\s+(\d+)", status.read())[1])

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def alive(self):
        return self.process.poll() is None

    def check_memory(self):
        """The most memory there ever was against the bound that was printed."""
        peak, bound = self.rss_kib("VmHWM"), self.status()["memory_bound_bytes"] // 1024
        self._verdict.figure("peak MiB", round(peak / 1024))
        self._verdict.figure("bound MiB", round(bound / 1024))
        self._verdict.expect(peak < bound, f"{peak} KiB resident, over the bound of {bound} KiB")

    def settled(self, within_s=15.0):
        """Waits until nothing is on its way any more; false when something still is."""
        return until(lambda: self.behind() == 0, within_s)

    def stop(self, codes=(0,), within_s=GRACE_S + 1):
        """SIGTERM, and what must hold then. Returns `(code, seconds, ledger by sink)`."""
        verdict = self._verdict
        if not verdict.expect(self.alive(), f"{self._name} has ended by itself, code {self.process.poll()}"):
            return self.process.poll(), 0.0, {}
        self._scrape()
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within_s + 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        seconds = time.monotonic() - started
        self._stop_watching()
        self._reader.join()
        text = self.log.read_text()
        verdict.expect(code in codes, f"{self._name}: exit code {code}, expected one of {codes}")
        verdict.expect(seconds <= within_s, f"{self._name}: ended after {seconds:.1f} s, grace {GRACE_S} s")
        verdict.expect(self.imbalance_max == 0, f"{self._name}: ledger imbalance {self.imbalance_max} while running")
        verdict.expect(self.scrapes > 0, f"{self._name}: the ledger was never read")
        line = next((line for line in text.splitlines() if line.startswith("ledger: ")), "")
        verdict.expect(line and "imbalance" not in line, f"{self._name}: {line or 'no ledger line at exit'}")
        verdict.expect("panicked" not in text, f"{self._name}: it panicked, see {self.log}")
        return code, seconds, _ledger(line)

    def ended(self, within_s):
        """The exit code of a process that is to end by itself; None when it does not."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        self._stop_watching()
        self._reader.join()
        return code

    def kill(self):
        self._ending.set()
        if self.alive():
            self.process.kill()
        self.process.wait()

    def crash(self):
        """kill -9, and what must have held until then."""
        self.process.kill()
        self.process.wait()
        self._stop_watching()
        self._reader.join()
        self._verdict.expect(self.imbalance_max == 0, f"{self._name}: ledger imbalance {self.imbalance_max} while running")
        self._verdict.expect("panicked" not in self.log.read_text(), f"{self._name}: it panicked, see {self.log}")

    def behind(self, *names):
        """Records that these sinks, or all, have still to deliver, in memory or in the journal."""
        status = self.status()
        taken = 0 if names else sum(source["in_intake_records"] for source in status["sources"].values())
        return taken + sum(_left(status["sinks"][name]) for name in names or status["sinks"])

    def _get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
            return answer.read().decode()

    def _watch(self):
        while not self._ending.wait(SCRAPE_S):
            self._scrape()

    def _scrape(self):
        # Without a descriptor left it cannot answer; then the next reading counts.
        with contextlib.suppress(OSError, http.client.HTTPException):
            text = self._get("/metrics")
            self.imbalance_max = max(self.imbalance_max, _sample(text, "logboom_ledger_imbalance_records", {}))
            self.scrapes += 1

    def _stop_watching(self):
        self._ending.set()
        self._watcher.join()

    def _follow(self):
        with self.log.open("w") as log:
            for line in self.process.stderr:
                log.write(line)
                log.flush()
                if " ready: " in line and not self._ready.is_set():
                    self._line = line
                    self._ready.set()
        self._ready.set()

    def _port(self, pattern):
        match = re.search(pattern, self._line)
        return int(match[1]) if match else None


class Adopted:
    """Any other process, ended with its case."""

    def __init__(self, process):
        self.process = process

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Gen:
    """`logboom gen`, which says what it sent."""

    def __init__(self, binary, arguments):
        self.process = subprocess.Popen(
            [binary, "gen", "--json", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def report(self, within_s=120.0):
        """Waits for its end. The report is empty when it could not start."""
        out, error = self.process.communicate(timeout=within_s)
        return json.loads(out) if out else {"records": 0, "requests": {}, "ids": [], "errors": {error: 1}}

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def _left(sink):
    """What a sink has to deliver, in memory or in the journal."""
    return sink["in_flight_records"] + sink.get("deferred_records", 0)


def _sample(text, name, labels):
    total = 0
    for found in re.finditer(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
        has = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
        if labels.items() <= has.items():
            total += float(found[2])
    return int(total)


def _ledger(line):
    pattern = r"([\w-]+): delivered (\d+), shed (\d+), failed (\d+), undelivered (\d+)"
    keys = ("delivered", "shed", "failed", "undelivered")
    return {name: dict(zip(keys, map(int, counts))) for name, *counts in re.findall(pattern, line)}
