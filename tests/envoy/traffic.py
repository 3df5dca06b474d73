"""Requests and connections through Envoy, each with a mark that every log record of it carries."""

import http.client
import random
import socket
import struct
import threading
from dataclasses import dataclass, field

SEED = 20261120
TIMEOUT_S = 10.0
ORDINARY_CONNECTIONS, ORDINARY_REQUESTS = 6, 36
TRACED_REQUESTS, ECHO_CONNECTIONS, REFUSED_CONNECTIONS = 20, 40, 4
ECHO_BYTES_MIN = 1000

BAD_UTF8 = [
    b"bad \xff\xfe\xc3\x28 end",
    b"latin1 caf\xe9",
    b"overlong \xc0\xaf surrogate \xed\xa0\x80 cut \xf0\x9f\x9a",
    b"mixed \xff \xe6\x97\xa5",
]
USER_AGENTS = [
    b"curl/8.5.0",
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    b'quote"inside', b'"fully quoted"', b'ends with quote"', b"back\\slash \\n \\u0000", b"trailing\\", b"tab\tinside",
    "Zażółć gęślą jaźń".encode(), "日本語エージェント/1.0".encode(), "emoji 🚀🔥".encode(), "\u2028sep\u2029".encode(),
    b"<script>alert('x&y')</script>", b"", b"-", b"null", b"true", b"1e999", b'{"json":true}', b"%% 50%25 %START_TIME%",
    b'" 200 - 0 0 0 - "forged" "', b"semi;colon|pipe", b"Agent]->[x](y)", b"x" * 900,
]
PATHS = [
    b"/ok", b"/ok/a/b?x=1&y=2", b"/ok/%E2%98%83?q=%22quoted%22", b"/ok?q=first%0Asecond%20line", b"/ok?q=%0D%0Aboth",
    b"/ok?q=%00%1b%5B31m%ff", b"/ok;semi=colon?<a>&'b'", b"/status/201", b"/status/204", b"/status/404/missing",
    b"/status/500", b"/status/503", b"/direct", b"/nowhere", b"/refused", b"/close", b"/reset", b"/garbage", b"/timeout",
]


@dataclass
class Sent:
    """What went through Envoy. A `request` is known by its id, a `connection` by its byte count."""

    requests: list = field(default_factory=list)
    traced: list = field(default_factory=list)
    bad_utf8: list = field(default_factory=list)
    connections: list = field(default_factory=list)
    refused: int = 0
    # Requests Envoy rejects before it has read their headers: logged, but without an id.
    nameless: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: int = 0

    def id(self, into):
        with self._lock:
            self._next += 1
            name = f"rid-{self._next:08}"
            into.append(name)
        return name


def drive(http_port, traced_port, echo_port, refused_port):
    """All traffic, from several threads; returns what was sent when every answer is in."""
    sent, errors = Sent(), []

    def guarded(job, *arguments):
        try:
            job(*arguments)
        except Exception as error:  # noqa: BLE001 - reported by the caller, from any thread
            errors.append(f"{job.__name__}: {error!r}")

    jobs = [(_ordinary, sent, http_port, SEED + number) for number in range(ORDINARY_CONNECTIONS)]
    jobs += [(_hostile, sent, http_port), (_traced, sent, traced_port), (_echoes, sent, echo_port)]
    jobs += [(_refusals, sent, refused_port), (_aborted, sent, http_port), (_rejected, sent, http_port)]
    threads = [threading.Thread(target=guarded, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent, errors


def _ordinary(sent, port, seed):
    """One kept-alive connection, so one worker thread and few batches: among good requests one
    with bytes that are not UTF-8, which costs a strict receiver the whole batch."""
    choose = random.Random(seed)
    with _connect(port) as client:
        for number in range(ORDINARY_REQUESTS):
            bad = number % 12 == 5
            agent = choose.choice(BAD_UTF8 if bad else USER_AGENTS)
            path = b"/ok" if bad else choose.choice(PATHS[:10])
            _exchange(client, sent, agent, path, choose.choice(["GET", "GET", "POST", "PUT", "HEAD"]), bad=bad)


def _hostile(sent, port):
    """Every odd user agent, path and form of request once, each on a connection of its own."""
    for agent in [*USER_AGENTS, b"A" * 20_000, b"B" * 70_000]:
        _alone(sent, port, agent=agent)
    for agent in BAD_UTF8:
        _alone(sent, port, agent=agent, bad=True)
    for path in [*PATHS, b"/ok/" + b"p" * 8192]:
        _alone(sent, port, path=path)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
        _alone(sent, port, method=method)
    for extra in (
        b"x-forwarded-for: 203.0.113.9, 10.0.0.1\r\n",
        b'x-forwarded-for: for="[2001:db8::17]:4711", unknown\r\n',
        b"x-b3-traceid: 834c687a3acb6266834c687a3acb6266\r\n",
        b"x-datadog-traceid: 12345678901234567890\r\n",
        b"user-agent: second\r\n",
    ):
        _alone(sent, port, extra=extra)
    _alone(sent, port, agent=BAD_UTF8[0], extra=b"x-forwarded-for: \x80\x81\r\n", bad=True)
    _alone(sent, port, version=b"1.0")
    _alone(sent, port, method="POST", extra=b"transfer-encoding: chunked\r\n", body=b"5\r\nhello\r\n0\r\n\r\n")


def _traced(sent, port):
    with _connect(port) as client:
        for number in range(TRACED_REQUESTS):
            into = sent.traced
            _exchange(client, sent, USER_AGENTS[number % len(USER_AGENTS)], b"/ok", "GET", into=into)


def _aborted(sent, port):
    """The client resets the connection while the upstream is still thinking."""
    for _ in range(3):
        with _connect(port) as client:
            client.sendall(_request(sent.id(sent.requests), b"leaves", b"/slow"))
            client.settimeout(0.1)
            try:
                client.recv(1)
            except TimeoutError:
                pass
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _rejected(sent, port):
    for start in (b"GET /ok HTTP/1.1\r\nhost: x\r\nuser-agent: esc\x1b[31m\r\n\r\n", b"NOT HTTP\r\n\r\n"):
        with _connect(port) as client:
            client.sendall(start)
            while client.recv(1 << 16):
                pass
        sent.nameless += 1


def _echoes(sent, port):
    """Each connection carries a number of bytes no other one does."""
    for number in range(ECHO_CONNECTIONS):
        size = ECHO_BYTES_MIN + number
        with _connect(port) as client:
            client.sendall(b"x" * size)
            while size:
                size -= len(client.recv(size))
        sent.connections.append(ECHO_BYTES_MIN + number)


def _refusals(sent, port):
    for _ in range(REFUSED_CONNECTIONS):
        with _connect(port) as client:
            while client.recv(1):
                pass
        sent.refused += 1


def _alone(sent, port, agent=b"curl/8.5.0", path=b"/ok", method="GET", bad=False, **form):
    with _connect(port) as client:
        _exchange(client, sent, agent, path, method, bad=bad, **form)


def _exchange(client, sent, agent, path, method, into=None, bad=False, body=b"", **form):
    name = sent.id(sent.requests if into is None else into)
    if bad:
        sent.bad_utf8.append(name)
    if method in ("POST", "PUT") and not body:
        body = b"b" * 100
        form["extra"] = b"content-length: 100\r\n"
    client.sendall(_request(name, agent, path, method, **form) + body)
    answer = http.client.HTTPResponse(client, method=method)
    answer.begin()
    answer.read()


def _request(name, agent, path, method="GET", version=b"1.1", extra=b""):
    head = method.encode() + b" " + path + b" HTTP/" + version + b"\r\nhost: backend.mesh:8080\r\n"
    return head + b"x-request-id: " + name.encode() + b"\r\nuser-agent: " + agent + b"\r\n" + extra + b"\r\n"


def _connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
