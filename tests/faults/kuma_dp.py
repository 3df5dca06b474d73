#!/usr/bin/env python3
"""A model of the sender in kuma-dp: one FIFO, one TCP connection, one write for each line.

    python3 kuma_dp.py --port N --producer N --rate 10000 [--size 300] [--seconds N]

It never reads. A write that fails drops its line and closes; the next line connects anew; a connection that is
refused drops the line. Nothing is tried twice. Lines come due in slices of a millisecond, each is its own send().
SIGTERM or the end of the time ends it; then it prints what it knows as JSON.
"""

import argparse
import json
import signal
import socket
import sys
import time

sys.dont_write_bytecode = True

from oracle import body  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    for name, standard in (("port", None), ("producer", 1), ("rate", 10_000), ("size", 300), ("seconds", 3600)):
        parser.add_argument(f"--{name}", type=int, default=standard, required=standard is None)
    options = parser.parse_args()
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    print("ready", flush=True)
    stream, number, dropped, refused, failed, connects, late, held = None, 0, [], 0, 0, 0, 0.0, 0.0
    started = time.monotonic()
    last = options.rate * options.seconds
    while not over and number < last:
        due = min(last, int((time.monotonic() - started) * options.rate))
        if due <= number:
            time.sleep(0.001)
            continue
        for number in range(number, due):
            if stream is None:
                try:
                    stream = socket.create_connection(("127.0.0.1", options.port), timeout=5)
                    stream.settimeout(None)
                    # Go's default.
                    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connects += 1
                except OSError:
                    refused += 1
                    dropped.append(number)
                    continue
            line = body(options.producer, number, options.size) + b"\n"
            begun = time.monotonic()
            try:
                stream.sendall(line)
                held = max(held, time.monotonic() - begun)
            except OSError:
                failed += 1
                dropped.append(number)
                stream.close()
                stream = None
        number = due
        late = max(late, time.monotonic() - started - due / options.rate)
    if stream:
        stream.close()
    print(json.dumps({
        "issued": number, "dropped": ranges(dropped), "refused": refused, "write_errors": failed, "connects": connects,
        "late_max_s": round(late, 3), "send_max_s": round(held, 3), "cpu_s": round(time.process_time(), 2), "seconds": round(time.monotonic() - started, 2),
    }))


def ranges(numbers):
    """Ascending numbers as pairs of the first and the last of a run."""
    runs = []
    for one in numbers:
        if runs and one == runs[-1][1] + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return runs


if __name__ == "__main__":
    main()
