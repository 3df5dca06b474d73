#!/usr/bin/env python3
"""Measures what logboom costs: records per CPU second of the server process, case by case.

    cargo build --release && bench/run.py                   all cases, 5 rounds
    bench/run.py --case 'lines_*' --runs 3                  some cases
    bench/run.py --binary old/logboom --binary new/logboom  two builds, interleaved

Python 3 standard library only. bench/README.md says what is measured and what that is worth.
"""

import argparse
import fnmatch
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
TICK = 1 / os.sysconf("SC_CLK_TCK")
READY_MAX_S = 10  # from start to the ready line
SETTLE_MAX_S = 10  # without progress before records count as lost
STOP_MAX_S = 15  # from SIGTERM to the end; the default grace is 8 s
POLL_S = 0.02

LINES_SOURCE = "{type: lines, listen: '127.0.0.1:0'}"
OTLP_SOURCE = "{type: otlp, grpc: '127.0.0.1:0'}"
# Sinks are templates, so their own braces are doubled.
NULL_SINK = "{{type: 'null'}}"
# No rotation, so that one file holds the run; everything else as a user gets it by default.
FILE_SINK = "{{type: file, path: '{file}', encoding: {encoding}, rotate: {{size: 1024GiB}}}}"
OTLP_SINK = "{{type: otlp, endpoint: 'http://{upstream}', protocol: grpc, compression: none, wait_max: forever}}"


@dataclass
class Case:
    """What to send, through what. Named by its path, so that results can be compared by name."""

    name: str
    records: int
    format: str
    sink: str = NULL_SINK
    encoding: str = ""
    body: str = "string"
    yardstick: bool = False
    upstream: bool = False

    @property
    def otlp(self):
        return self.format == "otlp"


CASES = [
    Case("yardstick_lines_to_null", 4_000_000, "kuma-http", yardstick=True),
    Case("yardstick_lines_to_file", 4_000_000, "kuma-http", encoding="raw", yardstick=True),
    Case("yardstick_lines_json_to_file", 2_000_000, "kuma-json", encoding="raw", yardstick=True),
    Case("lines_to_null", 4_000_000, "kuma-http"),
    Case("lines_to_file_raw", 4_000_000, "kuma-http", FILE_SINK, "raw"),
    Case("lines_to_file_json", 2_000_000, "kuma-http", FILE_SINK, "json"),
    Case("lines_json_to_file_json", 2_000_000, "kuma-json", FILE_SINK, "json"),
    Case("otlp_to_null", 2_000_000, "otlp"),
    Case("otlp_to_file_json", 1_000_000, "otlp", FILE_SINK, "json"),
    Case("otlp_to_file_json_kvlist", 1_000_000, "otlp", FILE_SINK, "json", body="kvlist"),
    Case("otlp_to_file_otlp_json", 1_000_000, "otlp", FILE_SINK, "otlp-json"),
    Case("otlp_to_otlp", 2_000_000, "otlp", OTLP_SINK, upstream=True),
]


@dataclass
class Run:
    """One measured run; the JSON result holds these."""

    sent: int
    refused: int
    delivered: int
    in_file: int | None
    lost: int
    wall_s: float
    user_s: float
    system_s: float
    generator_cpu_s: float
    upstream_cpu_s: float | None
    rss_bytes: int
    latency_ms: dict | None
    notes: list = field(default_factory=list)

    @property
    def cpu_s(self):
        # CPU time comes in ticks of 10 ms; less than one is not zero.
        return max(self.user_s + self.system_s, TICK)


class Process:
    """A server under test: started, ready, measured, stopped."""

    def __init__(self, command, workdir, ready):
        self.log = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(command, cwd=workdir, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self.ready = self.wait_for(ready, READY_MAX_S)
        except BaseException:
            self.process.kill()
            raise

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
        """User and system seconds so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        values = stat.rpartition(")")[2].split()
        return int(values[11]) * TICK, int(values[12]) * TICK

    def rss_peak(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def stop(self, sent_signal=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sent_signal)
        try:
            return self.process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed"


class Logboom(Process):
    def __init__(self, binary, workdir, source, sink):
        config = Path(workdir) / f"{'otlp' if 'otlp' in source else 'lines'}-{time.monotonic_ns()}.yaml"
        config.write_text(
            f"sources:\n  in: {source}\nsinks:\n  out: {sink}\nadmin: {{listen: '127.0.0.1:0'}}\n"
        )
        super().__init__([str(binary), "run", "-c", str(config)], workdir, r"ready: (.*)")
        ready = self.ready[1]
        self.address = self._address(ready, r"\b(?:lines|otlp) (127\.0\.0\.1:\d+)")
        self.admin = self._address(ready, r"\badmin (127\.0\.0\.1:\d+)")

    def _address(self, ready, pattern):
        if match := re.search(pattern, ready):
            return match[1]
        self.process.kill()
        raise Failure(f"the ready line has no /{pattern}/: {ready}")

    def metrics(self):
        """Sums over labels, by name."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=5) as response:
            text = response.read().decode()
        sums = {}
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
            sums[name] = sums.get(name, 0) + float(value)
        return sums

    def wait_delivered(self, expected):
        """Polls until all is delivered, or nothing has moved for a while."""
        last, moved = -1, time.monotonic()
        while True:
            delivered = int(self.metrics().get("logboom_delivered_records_total", 0))
            now = time.monotonic()
            if delivered >= expected:
                return delivered, now
            if delivered != last:
                last, moved = delivered, now
            elif now - moved > SETTLE_MAX_S:
                return delivered, moved
            time.sleep(POLL_S)


class Failure(Exception):
    pass


def generate(options, case, address):
    """Runs the generator to its end: its report, its CPU seconds, and when it ended."""
    command = [str(options.generator), "gen", "--format", case.format, "--rate", "max", "--json"]
    command += ["--count", str(int(case.records * options.scale)), "--connections", str(options.connections)]
    if case.otlp:
        command += ["--to", f"otlp://{address}", "--body", case.body]
        command += ["--batch", str(options.batch), "--streams", str(options.streams)]
    else:
        command += ["--to", f"lines://{address}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    errors = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
    reader.start()
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    ended = time.monotonic()
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if not out:
        raise Failure(f"the generator failed:\n{errors[0].decode(errors='replace')}")
    return json.loads(out), usage.ru_utime + usage.ru_stime, ended


def count_in_file(path, needle):
    """Occurrences of `needle` in a file of any size."""
    total, tail = 0, b""
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            # Too short to hold the needle itself, so nothing counts twice.
            chunk = tail + chunk
            total += chunk.count(needle)
            tail = chunk[len(chunk) - len(needle) + 1 :] if len(needle) > 1 else b""
    return total


def measure(options, binary, case, workdir):
    """One run with fresh processes and an empty file."""
    file = Path(workdir) / "out.log"
    processes = []
    try:
        if case.yardstick:
            target = str(file) if case.encoding else os.devnull
            server = Process([str(options.yardstick), target], workdir, r"ready (\S+)")
            address = server.ready[1]
        else:
            upstream = None
            if case.upstream:
                upstream = Logboom(binary, workdir, OTLP_SOURCE, NULL_SINK.format())
                processes.append(upstream)
            sink = case.sink.format(file=file, encoding=case.encoding, upstream=upstream and upstream.address)
            server = Logboom(binary, workdir, OTLP_SOURCE if case.otlp else LINES_SOURCE, sink)
            address = server.address
        processes.append(server)

        os.sync()
        user, system = server.cpu()
        upstream_before = sum(upstream.cpu()) if case.upstream else 0
        report, generator_cpu, sent_at = generate(options, case, address)
        expected = report["records"] - report["refused"]
        if case.yardstick:
            delivered, ended = int(server.wait_for(r"done (\d+)", SETTLE_MAX_S)[1]), server.matched_at
        else:
            delivered, ended = server.wait_delivered(expected)
        user_after, system_after = server.cpu()
        arrived = upstream.wait_delivered(expected)[0] if case.upstream else delivered

        notes = [f"{count} times {error}" for error, count in report["errors"].items()]
        if not case.yardstick:
            counters = server.metrics()
            for name in ("shed", "rejected", "failed"):
                if number := counters.get(f"logboom_{name}_records_total"):
                    notes.append(f"{name} {number:.0f}")
        run = Run(
            sent=report["records"],
            refused=report["refused"],
            delivered=delivered,
            in_file=None,
            lost=0,
            wall_s=report["seconds"] + max(ended - sent_at, 0),
            user_s=user_after - user,
            system_s=system_after - system,
            generator_cpu_s=generator_cpu,
            upstream_cpu_s=sum(upstream.cpu()) - upstream_before if case.upstream else None,
            rss_bytes=server.rss_peak(),
            latency_ms=report["latency_ms"],
            notes=notes,
        )
        # The server is stopped before its file is read: what it holds back until then is not lost.
        code = server.stop(signal.SIGKILL if case.yardstick else signal.SIGTERM)
        if not case.yardstick and code != 0:
            run.notes.append(f"the server ended with {code}")
        if case.encoding:
            run.in_file = count_in_file(file, b'"timeUnixNano":' if case.encoding == "otlp-json" else b"\n")
        run.lost = expected - min(n for n in (delivered, arrived, run.in_file) if n is not None)
        return run
    finally:
        for process in processes:
            process.stop(signal.SIGKILL)
        file.unlink(missing_ok=True)


def build_yardstick(workdir):
    """A few dozen lines of Rust without dependencies: the compiler alone builds them."""
    binary = Path(workdir) / "yardstick"
    command = ["rustc", "-O", "--edition", "2024", str(BENCH / "yardstick.rs"), "-o", str(binary)]
    subprocess.run(command, check=True)
    return binary


def table(results):
    """Medians, and the range of the figure that matters."""
    rows = [["case", "records/CPU-s", "range", "user+sys s", "records/s", "RSS MiB", "gen CPU s", "ack p99 ms", "lost", "refused"]]
    for name, runs in results.items():
        if not runs:
            continue
        median = lambda value: statistics.median(value(run) for run in runs)
        per_cpu = sorted(run.delivered / run.cpu_s for run in runs)
        latencies = [run.latency_ms["p99"] for run in runs if run.latency_ms]
        rows.append([
            name,
            f"{statistics.median(per_cpu):,.0f}",
            f"{per_cpu[0]:,.0f} to {per_cpu[-1]:,.0f}",
            f"{median(lambda run: run.user_s):.2f}+{median(lambda run: run.system_s):.2f}",
            f"{median(lambda run: run.delivered / run.wall_s):,.0f}",
            f"{median(lambda run: run.rss_bytes) / 2**20:.0f}",
            f"{median(lambda run: run.generator_cpu_s):.2f}",
            f"{statistics.median(latencies):.2f}" if latencies else "-",
            str(sum(run.lost for run in runs)),
            str(sum(run.refused for run in runs)),
        ])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows)


def machine():
    """What a reader needs to judge the figures; nothing that names the machine."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "kernel": platform.release(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_at_start": os.getloadavg()[0],
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", metavar="GLOB", help="only cases that match; may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="measured rounds (default 5)")
    parser.add_argument("--warmup", type=int, default=1, help="rounds before, not counted (default 1)")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many records (0.01 for a quick look)")
    parser.add_argument("--binary", action="append", type=Path, help="logboom to measure; may be repeated")
    parser.add_argument("--generator", type=Path, help="logboom that generates (default: the first binary)")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--batch", type=int, default=500, help="records per OTLP request (default 500)")
    parser.add_argument("--streams", type=int, default=2, help="OTLP requests in flight per connection (default 2)")
    parser.add_argument("--dir", type=Path, default=BENCH / "results", help="where files are written and results kept")
    parser.add_argument("--list", action="store_true", help="print the cases")
    options = parser.parse_args()
    options.binary = [path.resolve() for path in options.binary or [ROOT / "target/release/logboom"]]
    options.generator = (options.generator or options.binary[0]).resolve()
    return options


def main():
    options = arguments()
    wanted = [case for case in CASES if not options.case or any(fnmatch.fnmatch(case.name, glob) for glob in options.case)]
    if options.list or not wanted:
        print("\n".join(case.name for case in CASES))
        return 0 if options.list else 2
    for binary in {*options.binary, options.generator}:
        if not os.access(binary, os.X_OK):
            print(f"no program at {binary}: run cargo build --release, or name one with --binary", file=sys.stderr)
            return 2

    options.dir.mkdir(parents=True, exist_ok=True)
    workdir = tempfile.mkdtemp(prefix="run-", dir=options.dir.resolve())
    jobs = []
    for case in wanted:
        # The yardstick is the same beside each binary.
        for number, binary in enumerate(options.binary[:1] if case.yardstick else options.binary):
            jobs.append((case.name + (f"#{number}" if number else ""), binary, case))
    results = {name: [] for name, _, _ in jobs}
    failures, about = [], machine()
    try:
        if any(case.yardstick for case in wanted):
            options.yardstick = build_yardstick(workdir)
        # Round by round, so that what drifts (heat, page cache, neighbours) meets every case alike.
        for round in range(-options.warmup, options.runs):
            for name, binary, case in jobs:
                print(f"round {round + 1 if round >= 0 else 'warm-up'}: {name}", file=sys.stderr)
                try:
                    run = measure(options, binary, case, workdir)
                except (Failure, OSError) as failure:
                    failures.append(f"{name}: {failure}")
                    print(f"  failed: {failure}", file=sys.stderr)
                    continue
                for note in run.notes:
                    print(f"  {note}", file=sys.stderr)
                if round >= 0:
                    results[name].append(run)
    except KeyboardInterrupt:
        print("interrupted: reporting what there is", file=sys.stderr)
    finally:
        shutil.rmtree(workdir, ignore_errors=True)

    if not any(results.values()):
        return 1
    print(table(results))
    kept = options.dir / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    version = subprocess.run([options.binary[0], "--version"], capture_output=True, text=True).stdout.strip()
    settings = {key: getattr(options, key) for key in ("runs", "warmup", "scale", "connections", "batch", "streams")}
    document = {
        "version": version,
        "machine": about,
        "settings": settings,
        "cases": {name: [vars(run) for run in runs] for name, runs in results.items()},
        "failures": failures,
    }
    kept.write_text(json.dumps(document, indent=1) + "\n")
    print(f"kept in {os.path.relpath(kept)}", file=sys.stderr)
    lost = sum(run.lost for runs in results.values() for run in runs)
    return 1 if lost or failures else 0


if __name__ == "__main__":
    sys.exit(main())
