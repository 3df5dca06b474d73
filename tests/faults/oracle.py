"""An independent judge: producers whose records can be told from any other bytes, a ledger of what was
acknowledged, and what must hold in the end.

A record's body is a function of its id, check sum included, so whoever receives it can tell whether it was
ever issued and whether one bit of it was altered. A producer never sends an id twice: each second copy is
the product's.
"""

import random
import re
import threading
import time
import zlib

from http2 import Closed, Grpc
from otlp import record, request

MARK = b"oracle<"
BODY = re.compile(rb"oracle<(\d{1,4})\.(\d{1,9})\.([0-9a-f]{8})\.([a-z]*)>")
_LETTERS = random.Random(7).randbytes(1 << 16).translate(bytes(97 + byte % 26 for byte in range(256))) * 2


def body(producer, number, size):
    """A record of about `size` bytes; nothing in it is free."""
    at = (producer * 104_729 + number * 7_919) % (1 << 16)
    filler = _LETTERS[at : at + min(size, 1 << 16)] if size <= 1 << 16 else (_LETTERS[at : at + (1 << 16)] * (size // (1 << 16) + 1))[:size]
    return b"oracle<%d.%d.%08x.%s>" % (producer, number, zlib.crc32(b"%d.%d." % (producer, number) + filler), filler)


class Ledger:
    """What one producer has issued, and what of that was acknowledged. Ids are 0 to `issued`."""

    def __init__(self, producer, size):
        self.producer, self.size, self.issued, self._acked = producer, size, 0, bytearray()

    def take(self, count):
        """The bodies of the next ids, and the first of them."""
        first, self.issued = self.issued, self.issued + count
        self._acked.extend(bytes(count))
        return first, [body(self.producer, number, self.size) for number in range(first, first + count)]

    def acknowledge(self, first, count):
        self._acked[first : first + count] = b"\1" * count

    def acked(self):
        return self._acked.count(1)

    def is_acked(self, number):
        return number < len(self._acked) and self._acked[number] == 1


class Delivered:
    """What has arrived somewhere: how often, in which order, and whether as it was issued."""

    def __init__(self, sizes):
        self._sizes, self._seen, self._last, self._lock = dict(sizes), {}, {}, threading.Lock()
        self.duplicates = self.disordered = self.furthest = self.altered = self.records = 0
        self.examples = []

    def feed(self, data):
        """Bytes with bodies in them, each whole. Returns how many there were."""
        with self._lock:
            found = 0
            for match in BODY.finditer(data):
                found += 1
                self._note(match)
            if data.count(MARK) != found:
                self._alter(data.count(MARK) - found, data)
            return found

    def feed_lines(self, data):
        """A file of one body a line: whatever else is in a line is an alteration. Returns the lines that are no bodies."""
        with self._lock:
            others = []
            for line in data.split(b"\n"):
                if match := BODY.fullmatch(line):
                    self._note(match)
                elif line:
                    others.append(line)
                    if MARK in line:
                        self._alter(1, line)
            return others

    def _note(self, match):
        producer, number = int(match[1]), int(match[2])
        size = self._sizes.get(producer)
        if size is None or match[0] != body(producer, number, size):
            self._alter(1, match[0])
            return
        seen = self._seen.setdefault(producer, bytearray())
        if number >= len(seen):
            seen.extend(bytes(number + 1 - len(seen)))
        self.records += 1
        if seen[number]:
            self.duplicates += 1
            seen[number] = min(255, seen[number] + 1)
            return
        seen[number] = 1
        last = self._last.get(producer, -1)
        if number < last:
            self.disordered += 1
            self.furthest = max(self.furthest, last - number)
        else:
            self._last[producer] = number

    def _alter(self, count, example):
        self.altered += count
        if len(self.examples) < 3:
            self.examples.append(bytes(example[:160]))

    def has(self, producer, number):
        seen = self._seen.get(producer, b"")
        return number < len(seen) and seen[number] > 0

    def highest(self, producer):
        return len(self._seen.get(producer, b""))

    def ids(self):
        return {(producer, number) for producer, seen in self._seen.items() for number in range(len(seen)) if seen[number]}


def missing(ledgers, delivered, acked_only=True):
    """The ids that were acknowledged (or, for lines, issued) and are not there."""
    return [
        (ledger.producer, number) for ledger in ledgers for number in range(ledger.issued)
        if (not acked_only or ledger.is_acked(number)) and not delivered.has(ledger.producer, number)
    ]


def judge(verdict, ledgers, delivered, name="", duplicates_max=None, ordered_within=None):
    """acknowledged is in delivered, delivered is in issued, bytes are equal, duplicates are within the bound.

    `ordered_within` is by how many records of its producer one may come too late: an upstream gets
    several requests at once, and they are complete in any order.
    """
    prefix = f"{name} " if name else ""
    lost = missing(ledgers, delivered)
    invented = sum(max(0, delivered.highest(ledger.producer) - ledger.issued) for ledger in ledgers)
    acked = sum(ledger.acked() for ledger in ledgers)
    verdict.figure(f"{prefix}acked", acked)
    verdict.figure(f"{prefix}lost", len(lost))
    verdict.figure(f"{prefix}duplicates", delivered.duplicates)
    verdict.figure(f"{prefix}disordered", delivered.disordered)
    verdict.expect(acked > 0, f"{prefix}nothing was acknowledged: this shows nothing")
    verdict.expect(not lost, f"{prefix}{len(lost)} acknowledged records lost, such as {lost[:3]} to {lost[-3:]}")
    verdict.expect(invented == 0, f"{prefix}{invented} records delivered that were never issued")
    verdict.expect(delivered.altered == 0, f"{prefix}{delivered.altered} records altered, such as {delivered.examples}")
    if duplicates_max is not None:
        verdict.expect(delivered.duplicates <= duplicates_max, f"{prefix}{delivered.duplicates} duplicates, at most {duplicates_max}")
    if ordered_within is not None:
        verdict.figure(f"{prefix}late by at most", delivered.furthest)
        late = f"{prefix}a record came {delivered.furthest} records late, at most {ordered_within}"
        verdict.expect(delivered.furthest <= ordered_within, late)


class Producer(threading.Thread):
    """Sends requests one after the other and remembers which were acknowledged. What was not is not sent
    again: its ids are simply issued and free to arrive or not. Survives restarts of the server."""

    def __init__(self, producer, port, batch=50, size=300, rate=None, count=None, timeout_s=60.0):
        super().__init__(daemon=True)
        self.ledger, self._port, self._batch = Ledger(producer, size), port, batch
        self._rate, self._count, self._timeout_s = rate, count, timeout_s
        self._over, self.codes, self.slowest_s, self.waits_s = threading.Event(), {}, 0.0, []
        self.start()

    def run(self):
        started = time.monotonic()
        while not self._over.is_set():
            try:
                with Grpc(self._port, timeout_s=self._timeout_s) as client:
                    while not self._over.is_set():
                        if self._count is not None and self.ledger.issued >= self._count:
                            return
                        if self._rate:
                            self._over.wait(max(0.0, started + self.ledger.issued / self._rate - time.monotonic()))
                        self._send(client)
            except (Closed, OSError) as error:
                self._note(type(error).__name__)
                self._over.wait(0.01)

    def _send(self, client):
        first, bodies = self.ledger.take(self._batch)
        begun = time.monotonic()
        code = client.call(request([record(one.decode()) for one in bodies]))
        seconds = time.monotonic() - begun
        self.slowest_s = max(self.slowest_s, seconds)
        self.waits_s.append(seconds)
        self._note(code if code != "UNAVAILABLE" or client.has_details else "UNAVAILABLE without RetryInfo")
        if code == "OK":
            self.ledger.acknowledge(first, self._batch)
        else:
            self._over.wait(0.02)

    def _note(self, outcome):
        self.codes[outcome] = self.codes.get(outcome, 0) + 1

    def finish(self, within_s=60.0):
        """No more requests; the last answer is waited for."""
        self._over.set()
        self.join(within_s)
        return not self.is_alive()


def sizes(producers):
    return {one.ledger.producer: one.ledger.size for one in producers}


def fresh(port, delivered, within_s=5.0, size=40):
    """A new record, sent after the faults have stopped, arrives. Returns the seconds that took, or None.

    Its producer number must be known to `delivered`: 9999.
    """
    ledger = Ledger(FRESH, size)
    ledger.issued = delivered.highest(FRESH)
    begun = time.monotonic()
    while time.monotonic() < begun + within_s:
        number, bodies = ledger.take(1)
        try:
            with Grpc(port, timeout_s=within_s) as client:
                if client.call(request([record(bodies[0].decode())])) == "OK":
                    while time.monotonic() < begun + within_s:
                        if delivered.has(FRESH, number):
                            return time.monotonic() - begun
                        time.sleep(0.01)
        except (Closed, OSError):
            time.sleep(0.02)
    return None


FRESH = 9999
FRESH_SIZES = {FRESH: 40}
