"""A little of everything, for each policy: what matters here is the shape of the records."""

import http.client
import socket

TIMEOUT_S = 10.0
REQUESTS = [
    ("GET", "/ok/a?x=1&y=2", {"user-agent": "curl/8.5.0", "x-forwarded-for": "203.0.113.9, 10.0.0.1"}),
    ("POST", "/ok", {"user-agent": 'quote"inside', "x-request-id": "rid-1"}),
    ("GET", "/status/503", {"user-agent": "-", "x-forwarded-for": "2001:db8::17"}),
    ("GET", "/refused", {}),
    ("DELETE", "/nowhere", {"user-agent": "日本語".encode(), "x-forwarded-for": "unknown"}),
]
CONNECTION_BYTES = [0, 5, 70_000]


def drive(http_port, tcp_port):
    """Returns when every answer is in."""
    for method, path, headers in REQUESTS:
        client = http.client.HTTPConnection("127.0.0.1", http_port, timeout=TIMEOUT_S)
        body = b"b" * 100 if method == "POST" else None
        client.request(method, path, body=body, headers={"host": "backend.mesh:8080", **headers})
        client.getresponse().read()
        client.close()
    for size in CONNECTION_BYTES:
        with socket.create_connection(("127.0.0.1", tcp_port), timeout=TIMEOUT_S) as client:
            client.sendall(b"x" * size)
            while size:
                size -= len(client.recv(size))
