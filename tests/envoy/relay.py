"""The step a mesh data plane takes between Envoy's named pipe and a TCP log collector.

Behaviour, not code, of kuma-dp: one JSON envelope or `address;text` a line in, the bare record
out, one connection for each address string, no buffer, no retry. Objects are written again the
way Go's encoding/json does, since that is what a collector sees.
"""

import json
import os
import select
import socket
import threading
from decimal import Decimal

CONNECT_TIMEOUT_S = 5.0


class Relay(threading.Thread):
    """Reads `pipe` until `stop()`. `older` addresses get the extra newline after plain records
    that releases up to 2.10 wrote. `sent` holds, by address, every byte that was handed over."""

    def __init__(self, pipe, older):
        super().__init__(name="relay", daemon=True)
        os.mkfifo(pipe)
        # Read-write, so that the pipe never reports its end while Envoy is away.
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._older = older
        self._connections = {}
        self._stopping = threading.Event()
        self.sent = {}
        self.records = 0
        self.dropped = []

    def run(self):
        tail = b""
        while not self._stopping.is_set():
            readable, _, _ = select.select([self._pipe], [], [], 0.1)
            if readable:
                *lines, tail = (tail + os.read(self._pipe, 1 << 16)).split(b"\n")
                for line in lines:
                    self._forward(line + b"\n")

    def stop(self):
        self._stopping.set()
        self.join()
        for connection in self._connections.values():
            connection.close()

    def _forward(self, line):
        try:
            address, record = decode(line, self._older)
        except ValueError:
            self.dropped.append(f"not an envelope: {line[:120]!r}")
            return
        try:
            if address not in self._connections:
                host, port = address.rsplit(":", 1)
                self._connections[address] = socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S)
                self._connections[address].settimeout(None)
            self._connections[address].sendall(record)
        except OSError as error:
            self.dropped.append(f"{address}: {error}")
            connection = self._connections.pop(address, None)
            if connection:
                connection.close()
            return
        self.sent.setdefault(address, bytearray()).extend(record)
        self.records += 1


def decode(line, older=frozenset()):
    """`(address, bytes for the collector)`; ValueError when the line is neither form."""
    try:
        envelope = json.loads(line.decode("utf-8"), parse_int=float)
        if not isinstance(envelope, dict):
            raise ValueError("not an object")
    except ValueError:
        address, semicolon, text = line.partition(b";")
        if not semicolon:
            raise ValueError("neither an envelope nor address;text") from None
        return address.decode("utf-8"), text
    address, message = envelope["address"], envelope.get("message")
    if isinstance(message, str):
        return address, (message + ("\n" if address in older else "")).encode("utf-8", "replace")
    return address, marshal(message).encode("utf-8", "replace") + b"\n"


def marshal(value):
    """JSON text as Go 1.22 and later write it: keys sorted, compact, HTML characters escaped."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return "[" + ",".join(marshal(item) for item in value) + "]"
    return "{" + ",".join(f"{_text(key)}:{marshal(value[key])}" for key in sorted(value)) + "}"


def _number(value):
    shortest = repr(value)
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        digits, _, exponent = f"{Decimal(shortest):e}".partition("e")
        digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
        return f"{digits}e{exponent}"
    plain = f"{Decimal(shortest):f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


_ESCAPES = {chr(code): f"\\u{code:04x}" for code in (*range(0x20), ord("<"), ord(">"), ord("&"), 0x2028, 0x2029)}
_ESCAPES |= {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TABLE = str.maketrans(_ESCAPES)


def _text(value):
    return '"' + value.translate(_TABLE) + '"'
