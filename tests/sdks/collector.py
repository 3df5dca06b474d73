#!/usr/bin/env python3
"""A real OpenTelemetry Collector between logbooms: collector.py LOGBOOM COLLECTOR.

    captured requests ─http▶ first ─grpc, http▶ Collector ─grpc▶ second
                                                          ─http, protobuf▶ third
                                                          ─http, json▶ fourth

COLLECTOR is a Collector that has the otlp receiver and the otlp and otlphttp exporters. Guarantee: every record that the first
logboom writes to its file, all kinds of values, stands with equal values in the files of the others, twice (once for each
protocol to the Collector). The exit code is 0 when that holds. Everything listens on loopback.
"""

import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parents[2]
WITHIN_SECONDS = 60


class Logboom:
    """One with a file, and with these upstreams."""

    def __init__(self, binary: pathlib.Path, directory: pathlib.Path, name: str, upstreams: dict):
        self.out = directory / f"{name}.json"
        # Nothing is read, so what comes is what goes.
        source = {"type": "otlp", "grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "format": "raw"}
        sinks = {"out": {"type": "file", "path": str(self.out), "encoding": "json"}, **upstreams}
        config = directory / f"{name}.yaml"
        config.write_text(json.dumps({"sources": {"otlp": source}, "sinks": sinks, "admin": {"listen": "off"}}))
        self.process = subprocess.Popen([binary, "run", "-c", config], stderr=subprocess.PIPE, text=True)
        ready = next(line for line in self.process.stderr if " ready: " in line)
        self.grpc, self.http = re.search(r"otlp (\S+) \(grpc\) (\S+) \(http\)", ready).groups()

    def lines(self) -> list[str]:
        return self.out.read_text().splitlines() if self.out.exists() else []

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=WITHIN_SECONDS)
        return self.process.returncode


def collector(binary: pathlib.Path, directory: pathlib.Path, second: Logboom, third: Logboom, fourth: Logboom):
    grpc, http = free_port(), free_port()
    plain = {"tls": {"insecure": True}, "compression": "gzip"}
    exporters = {
        "otlp": {"endpoint": second.grpc, **plain},
        "otlphttp/protobuf": {"endpoint": f"http://{third.http}", **plain},
        "otlphttp/json": {"endpoint": f"http://{fourth.http}", "encoding": "json", **plain},
    }
    protocols = {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{http}"}}
    config = directory / "collector.yaml"
    config.write_text(json.dumps({
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": exporters,
        "service": {
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": list(exporters)}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }))
    log = (directory / "collector.log").open("w")
    process = subprocess.Popen([binary, "--config", config], stdout=log, stderr=log)
    until(lambda: all(listens(port) for port in (grpc, http)), "the Collector listens")
    return process, grpc, http


def values(lines: list[str]) -> Counter:
    """What records say. A time that nobody set is set by each; a Collector writes a scope and a
    body, both empty, where there were none."""
    records = []
    for line in lines:
        record = {key: value for key, value in json.loads(line).items() if value not in (None, {})}
        record.pop("observed_timestamp", None)
        records.append(json.dumps(record, sort_keys=True))
    return Counter(records)


def main() -> int:
    binary, other = (pathlib.Path(it).resolve() for it in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        second, third, fourth = (Logboom(binary, directory, name, {}) for name in ("second", "third", "fourth"))
        process, grpc, http = collector(other, directory, second, third, fourth)
        first = Logboom(binary, directory, "first", {
            "grpc": {"type": "otlp", "endpoint": f"http://127.0.0.1:{grpc}"},
            "http": {"type": "otlp", "endpoint": f"http://127.0.0.1:{http}", "protocol": "http"},
        })
        others = {"otlp": second, "otlphttp, protobuf": third, "otlphttp, json": fourth}
        for request in sorted((ROOT / "tests/fixtures/otlp").glob("*.binpb")):
            headers = {"content-type": "application/x-protobuf"}
            post = urllib.request.Request(f"http://{first.http}/v1/logs", request.read_bytes(), headers)
            urllib.request.urlopen(post, timeout=WITHIN_SECONDS).read()
        failed = [f"first: exit {code}" for code in [first.stop()] if code]
        wanted = Counter({record: 2 * times for record, times in values(first.lines()).items()})
        try:
            until(lambda: all(len(it.lines()) >= wanted.total() for it in others.values()), "all records arrive")
        except TimeoutError as error:
            failed.append(str(error))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=WITHIN_SECONDS)
        for name, server in others.items():
            failed += [f"{name}: exit {code}" for code in [server.stop()] if code]
            got = values(server.lines())
            print(f"{name}: {got.total()} of {wanted.total()} records")
            failed += [f"{name}: missing {it[:300]} x{times}" for it, times in list((wanted - got).items())[:3]]
            failed += [f"{name}: not sent {it[:300]} x{times}" for it, times in list((got - wanted).items())[:3]]
        if not wanted:
            failed.append("nothing was sent")
        print("\n".join(failed) if failed else "ok: a Collector hands on and gets what was sent, values equal")
        if failed:
            print((directory / "collector.log").read_text()[-2000:])
    return 1 if failed else 0


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as it:
        return it.connect_ex(("127.0.0.1", port)) == 0


def until(holds, what: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never happened: {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
