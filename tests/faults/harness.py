"""What every case needs: the process under test, load for it, and a verdict.

The process is a black box: a configuration goes in, and what is looked at are its sockets, its
files, its standard error, /metrics and /status, and what the kernel says about it.
"""

import contextlib
import http.client
import itertools
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from http2 import Grpc
from otlp import record, request

READY_S = 15.0
GRACE_S = 8.0
SCRAPE_S = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


class Verdict:
    """Figures and broken promises of one case."""

    def __init__(self):
        self.figures, self.broken, self.skipped = {}, [], None

    def figure(self, name, value):
        self.figures[name] = value

    def expect(self, holds, promise):
        """Notes a promise as broken unless it holds."""
        if not holds:
            self.broken.append(promise)
        return holds

    def equal(self, name, got, wanted):
        self.figures[name] = got
        return self.expect(got == wanted, f"{name}: {got}, expected {wanted}")


def row(*numbers):
    """Says which rows of the list of faults a case answers; see README.md."""
    def mark(case):
        case.rows = numbers
        return case
    return mark


class Skip(Exception):
    """The case cannot be run here; the message says why."""


class Environment:
    """What the command line says, and the processes that are to be ended in any case."""

    def __init__(self, binary, smoke, seed):
        self.binary, self.smoke, self.seed = binary, smoke, seed
        self.directory, self._processes, self._afterwards, self._numbers = None, [], [], itertools.count()

    def has_journal(self):
        path = self.directory / "journal-or-not.json"
        config = {
            "sources": {"otlp": {"type": "otlp", "grpc": "127.0.0.1:0"}}, "sinks": {"nowhere": {"type": "null"}},
            "journal": {"dir": str(self.directory / "journal-or-not")},
        }
        path.write_text(json.dumps(config))
        checked = subprocess.run([self.binary, "check", "-c", path], capture_output=True, text=True, check=False)
        return "not supported by this version" not in checked.stderr

    def needs_journal(self):
        if not self.has_journal():
            raise Skip("this binary has no journal")

    def journal(self, **options):
        """A journal beside the other files of the case, as a part of a configuration."""
        return {"journal": {"dir": str(self.directory / "journal"), **options}}

    def journal_if_any(self, **options):
        """The same; nothing for a binary that has none, for cases that memory can pass too."""
        return self.journal(**options) if self.has_journal() else {}

    def afterwards(self, undo):
        """Something to undo when the case is over, however it ends."""
        self._afterwards.append(undo)

    def pick(self, full, smoke):
        return smoke if self.smoke else full

    def logboom(self, config, verdict, **options):
        name = f"logboom-{next(self._numbers)}"
        process = Logboom(self.binary, self.directory, name, config, verdict, **options)
        self._processes.append(process)
        return process

    def adopt(self, process):
        """Has a subprocess of a case ended with it."""
        self._processes.append(Adopted(process))
        return process

    def gen(self, *arguments):
        load = Gen(self.binary, arguments)
        self._processes.append(load)
        return load

    def end_processes(self):
        for process in self._processes:
            process.kill()
        self._processes.clear()

    def end(self):
        """Kills what a case has left behind, and undoes what it has done."""
        self.end_processes()
        while self._afterwards:
            self._afterwards.pop()()


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
        """Lines that ended with their connection, not with a line feed."""
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
        def nothing():
            status = self.status()
            waiting = sum(sink["in_flight_records"] for sink in status["sinks"].values())
            return waiting + sum(source["in_intake_records"] for source in status["sources"].values()) == 0
        return until(nothing, within_s)

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
        status = self.status()["sinks"]
        return sum(status[name].get("journal_lag_records", 0) + status[name]["in_flight_records"] for name in names or status)

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


class Ids:
    """The numbered records of `gen --id` in files that hold one record a line.

    A line that is not whole has no complete beginning and end, so it counts as torn; so does what
    stands behind the last line feed. Lines that match `besides` are collected.
    """

    _LINE = re.compile(rb'^(?:\[20[^\n]*"c(\d+)-(\d{12})"[^\n]*"|([^\n]*))$', re.MULTILINE)

    def __init__(self, besides=None):
        self.lines = self.duplicates = self.disordered = self.torn = 0
        self.others, self._besides, self._seen, self.torn_examples = [], besides, {}, []

    def feed(self, data):
        """One file, whole."""
        if not data:
            return
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._tear(data[whole:])
        if not whole:
            return
        seen = self._seen
        for connection, number, other in self._LINE.findall(data, 0, whole - 1):
            self.lines += 1
            if not connection:
                self._other(other)
                continue
            number, taken = int(number), seen.setdefault(int(connection), bytearray())
            ahead = number - len(taken)
            if ahead >= 0:
                taken.extend(bytes(ahead))
                taken.append(1)
            elif taken[number]:
                self.duplicates += 1
            else:
                self.disordered += 1
                taken[number] = 1

    def _other(self, line):
        if self._besides and re.search(self._besides, line):
            self.others.append(line)
        else:
            self._tear(line)

    def _tear(self, line):
        self.torn += 1
        if len(self.torn_examples) < 3:
            self.torn_examples.append(line[:200])

    def records(self):
        return sum(len(taken) - taken.count(0) for taken in self._seen.values())

    def missing(self, report):
        """How many of the records that gen reports are not there."""
        missing = 0
        for _, last in report["ids"]:
            connection, last = last[1:].split("-")
            taken = self._seen.get(int(connection), b"")[: int(last) + 1]
            missing += int(last) + 1 - (len(taken) - taken.count(0))
        return missing

    def holes(self):
        """Runs of missing numbers, the ends left out."""
        return sum(len(re.findall(rb"\x00+", bytes(taken))) for taken in self._seen.values())


def in_order(verdict, ids, report, shed=0, cut=0):
    """The oracle of a file that must hold everything, or all but what was counted as shed.

    `cut` lines may be torn: gen ends in the middle of one when its time is over while it waits for room.
    """
    verdict.figure("records", report["records"])
    verdict.equal("missing", ids.missing(report), shed)
    verdict.equal("duplicates", ids.duplicates, 0)
    verdict.equal("disordered", ids.disordered, 0)
    if not verdict.equal("torn", ids.torn, cut):
        verdict.expect(False, f"torn, for example: {ids.torn_examples}")


def sources(**lines):
    """A lines source and an OTLP source on free ports, with few connections so that the memory bound says something."""
    return {
        "mesh": {"type": "lines", "listen": "127.0.0.1:0", "connections_max": 256, **lines},
        "otlp": {"type": "otlp", "grpc": "127.0.0.1:0", "connections_max": 256},
    }


def file_sink(path, encoding="raw", **options):
    return {"type": "file", "path": str(path), "encoding": encoding, "rotate": {"size": "100GB"}, **options}


def free_port():
    """A port that the kernel says is free, for what must come back on the same one."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return reserved.getsockname()[1]


def percentiles(values, unit=1000, digits=1):
    """`p50/p99/max`, by default of seconds in milliseconds."""
    values = sorted(values)
    if not values:
        return "none"
    at = lambda share: round(values[min(len(values) - 1, int(len(values) * share))] * unit, digits)  # noqa: E731
    return f"{at(0.5)}/{at(0.99)}/{at(1.0)}"


def connect(port, source=None):
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0) if source else None)


def send_line(port, text):
    with connect(port) as stream:
        stream.sendall(text.encode() + b"\n")


def until(holds, within_s, pause_s=0.05):
    """Polls; false when it never held."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True


class Honest(threading.Thread):
    """Sends a line and a request again and again while others attack, and notes how long each waited.

    A line has waited until it is in the file; `finish` compares with what a sender may expect.
    """

    def __init__(self, logboom, path):
        super().__init__(daemon=True)
        self._logboom, self._path, self._over = logboom, path, threading.Event()
        self.line_s, self.request_s, self.codes = 0.0, 0.0, {}
        self.start()

    def run(self):
        number = 0
        with connect(self._logboom.lines) as lines, Grpc(self._logboom.otlp, timeout_s=60) as client:
            while not self._over.wait(0.1):
                number += 1
                started = time.monotonic()
                lines.sendall(b"honest line %d.\n" % number)
                until(lambda: contains(self._path, f"honest line {number}."), 60, 0.01)  # noqa: B023
                landed = time.monotonic()
                code = client.call(request([record(f"honest record {number}")]))
                self.codes[code] = self.codes.get(code, 0) + 1
                self.line_s = max(self.line_s, landed - started)
                self.request_s = max(self.request_s, time.monotonic() - landed)

    def finish(self, verdict, wait_max_s=2.0):
        self._over.set()
        self.join(120)
        verdict.figure("honest lines waited s", round(self.line_s, 2))
        verdict.figure("honest requests waited s", round(self.request_s, 2))
        verdict.figure("honest answers", self.codes)
        verdict.expect(not self.is_alive(), "an honest sender still waits")
        verdict.expect(self.line_s <= wait_max_s, f"an honest line waited for {self.line_s:.1f} s")
        verdict.expect(set(self.codes) == {"OK"}, f"honest requests were answered {self.codes}")


def contains(path, text):
    try:
        return text.encode() in path.read_bytes()
    except FileNotFoundError:
        return False


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
