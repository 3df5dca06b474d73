"""Hostile and broken input on both ports. Afterwards a good record on each port must land."""

import collections
import gzip
import json
import random
import socket
import threading
import time

from harness import connect, contains, file_sink, row, send_line, sources
from honest import Honest
from http2 import Closed, Grpc
from otlp import empty_records, field, key_value, large_resource, many_resources, nested, record, request, text
from waiting import until

MIB = 1 << 20


class _Target:
    """logboom with a json and a raw file, and what must hold when the attack is over."""

    def __init__(self, environment, verdict):
        self.raw, self.json = environment.directory / "raw.log", environment.directory / "all.json"
        config = {"sources": sources(), "sinks": {"raw": file_sink(self.raw), "json": file_sink(self.json, "json")}}
        self.logboom, self._verdict = environment.logboom(config, verdict), verdict
        self.before_kib = self.logboom.rss_kib()

    def finish(self, codes=None, allowed=()):
        """`codes` counts the answers; only `allowed` ones may be among them."""
        verdict, logboom = self._verdict, self.logboom
        if codes is not None:
            verdict.figure("answers", dict(codes))
            verdict.expect(set(codes) <= set(allowed), f"answers: {dict(codes)}, allowed: {', '.join(allowed)}")
        if not verdict.expect(logboom.alive(), "it has ended"):
            return
        send_line(logboom.lines, "a good line afterwards")
        with Grpc(logboom.otlp) as client:
            code = client.call(request([record("a good record afterwards")]))
        verdict.expect(code == "OK", f"a good request afterwards: {code}")
        for path in (self.raw, self.json):
            for good in ("a good line afterwards", "a good record afterwards"):
                verdict.expect(until(lambda: contains(path, good), 10), f"{good!r} is not in {path.name}")  # noqa: B023
        verdict.expect(logboom.settled(30), "records are still on their way")
        logboom.check_memory()
        verdict.figure("growth MiB", round((logboom.rss_kib("VmHWM") - self.before_kib) / 1024))
        logboom.stop()


@row(36)
def long_line(environment, verdict):
    """A line of 100 MB: its first MiB arrives, flagged; the next line is intact."""
    _one_line(environment, verdict, 100_000_000)


@row(36)
def endless_line(environment, verdict):
    """1 GB without a line feed (smoke: 200 MB): the same, in the same memory."""
    _one_line(environment, verdict, environment.pick(1_000_000_000, 200_000_000))


def _one_line(environment, verdict, size):
    target = _Target(environment, verdict)
    piece = b"x" * MIB
    with connect(target.logboom.lines) as stream:
        stream.sendall(b"the line before\n")
        for _ in range(size // MIB):
            stream.sendall(piece)
        stream.sendall(b"\nthe line after\n")
    verdict.expect(until(lambda: contains(target.raw, "the line after"), 15), "the next line did not arrive")
    lines = target.raw.read_bytes().split(b"\n")
    verdict.equal("lines", [len(line) for line in lines], [15, MIB, 14, 0])
    received = target.logboom.status()["sources"]["mesh"]["received_bytes"]
    verdict.expect(received > size // MIB * MIB, f"only {received} bytes were received")
    verdict.equal("truncated", target.logboom.metric("logboom_lines_total", source="mesh", result="truncated"), 1)
    verdict.expect(until(lambda: contains(target.json, "the line after"), 15), "the next line is not in the json file")
    flagged = [json.loads(line) for line in target.json.read_bytes().splitlines()]
    verdict.equal("flagged", ["truncated" in json.dumps({**one, "body": ""}) for one in flagged], [False, True, False])
    growth = (target.logboom.rss_kib("VmHWM") - target.before_kib) / 1024
    verdict.expect(growth < 32, f"memory grew by {growth:.0f} MiB")
    target.finish()


@row(39)
def gzip_bomb(environment, verdict):
    """Gzip bombs on 64 connections at once: RESOURCE_EXHAUSTED or UNAVAILABLE, memory bounded, and honest
    senders on both ports go on within two seconds."""
    target = _Target(environment, verdict)
    bomb = gzip.compress(bytes(16 * MIB + 1), 9)
    verdict.figure("bomb KiB", len(bomb) // 1024)
    codes, slowest = collections.Counter(), []
    rounds = environment.pick(100, 40)

    def throw():
        with Grpc(target.logboom.otlp, timeout_s=60) as client:
            for _ in range(rounds):
                started = time.monotonic()
                codes[client.call(bomb, encoding="gzip")] += 1
                slowest.append(time.monotonic() - started)

    throwers = [threading.Thread(target=throw, daemon=True) for _ in range(64)]
    for one in throwers:
        one.start()
    honest = Honest(target.logboom, target.raw)
    for one in throwers:
        one.join(60)
    honest.finish(verdict)
    verdict.equal("bombs", sum(codes.values()), 64 * rounds)
    verdict.figure("slowest answer s", round(max(slowest, default=0), 2))
    target.finish(codes, ("RESOURCE_EXHAUSTED", "UNAVAILABLE"))


@row(41)
def wide(environment, verdict):
    """16 and 64 MiB of empty records, plain and as gzip: RESOURCE_EXHAUSTED, without the memory to decode them."""
    target = _Target(environment, verdict)
    codes = collections.Counter()
    most, more = empty_records((16 * MIB - 100) // 2), empty_records(32 * MIB)
    with Grpc(target.logboom.otlp, timeout_s=60) as client:
        for message in (most, more):
            codes[client.call(message)] += 1
            codes[client.call(gzip.compress(message, 1), encoding="gzip")] += 1
        codes[client.call(empty_records(100_001))] += 1
        verdict.equal("100,000 records", client.call(empty_records(100_000)), "OK")
    target.finish(codes, ("RESOURCE_EXHAUSTED",))


@row(40)
def deep(environment, verdict):
    """AnyValues nested 100, 1,000 and 200,000 deep: INVALID_ARGUMENT; ten levels are taken."""
    target = _Target(environment, verdict)
    codes = collections.Counter()
    with Grpc(target.logboom.otlp, timeout_s=60) as client:
        for levels in (100, 1_000, 200_000):
            codes[client.call(nested(levels))] += 1
        verdict.equal("10 levels", client.call(nested(10)), "OK")
    with connect(target.logboom.lines) as stream:
        stream.sendall(b'{"deep":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n" + b'{"a":' * 100_000 + b"\n")
    target.finish(codes, ("INVALID_ARGUMENT",))


@row(41)
def resources(environment, verdict):
    """100,000 resources of one record each arrive; a resource of 1 MiB before 100,000 empty records is
    RESOURCE_EXHAUSTED."""
    target = _Target(environment, verdict)
    codes = collections.Counter()
    with Grpc(target.logboom.otlp, timeout_s=60) as client:
        verdict.equal("10^5 resources", client.call(many_resources(100_000)), "OK")
        codes[client.call(large_resource(MIB - 100, 99_990))] += 1
        codes[client.call(large_resource(2 * MIB, 10))] += 1
    verdict.expect(target.logboom.settled(30), "records are still on their way")
    verdict.equal("lines in json", target.json.read_bytes().count(b"\n"), 100_000)
    target.finish(codes, ("RESOURCE_EXHAUSTED",))


@row(42)
def odd_requests(environment, verdict):
    """Requests that are not quite gRPC are answered with a code that says so, and the connection lives on."""
    target = _Target(environment, verdict)
    good = request([record("good")])
    head = b"\0" + len(good).to_bytes(4, "big")
    cases = {
        "too long for its length": ({"framed": head + good + b"\0\0"}, "INVALID_ARGUMENT"),
        "too short for its length": ({"framed": head + good[:-3]}, "INVALID_ARGUMENT"),
        "no message": ({"framed": b""}, "INVALID_ARGUMENT"),
        "half a header": ({"framed": b"\0\0"}, "INVALID_ARGUMENT"),
        "two messages": ({"framed": (head + good) * 2}, "INVALID_ARGUMENT"),
        "flag 7": ({"framed": b"\7" + head[1:] + good}, "INVALID_ARGUMENT"),
        "compressed, not said how": ({"framed": b"\1" + head[1:] + good}, "INVALID_ARGUMENT"),
        "not gzip": ({"encoding": "gzip"}, "INVALID_ARGUMENT"),
        "unknown encoding": ({"encoding": "snappy"}, "UNIMPLEMENTED"),
        "4 GiB announced": ({"framed": b"\0\xff\xff\xff\xff" + good}, "RESOURCE_EXHAUSTED"),
        "traces": ({"path": "/opentelemetry.proto.collector.trace.v1.TraceService/Export"}, "UNIMPLEMENTED"),
        "a text": ({"content_type": "text/plain"}, "HTTP 415"),
    }
    client = Grpc(target.logboom.otlp)
    for name, (options, wanted) in cases.items():
        try:
            code = client.call(good, **options)
        except Closed as why:
            code, client = str(why), Grpc(target.logboom.otlp)
        verdict.expect(code == wanted, f"{name}: {code}, expected {wanted}")
        verdict.expect(client.call(good) == "OK", f"{name}: the connection is not usable afterwards")
    verdict.figure("requests", len(cases))
    target.finish()


@row(37)
def random_lines(environment, verdict):
    """10^6 lines of random bytes (smoke: 10^5): each is one line in the raw file, byte for byte, and valid JSON in the other."""
    target = _Target(environment, verdict)
    source = random.Random(environment.seed)
    count = environment.pick(1_000_000, 100_000)
    sent = []
    with connect(target.logboom.lines) as stream:
        stream.settimeout(60)
        for _ in range(count // 1000):
            data = source.randbytes(64_000).replace(b"\n", b"\0")
            cuts = sorted(source.sample(range(64_000), 1000))
            block = b"".join(data[start:end] + b"\n" for start, end in zip([0, *cuts], cuts))
            sent.append(block)
            stream.sendall(block)
    expected = [line for line in b"".join(sent).split(b"\n") if line not in (b"", b"\r")]
    verdict.expect(until(lambda: target.logboom.status()["sources"]["mesh"]["received_records"] >= len(expected), 60), "not all were received")
    verdict.expect(target.logboom.settled(60), "records are still on their way")
    got = target.raw.read_bytes().split(b"\n")[:-1]
    verdict.equal("lines", len(got), len(expected))
    verdict.equal("changed", sum(one != other for one, other in zip(got, expected)), 0)
    invalid = 0
    for line in target.json.read_bytes().split(b"\n")[:-1]:
        try:
            json.loads(line)
        except ValueError:
            invalid += 1
    verdict.equal("invalid JSON", invalid, 0)
    verdict.equal("control bytes in JSON", len(set(target.json.read_bytes()) & set(range(32)) - {10}), 0)
    target.finish()


@row(38)
def random_otlp(environment, verdict):
    """2,000 connections with random bytes on the OTLP port (smoke: 400), half of them after a correct preface: none harms another."""
    target = _Target(environment, verdict)
    source = random.Random(environment.seed)
    closed = 0
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    with Grpc(target.logboom.otlp) as bystander:
        for number in range(environment.pick(2_000, 400)):
            with connect(target.logboom.otlp) as stream:
                try:
                    stream.sendall((preface if number % 2 else b"") + source.randbytes(source.choice((1, 24, 100, 4_000, 60_000))))
                    stream.shutdown(socket.SHUT_WR)
                    while stream.recv(1 << 16):
                        pass
                    closed += 1
                except (ConnectionError, OSError):
                    closed += 1
            if number % 100 == 0:
                code = bystander.call(request([record("a bystander")]))
                verdict.expect(code == "OK", f"a bystander after {number} connections: {code}")
    verdict.figure("connections", closed)
    accepted = target.logboom.status()["sources"]["otlp"]["connections_accepted"]
    verdict.expect(accepted == closed + 1, f"{accepted} connections were accepted")
    gone = until(lambda: target.logboom.status()["sources"]["otlp"]["connections"] == 0, 15)
    verdict.expect(gone, "connections are still counted as open")
    target.finish()


@row(38)
def mutated(environment, verdict):
    """50,000 live requests with random changes (smoke: 5,000): OK, INVALID_ARGUMENT or RESOURCE_EXHAUSTED,
    and the records of what was answered OK are in the file as valid JSON."""
    target = _Target(environment, verdict)
    source = random.Random(environment.seed)
    templates = [
        request([record("GET /", method="GET", path="/a"), record("zwei", k="v" * 200)], field(1, key_value("service.name", text("web")))),
        request([record(text(f"line {number}"), number=str(number)) for number in range(17)]),
        many_resources(5),
        nested(8),
        large_resource(300, 20),
    ]
    codes, count, flying = collections.Counter(), environment.pick(50_000, 5_000), collections.deque()
    with Grpc(target.logboom.otlp, timeout_s=60) as client:
        for _ in range(count):
            flying.append(client.start(_mutate(source, source.choice(templates))))
            if len(flying) >= 32:
                codes[client.wait(flying.popleft())] += 1
        while flying:
            codes[client.wait(flying.popleft())] += 1
    verdict.expect(target.logboom.settled(30), "records are still on their way")
    received = target.logboom.status()["sources"]["otlp"]["received_records"]
    lines = target.json.read_bytes().split(b"\n")[:-1]
    verdict.equal("lines in json", len(lines), received)
    invalid = 0
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            invalid += 1
    verdict.equal("invalid JSON", invalid, 0)
    target.finish(codes, ("OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"))


def _mutate(source, message):
    data = bytearray(message)
    for _ in range(source.choice((1, 1, 2, 4, 16))):
        at = source.randrange(len(data)) if data else 0
        match source.randrange(5):
            case 0 if data:
                data[at] ^= 1 << source.randrange(8)
            case 1 if data:
                data[at] = source.choice((0, 0x7F, 0x80, 0xFF, source.randrange(256)))
            case 2:
                del data[at : at + source.randrange(1, 20)]
            case 3:
                data[at:at] = source.randbytes(source.randrange(1, 20))
            case 4:
                start = source.randrange(len(data) + 1)
                data[at:at] = data[start : start + source.randrange(1, 60)]
    return bytes(data)


CASES = [long_line, endless_line, gzip_bomb, wide, deep, resources, odd_requests, random_lines, random_otlp, mutated]
