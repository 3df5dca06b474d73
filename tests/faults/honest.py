"""Those who must not notice that others attack."""

import threading
import time

from harness import connect, contains
from http2 import Grpc
from otlp import record, request
from waiting import until


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
