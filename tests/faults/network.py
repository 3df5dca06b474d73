"""Peers that vanish without a word, in a network namespace of their own."""

import os
import subprocess
import sys
import time

from harness import Skip, connect, contains, file_sink, free_port, row, send_line
from waiting import until

HOST, PEER = "10.213.77.1", "10.213.77.2"
IDLE = """
import socket, sys, time

count, host, ports = int(sys.argv[1]), sys.argv[2], [int(one) for one in sys.argv[3:]]
held = []
for number in range(count):
    held.append(socket.create_connection((host, ports[number % len(ports)]), timeout=10))
    held[-1].sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0" if number % len(ports) else b"a line of mine\\n")
print("connected", flush=True)
time.sleep(3600)
"""


@row(44)
def half_open(environment, verdict):
    """500 peers vanish, their network with them: their connections are given up within 90 s, and nobody else notices."""
    if environment.smoke:
        raise Skip("takes 90 s; with full counts only")
    peers = _namespace(environment)
    lines, otlp = free_port(), free_port()
    path = environment.directory / "all.log"
    config = {
        "sources": {
            "mesh": {"type": "lines", "listen": f"0.0.0.0:{lines}", "allow_plaintext": True},
            "otlp": {"type": "otlp", "grpc": f"0.0.0.0:{otlp}", "allow_plaintext": True},
        },
        "sinks": {"files": file_sink(path)},
    }
    logboom = environment.logboom(config, verdict)
    command = ["ip", "netns", "exec", peers, sys.executable, "-c", IDLE, "500", HOST, str(lines), str(otlp)]
    client = environment.adopt(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    verdict.expect(client.stdout.readline() == "connected\n", "the peers could not connect")
    open_connections = lambda: logboom.metric("logboom_connections")  # noqa: E731
    with connect(lines) as alive:
        verdict.expect(until(lambda: open_connections() >= 501, 10), f"{open_connections()} connections")
        _ip("link", "set", "logboom-f0", "down")
        begun = time.monotonic()
        reclaimed = until(lambda: open_connections() <= 1, 120, 0.5)
        seconds = time.monotonic() - begun
        verdict.figure("given up after s", round(seconds))
        verdict.expect(reclaimed and seconds <= 90, f"{open_connections()} connections after {seconds:.0f} s")
        alive.sendall(b"still here\n")
        verdict.expect(until(lambda: contains(path, "still here"), 5), "the living one was given up too")
    send_line(lines, "and a new one")
    verdict.expect(until(lambda: contains(path, "and a new one"), 5), "no new connection is taken")
    logboom.stop()


def _namespace(environment):
    name = f"logboom-f-{os.getpid()}"
    try:
        _ip("netns", "add", name)
        environment.afterwards(lambda: subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True))
        _ip("link", "add", "logboom-f0", "type", "veth", "peer", "name", "logboom-f1", "netns", name)
        environment.afterwards(lambda: subprocess.run(["ip", "link", "del", "logboom-f0"], check=False, capture_output=True))
        _ip("addr", "add", f"{HOST}/24", "dev", "logboom-f0")
        _ip("link", "set", "logboom-f0", "up")
        _ip("-n", name, "addr", "add", f"{PEER}/24", "dev", "logboom-f1")
        _ip("-n", name, "link", "set", "logboom-f1", "up")
    except (OSError, subprocess.CalledProcessError) as why:
        raise Skip(f"no network namespace can be made here: {why}") from why
    return name


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


CASES = [half_open]
