"""From send to acknowledgement, or to the line in the file, while the server has half of what it can take.

Lines are never answered. So beside the load a probe (`probe.rs`) sends single lines of its own, each with a number, and
looks for them in the file. It reads what the file grows by, which is some work on the same machine.
"""

import statistics
import subprocess

import load as generator
from processes import Failure

PROBES_PER_S = 250
LATE_MAX_S = 20


def quantiles(samples_ms):
    ordered = sorted(samples_ms)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    return {"p50": statistics.median(ordered), "p99": at(0.99), "p99_9": at(0.999), "max": ordered[-1]}


def _paced(rate, seconds, load):
    """By number and not by time: what a time cuts off in the middle of a line arrives as well, and nobody counts it."""
    rate = max(int(rate), 1)
    return {"rate": rate, "count": max(int(rate * seconds), load.connections)}


def lines(options, load, server, file, rate, seconds):
    """Latencies in milliseconds, the samples themselves, and what the generator sent."""
    before, after = generator.sample_line(options.generator, load.format).decode().split("c0-000000000000", 1)
    probe = subprocess.Popen(
        [options.probe, server.address, file, str(PROBES_PER_S), before, after],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        sent = generator.send(options.generator, load, server.address, **_paced(rate, seconds, load))
        said, complaint = probe.communicate(timeout=LATE_MAX_S)
    except subprocess.TimeoutExpired:
        raise Failure("the probe came to no end") from None
    finally:
        probe.kill()
    samples_ms = [float(it) for it in said.split()]
    if probe.returncode != 0 or not samples_ms:
        raise Failure(f"the probe failed: {complaint.strip()}")
    return quantiles(samples_ms), samples_ms, sent


def otlp(program, load, server, rate, seconds):
    """Latencies in milliseconds as the generator saw them, and what it sent."""
    sent = generator.send(program, load, server.address, **_paced(rate, seconds, load))
    return sent.latency_ms, sent
