"""As much HTTP/2 and gRPC as a hostile client needs (RFC 9113, RFC 7541), over plain TCP.

Requests carry headers that are never indexed and never compressed. Answers are decoded with the
dynamic table and the Huffman code of printable ASCII, which is all that gRPC headers hold.
"""

import socket
import struct

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
WINDOW = 65535
FRAME_MAX = 16384

CODES = {
    0: "OK", 1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND", 6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 10: "ABORTED", 11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED", 13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS", 16: "UNAUTHENTICATED",
}


class Closed(Exception):
    """The server has closed the connection, or the stream without an answer."""


class Grpc:
    """One connection. Calls may overlap; each is answered by the name of a gRPC code. `has_details` says whether the
    last answer came with details, such as a RetryInfo."""

    def __init__(self, port, timeout_s=30.0, source=None):
        address = (source, 0) if source else None
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s, source_address=address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received, self._table = bytearray(), []
        self._next, self._window, self._windows = 1, WINDOW, {}
        self._window_initial, self._answers, self._heads, self.has_details = WINDOW, {}, {}, False
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 24)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def call(self, message, **options):
        return self.wait(self.start(message, **options))

    def start(self, message, encoding=None, framed=None, path=EXPORT, content_type="application/grpc", end=True):
        """Sends a request; `framed` replaces the message with its gRPC header. Returns the stream."""
        stream, self._next = self._next, self._next + 2
        self._windows[stream] = self._window_initial
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"), ("te", "trailers")]
        headers += [("content-type", content_type)] if content_type else []
        headers += [("grpc-encoding", encoding)] if encoding else []
        self._send(frame(HEADERS, END_HEADERS, stream, b"".join(map(literal, headers))))
        body = struct.pack(">BI", encoding is not None, len(message)) + message if framed is None else framed
        self._send_body(stream, memoryview(body), end)
        return stream

    def wait(self, stream):
        """The name of the code the request was answered with."""
        while stream not in self._answers:
            self._receive()
        self._heads.pop(stream, None)
        self._windows.pop(stream, None)
        return self._answers.pop(stream)

    def _send_body(self, stream, body, end):
        sent = 0
        while stream not in self._answers:
            room = min(self._window, self._windows[stream], FRAME_MAX, len(body) - sent)
            if room <= 0 and sent < len(body):
                self._receive()
                continue
            piece = body[sent : sent + room]
            sent += room
            self._window -= room
            self._windows[stream] -= room
            last = sent == len(body)
            self._send(frame(DATA, END_STREAM if last and end else 0, stream, bytes(piece)))
            if last:
                return

    def _send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error

    def _exactly(self, count):
        while len(self._received) < count:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("closed by the server")
            self._received += data
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def _receive(self):
        head = self._exactly(9)
        length, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big") & (1 << 31) - 1
        payload = self._exactly(length)
        if kind == HEADERS:
            self._heads.setdefault(stream, {}).update(self._decode(payload))
            if flags & END_STREAM:
                self._answer(stream)
        elif kind == DATA and flags & END_STREAM:
            self._answer(stream)
        elif kind == RST_STREAM:
            self._answers.setdefault(stream, f"RST_STREAM {int.from_bytes(payload, 'big')}")
        elif kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        elif kind == PING and not flags & ACK:
            self._send(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if stream == 0:
                self._window += more
            elif stream in self._windows:
                self._windows[stream] += more
        elif kind == GOAWAY and int.from_bytes(payload[4:8], "big") != 0:
            raise Closed(f"GOAWAY {int.from_bytes(payload[4:8], 'big')}")

    def _settings(self, payload):
        for key, value in struct.iter_unpack(">HI", payload):
            if key == 4:
                for stream in self._windows:
                    self._windows[stream] += value - self._window_initial
                self._window_initial = value
        self._send(frame(SETTINGS, ACK, 0, b""))

    def _answer(self, stream):
        head = self._heads.get(stream, {})
        status = head.get("grpc-status")
        self.has_details = "grpc-status-details-bin" in head
        name = f"HTTP {head.get(':status')}" if status is None else CODES.get(int(status), f"code {status}")
        self._answers.setdefault(stream, name)

    def _decode(self, block):
        headers, at = {}, 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 7)
                name, value = self._entry(index)
            elif first & 0xE0 == 0x20:
                _, at = _integer(block, at, 5)
                continue
            else:
                indexed = bool(first & 0x40)
                index, at = _integer(block, at, 6 if indexed else 4)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, at = _string(block, at)
                value, at = _string(block, at)
                if indexed:
                    self._table.insert(0, (name, value))
            headers[name] = value
        return headers

    def _entry(self, index):
        if index >= 62:
            return self._table[index - 62]
        statuses = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}
        names = {28: "content-length", 31: "content-type", 33: "date"}
        return (":status", statuses[index]) if index in statuses else (names.get(index, f"static {index}"), "")


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def request_head(stream):
    """The HEADERS frame of an ordinary Export call."""
    headers = [(":method", "POST"), (":scheme", "http"), (":path", EXPORT), (":authority", "localhost"), ("content-type", "application/grpc")]
    return frame(HEADERS, END_HEADERS, stream, b"".join(map(literal, headers)))


def literal(header):
    name, value = (part.encode() for part in header)
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def _length(value):
    if value < 127:
        return bytes([value])
    out, value = bytearray([127]), value - 127
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _integer(block, at, bits):
    mask = (1 << bits) - 1
    value, at, shift = block[at] & mask, at + 1, 0
    if value < mask:
        return value, at
    while True:
        value += (block[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if not block[at - 1] & 128:
            return value, at


def _string(block, at):
    huffman = block[at] & 0x80
    length, at = _integer(block, at, 7)
    data = block[at : at + length]
    return (_huffman(data) if huffman else data.decode("latin-1")), at + length


def _huffman_codes():
    """The code is canonical, so the symbols of each length say it all (RFC 7541, appendix B)."""
    lengths = {
        5: "012aceiost", 6: " %-./3456789=A_bdfghlmnpru", 7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz", 8: "&*,;XZ", 10: '!"()?',
        11: "'+|", 12: "#>", 13: "\0$@[]~", 14: "^}", 15: "<`{",
    }
    codes, code, before = {}, 0, 5
    for length, symbols in lengths.items():
        code <<= length - before
        before = length
        for symbol in symbols:
            codes[length, code] = symbol
            code += 1
    return codes


_CODES = _huffman_codes()


def _huffman(data):
    out, code, length = [], 0, 0
    for bit in "".join(f"{byte:08b}" for byte in data):
        code, length = code << 1 | (bit == "1"), length + 1
        if (length, code) in _CODES:
            out.append(_CODES[length, code])
            code = length = 0
        elif length > 30:
            return "".join(out) + "…"
    return "".join(out)
