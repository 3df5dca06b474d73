"""An OTLP upstream that answers what a test wants: any code in any shape, late, never, or with a reset.

Headers of requests are skipped unread, so it needs no HPACK state: only one method is ever called.
"""

import base64
import contextlib
import socket
import ssl
import struct
import threading
import time

from http2 import ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal
from otlp import field, varint

WINDOW = (1 << 31) - 1
FRAME_MAX = 1 << 20
REFILL = 1 << 24


class Answer:
    """How a request is answered. `shape`: `message` (headers, message, trailers), `headers` (trailers-only), `trailers`
    (headers, then trailers, no message), `hang` (never), `reset` (the connection dies unanswered), `unheard` (the same, but the records count as
    delivered), `ok-reset` (answered, then it dies)."""

    def __init__(self, code=0, shape="message", retry_after_s=None, rejected=0, delay_s=0.0):
        self.code, self.shape, self.retry_after_s, self.rejected, self.delay_s = code, shape, retry_after_s, rejected, delay_s


OK = Answer()


class Upstream:
    """A server on a free port. `answer(body)` is asked once for each request, in the order they are complete;
    what is answered OK goes to `delivered`."""

    def __init__(self, delivered=None, answer=None, port=0, tls=None):
        self.delivered, self.answer = delivered, answer or (lambda _: OK)
        self.attempts, self.requests, self.open, self.opened, self.in_flight, self.in_flight_max = [], 0, 0, 0, 0, 0
        self.bytes, self._lock, self._connections, self._tls = 0, threading.Lock(), set(), tls
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Nobody listens any more, and every connection dies."""
        # A thread in accept() holds the socket open; shutdown wakes it.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self._lock:
            connections = list(self._connections)
        for one in connections:
            kill(one)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.open, self.opened = self.open + 1, self.opened + 1
            self._connections.add(connection)
        serving = None
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            serving = _Connection(self, connection)
            serving.serve()
        except (OSError, EOFError, ssl.SSLError):
            pass
        finally:
            if serving:
                serving.end()
            connection.close()
            with self._lock:
                self.open -= 1
                self._connections.discard(connection)

    def begun(self, message):
        with self._lock:
            self.attempts.append(time.monotonic())
            self.requests, self.bytes = self.requests + 1, self.bytes + len(message)
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight, self.in_flight_max)
        return self.answer(message)

    def ended(self, message, answer):
        with self._lock:
            self.in_flight -= 1
        if answer.code == 0 and answer.shape not in ("hang", "reset") and self.delivered:
            self.delivered.feed(message)


class _Connection:
    def __init__(self, upstream, connection):
        self._upstream, self._socket, self._input = upstream, connection, connection.makefile("rb", buffering=1 << 18)
        self._bodies, self._hanging, self._owed = {}, set(), 0

    def serve(self):
        if self._take(len(PREFACE)) != PREFACE:
            return
        settings = struct.pack(">HIHI", 4, WINDOW, 5, FRAME_MAX)
        self._socket.sendall(frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, (WINDOW - 65535).to_bytes(4, "big")))
        while True:
            head = self._take(9)
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            payload = self._take(int.from_bytes(head[:3], "big"))
            if kind == HEADERS:
                self._bodies[stream] = bytearray()
            elif kind == DATA:
                self._data(flags, stream, payload)
            elif kind == SETTINGS and not flags & ACK:
                self._socket.sendall(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                self._socket.sendall(frame(PING, ACK, 0, payload))
            elif kind == RST_STREAM:
                self._bodies.pop(stream, None)
                self._give_up(stream)

    def end(self):
        for stream in list(self._hanging):
            self._give_up(stream)

    def _give_up(self, stream):
        if stream in self._hanging:
            self._hanging.discard(stream)
            self._upstream.ended(b"", Answer(shape="hang"))

    def _take(self, count):
        data = self._input.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def _data(self, flags, stream, payload):
        self._owed += len(payload)
        if self._owed >= REFILL:
            self._socket.sendall(frame(WINDOW_UPDATE, 0, 0, self._owed.to_bytes(4, "big")))
            self._owed = 0
        if flags & PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        if stream in self._bodies:
            self._bodies[stream] += payload
        if flags & END_STREAM and stream in self._bodies:
            message = bytes(self._bodies.pop(stream)[5:])
            answer = self._upstream.begun(message)
            if answer.shape == "hang":
                self._hanging.add(stream)
                return
            if answer.delay_s:
                time.sleep(answer.delay_s)
            self._upstream.ended(message, answer)
            if answer.shape not in ("reset", "unheard"):
                self._socket.sendall(reply(stream, answer))
            if answer.shape in ("reset", "unheard", "ok-reset"):
                if answer.shape == "ok-reset":
                    time.sleep(0.02)
                kill(self._socket)
                raise EOFError


def reply(stream, answer):
    """The frames of an answer."""
    head = literal((":status", "200")) + literal(("content-type", "application/grpc"))
    status = literal(("grpc-status", str(answer.code))) + literal(("grpc-message", "as the test wants"))
    if answer.retry_after_s is not None:
        status += literal(("grpc-status-details-bin", retry_info(answer.code, answer.retry_after_s)))
    if answer.shape == "headers":
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, head + status)
    # ExportLogsServiceResponse.partial_success = 1 { rejected_log_records = 1 }
    message = field(1, b"\x08" + varint(answer.rejected) + field(2, b"as the test wants")) if answer.rejected else b""
    data = b"" if answer.shape == "trailers" else frame(DATA, 0, stream, struct.pack(">BI", 0, len(message)) + message)
    return frame(HEADERS, END_HEADERS, stream, head) + data + frame(HEADERS, END_HEADERS | END_STREAM, stream, status)


def retry_info(code, seconds):
    """google.rpc.Status with a RetryInfo, as it stands in a header."""
    delay = b"\x08" + varint(int(seconds)) + b"\x10" + varint(round(seconds % 1 * 1e9))
    details = field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, delay))
    return base64.b64encode(b"\x08" + varint(code) + field(3, details)).decode().rstrip("=")


def kill(connection):
    """Ends a connection by a reset."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        pass
