"""What stands behind Envoy: an HTTP server with odd paths, a TCP echo, and a port that refuses."""

import socket
import socketserver
import struct
import threading
import time


def serve(handler):
    """Starts a threaded server on a free loopback port; returns the port."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request, client_address):
            """A client that hangs up is part of the traffic, not an error."""

    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, name=handler.__name__, daemon=True).start()
    return server.server_address[1]


def refusing_port():
    """A port that stays taken but is never listened on, so that every connect is refused."""
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    return reserved, reserved.getsockname()[1]


class Http(socketserver.StreamRequestHandler):
    """`/status/N` answers N; `/slow` and `/timeout` are late; `/reset`, `/close` and `/garbage` do not answer properly."""

    def handle(self):
        while line := self.rfile.readline():
            method, path, _ = line.decode("latin-1").split(" ", 2)
            self._skip_body()
            if path.startswith("/reset"):
                linger_zero = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
                return
            if path.startswith("/close"):
                return
            if path.startswith("/garbage"):
                self.wfile.write(b"\x00\xff not http at all\r\n\r\n")
                return
            if path.startswith(("/slow", "/timeout")):
                time.sleep(0.5)
            status = int(path.split("/")[2].split("?")[0]) if path.startswith("/status/") else 200
            body = b"" if method == "HEAD" or status == 204 else b"hello"
            length = "" if status == 204 else f"content-length: {len(b'hello')}\r\n"
            self.wfile.write(f"HTTP/1.1 {status} X\r\n{length}\r\n".encode() + body)

    def _skip_body(self):
        headers = {}
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip().lower()
        if headers.get(b"transfer-encoding") == b"chunked":
            while size := int(self.rfile.readline().strip() or b"0", 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(headers.get(b"content-length", 0)))


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)
