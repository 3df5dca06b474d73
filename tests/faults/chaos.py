"""A proxy that misbehaves on purpose: it delays, stalls, cuts, resets, swallows, refuses.

The faults are attributes and may change while it runs. `plan(number)` may give each connection a fault of
its own; it gets the number of the connection, so a seed decides.
"""

import random
import socket
import threading
import time

from upstream import kill


class Fault:
    """What happens to one connection. Bytes are counted from the client to the server."""

    def __init__(self, delay_s=0.0, cut_after=None, reset_after=None, stall_after=None, blackhole=False):
        self.delay_s, self.cut_after, self.reset_after, self.stall_after, self.blackhole = delay_s, cut_after, reset_after, stall_after, blackhole


class Proxy:
    """Between clients and `target`. It may be taken down (connections are refused, those that are open die) and up again
    on the same port."""

    def __init__(self, target, plan=lambda _: Fault()):
        self._target, self.plan, self.blackhole, self.stalled = target, plan, False, threading.Event()
        self.accepted, self._pairs, self._lock, self._listener, self.port = 0, set(), threading.Lock(), None, 0
        self.up()

    def up(self):
        if self._listener is None:
            # Between down and up the port may be lent to a connection that is on its way out.
            for attempt in range(100):
                try:
                    self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
                    break
                except OSError:
                    if attempt == 99:
                        raise
                    time.sleep(0.05)
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self):
        listener, self._listener = self._listener, None
        if listener:
            # A thread in accept() holds the socket open; shutdown wakes it.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            pairs = [one for pair in self._pairs for one in pair]
        for one in pairs:
            kill(one)

    close = down

    def open(self):
        return len(self._pairs)

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            fault = self.plan(self.accepted)
            if self.blackhole or fault.blackhole:
                with self._lock:
                    self._pairs.add((client,))
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                kill(client)
                continue
            server.settimeout(None)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            threading.Thread(target=self._pump, args=(client, server, pair, fault), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, pair, Fault(delay_s=fault.delay_s)), daemon=True).start()

    def _pump(self, source, target, pair, fault):
        passed = 0
        limit = min((one for one in (fault.cut_after, fault.reset_after, fault.stall_after) if one is not None), default=None)
        try:
            while data := source.recv(1 << 16):
                while self.blackhole or self.stalled.is_set():
                    time.sleep(0.01)
                    if source.fileno() < 0:
                        return
                if fault.delay_s:
                    time.sleep(fault.delay_s)
                if limit is not None and passed + len(data) >= limit:
                    target.sendall(data[: limit - passed])
                    self._fail(pair, fault)
                    return
                target.sendall(data)
                passed += len(data)
        except OSError:
            pass
        finally:
            if limit is None or passed < limit:
                self._end(pair)

    def _fail(self, pair, fault):
        if fault.stall_after is not None:
            return
        for one in pair:
            if fault.reset_after is not None:
                kill(one)
        self._end(pair)

    def _end(self, pair):
        with self._lock:
            self._pairs.discard(pair)
        for one in pair:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


def faults_from(seed, most_bytes):
    """A plan: every connection delays a little, and is cut or reset somewhere in its first `most_bytes` bytes."""
    def plan(number):
        rng = random.Random(f"{seed}-{number}")
        after = rng.randrange(1, most_bytes)
        return Fault(delay_s=rng.choice((0, 0, 0.001, 0.005)), **{rng.choice(("cut_after", "reset_after")): after})
    return plan
