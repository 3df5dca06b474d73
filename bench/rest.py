"""What logboom costs while nothing happens: memory, CPU, and the time until it is ready."""

import os
import resource
import socket
import statistics
import time
from pathlib import Path

from cases import NULL
from processes import Logboom, config

ROOT = Path(__file__).resolve().parent.parent
STARTS = 15
CALM_S = 2
WATCH_S = 8
CROWD = 10_000
# How a client begins: the preface, and settings that leave all at its default (RFC 9113, section 3.4).
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def connect(address, hello=b""):
    host, port = address.rsplit(":", 1)
    stream = socket.create_connection((host, int(port)))
    if hello:
        stream.sendall(hello)
    return stream


def sidecar(binary, workdir):
    """The sidecar that we ship, to a gateway that is there, with 4 idle connections: two of each kind."""
    gateway = Logboom(binary, workdir, config("{type: otlp, grpc: '127.0.0.1:0'}", [NULL.format()]))
    text = (ROOT / "config/sidecar.yaml").read_text()
    text = text.replace("127.0.0.1:5000", "127.0.0.1:0").replace("127.0.0.1:4317", "127.0.0.1:0")
    text = text.replace("http://${env:LOGBOOM_GATEWAY:-logboom-gateway.logging}:4317", f"http://{gateway.address}")
    server = Logboom(binary, workdir, text + "admin: {listen: '127.0.0.1:0'}\n")
    try:
        lines, otlp = server.addresses
        held = [connect(lines), connect(lines), connect(otlp, HTTP2_HELLO), connect(otlp, HTTP2_HELLO)]
        time.sleep(CALM_S)
        before, at = server.cpu()[0], time.monotonic()
        time.sleep(WATCH_S)
        used = (server.cpu()[0] - before) / (time.monotonic() - at)
        rss, own = server.memory("VmRSS"), server.memory("RssAnon")
        del held
        # What is not its own are pages of the program, which all that run on a machine share.
        return {"rss_bytes": rss, "own_bytes": own, "cpu_ms_per_s": used * 1e3}
    finally:
        server.stop()
        gateway.stop()


def crowd(binary, workdir, kind):
    """Bytes that one of ten thousand idle connections takes, of `lines` or `otlp`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = min(CROWD, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listen, hello = ("grpc", HTTP2_HELLO) if kind == "otlp" else ("listen", b"")
    source = f"{{type: {kind}, {listen}: '127.0.0.1:0', connections_max: {2 * number}}}"
    memory = "memory: 64MiB\n"
    server = Logboom(binary, workdir, config(source, [NULL.format()], memory))
    try:
        held = [connect(server.address, hello) for _ in range(10)]
        time.sleep(CALM_S)
        before = server.memory("VmRSS")
        held += [connect(server.address, hello) for _ in range(number)]
        deadline = time.monotonic() + 20
        while server.metrics().get("logboom_connections", 0) < len(held) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(CALM_S)
        return {"connections": number, "bytes_each": (server.memory("VmRSS") - before) / number}
    finally:
        for stream in held:
            stream.close()
        server.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ready(binary, workdir):
    """Milliseconds from start to the ready line; the program is in the page cache after the first."""
    times = []
    for _ in range(STARTS):
        server = Logboom(binary, workdir, config("{type: lines, listen: '127.0.0.1:0'}", [NULL.format()]))
        times.append(server.ready_s * 1e3)
        server.stop()
    return {"ms": statistics.median(times[1:]), "ms_max": max(times[1:])}


def all_of_it(binary, workdir):
    return {
        "sidecar": sidecar(binary, workdir),
        "crowd_lines": crowd(binary, workdir, "lines"),
        "crowd_otlp": crowd(binary, workdir, "otlp"),
        "ready": ready(binary, workdir),
        "binary_bytes": os.path.getsize(binary),
    }
