"""The generator: `logboom gen`, and what it reports."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass

from processes import Failure


@dataclass
class Sent:
    """What one run of the generator came to."""

    records: int
    refused: int
    bytes: int
    seconds: float
    latency_ms: dict | None
    ids: list
    errors: dict
    cpu_s: float  # while it sent
    all_cpu_s: float  # with what it rendered before
    ended_at: float


def command(generator, load, address, *, count, rate="max", ids=False, per_write=0):
    words = [generator, "gen", "--format", load.format, "--rate", rate, "--connections", load.connections, "--json"]
    words += ["--count", count]
    words += ["--id"] if ids else []
    if load.otlp:
        words += ["--to", f"otlp://{address}", "--body", load.body, "--batch", load.batch, "--streams", load.streams]
    else:
        words += ["--to", f"lines://{address}", "--per-write", per_write]
    return [str(word) for word in words]


def send(*args, **how):
    """Runs the generator to its end."""
    process = subprocess.Popen(command(*args, **how), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
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
    report = json.loads(out)
    return Sent(
        records=report["records"],
        refused=report["refused"],
        bytes=report["bytes"],
        seconds=report["seconds"],
        latency_ms=report["latency_ms"],
        ids=report["ids"],
        errors=report["errors"],
        cpu_s=report["cpu_seconds"],
        all_cpu_s=usage.ru_utime + usage.ru_stime,
        ended_at=ended,
    )


def sample_line(generator, format):
    """One line as the generator makes it, with the number `c0-000000000000` in it."""
    words = [str(generator), "gen", "--format", format, "--count", "1", "--id", "--rate", "max", "--to", "-"]
    return subprocess.run(words, capture_output=True, check=True).stdout
