"""From send to acknowledgement, or to the line in the file, while the server has half of what it can take.

Lines are never answered. So beside the load a probe sends single lines of its own, each with a number, and
looks for them in the file. It reads what the file grows by, which is some work on the same machine.
"""

import re
import socket
import statistics
import threading
import time

import load as generator
from processes import Failure

PROBE = re.compile(rb"probe-(\d{9})")
PROBES_PER_S = 250
LOOK_S = 0.0002
LATE_MAX_S = 10


def quantiles(samples_ms):
    ordered = sorted(samples_ms)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    return {"p50": statistics.median(ordered), "p99": at(0.99), "p99_9": at(0.999), "max": ordered[-1]}


class Probe(threading.Thread):
    """Sends numbered lines until it is told to stop, and notes when each stood in the file."""

    def __init__(self, address, file, line):
        super().__init__(daemon=True)
        self.address, self.file = address, file
        self.before, self.after = line.split(b"c0-000000000000", 1)
        self.over = threading.Event()
        self.samples_ms, self.failure = [], None

    def run(self):
        try:
            self._run()
        except OSError as error:
            self.failure = f"the probe failed: {error}"

    def _run(self):
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as to, open(self.file, "rb", buffering=0) as file:
            to.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            file.seek(0, 2)
            sent, tail, due, moved = {}, b"", time.monotonic(), time.monotonic()
            while sent or not self.over.is_set():
                now = time.monotonic()
                if now >= due and not self.over.is_set():
                    number = len(sent) + len(self.samples_ms)
                    to.sendall(b"%sprobe-%09d%s" % (self.before, number, self.after))
                    # The last byte is sent now.
                    sent[number] = time.monotonic()
                    due = max(due + 1 / PROBES_PER_S, now)
                grown = file.read(1 << 20)
                if not grown:
                    if now - moved > LATE_MAX_S:
                        self.failure = f"{len(sent)} probes were not in the file after {LATE_MAX_S} s"
                        return
                    time.sleep(LOOK_S)
                    continue
                moved = time.monotonic()
                window = tail + grown
                for found in PROBE.finditer(window):
                    # A record may name its number more than once.
                    if (at := sent.pop(int(found[1]), None)) is not None:
                        self.samples_ms.append((moved - at) * 1e3)
                tail = window[-14:]


def _paced(rate, seconds, load):
    """By number and not by time: what a time cuts off in the middle of a line arrives as well, and nobody counts it."""
    rate = max(int(rate), 1)
    return {"rate": rate, "count": max(int(rate * seconds), load.connections)}


def lines(program, load, server, file, rate, seconds):
    """Latencies in milliseconds, the samples themselves, and what the generator sent."""
    line = generator.sample_line(program, load.format)
    probe = Probe(server.address, file, line)
    probe.start()
    sent = generator.send(program, load, server.address, **_paced(rate, seconds, load))
    probe.over.set()
    probe.join(LATE_MAX_S * 2)
    if probe.failure or probe.is_alive() or not probe.samples_ms:
        raise Failure(probe.failure or "the probe came to no end")
    return quantiles(probe.samples_ms), probe.samples_ms, sent


def otlp(program, load, server, rate, seconds):
    """Latencies in milliseconds as the generator saw them, and what it sent."""
    sent = generator.send(program, load, server.address, **_paced(rate, seconds, load))
    return sent.latency_ms, sent
