#!/usr/bin/env python3
"""A real OpenTelemetry Collector between logbooms: collector.py LOGBOOM COLLECTOR [--secure].

    captured requests ─http▶ first ─grpc, http▶ Collector ─grpc▶ second
                                                          ─http, protobuf▶ third
                                                          ─http, json▶ fourth

COLLECTOR is a Collector that has the otlp receiver and the otlp and otlphttp exporters. Guarantee: every record that the first
logboom writes to its file, all kinds of values, stands with equal values in the files of the others, twice (once for each
protocol to the Collector). The exit code is 0 when that holds. With --secure all of it goes over TLS with certificates of an
own authority, and logbooms take only what has their token. Everything listens on loopback.
"""

import argparse
import atexit
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter

from harness import TOKEN, WITHIN_SECONDS, Logboom, certificates, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
AUTHORIZATION = {"authorization": f"Bearer {TOKEN}"}


def logboom(binary: pathlib.Path, directory: pathlib.Path, name: str, secure: dict, sinks: dict) -> Logboom:
    # Nothing is read, so what comes is what goes.
    return Logboom(binary, directory, name, {"otlp": {"format": "raw", **secure}}, sinks)


def collector(binary: pathlib.Path, directory: pathlib.Path, ours: dict, second: dict, third: dict, fourth: dict):
    """One that listens at the two ports, and sends to the addresses of three logbooms."""
    grpc, http = free_port(), free_port()
    scheme, listener = ("https", {"tls": {"cert_file": ours["cert"], "key_file": ours["key"]}}) if ours else ("http", {})
    client = {"tls": {"insecure": True}, "compression": "gzip"}
    if ours:
        client.update(tls={"ca_file": ours["ca"]}, headers=AUTHORIZATION)
    exporters = {
        "otlp": {"endpoint": second["grpc"], **client},
        "otlphttp/protobuf": {"endpoint": f"{scheme}://{third['http']}", **client},
        "otlphttp/json": {"endpoint": f"{scheme}://{fourth['http']}", "encoding": "json", **client},
    }
    addresses = {"grpc": grpc, "http": http}
    protocols = {name: {"endpoint": f"127.0.0.1:{port}", **listener} for name, port in addresses.items()}
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
    atexit.register(process.kill)
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logboom", type=pathlib.Path)
    parser.add_argument("collector", type=pathlib.Path)
    parser.add_argument("--secure", action="store_true", help="everything over TLS, logbooms with a token")
    arguments = parser.parse_args()
    binary, other = arguments.logboom.resolve(), arguments.collector.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        ours = certificates(directory) if arguments.secure else {}
        source = {"tls": {"cert": ours["cert"], "key": ours["key"]}, "auth": {"bearer": [TOKEN]}} if ours else {}
        second, third, fourth = (logboom(binary, directory, it, source, {}) for it in ("second", "third", "fourth"))
        to = [it.addresses["otlp"] for it in (second, third, fourth)]
        process, grpc, http = collector(other, directory, ours, *to)
        sink = {"type": "otlp", **({"tls": {"ca": ours["ca"]}, "headers": AUTHORIZATION} if ours else {})}
        scheme = "https" if ours else "http"
        # The captured requests are not what is tested: they come without TLS.
        first = logboom(binary, directory, "first", {}, {
            "grpc": {**sink, "endpoint": f"{scheme}://127.0.0.1:{grpc}"},
            "http": {**sink, "endpoint": f"{scheme}://127.0.0.1:{http}", "protocol": "http"},
        })
        others = {"otlp": second, "otlphttp, protobuf": third, "otlphttp, json": fourth}
        for request in sorted((ROOT / "tests/fixtures/otlp").glob("*.binpb")):
            headers = {"content-type": "application/x-protobuf"}
            post = urllib.request.Request(f"http://{first.addresses['otlp']['http']}/v1/logs", request.read_bytes(), headers)
            urllib.request.urlopen(post, timeout=WITHIN_SECONDS).read()
        failed = [f"first: exit {code}" for code, _ in [first.stop()] if code]
        wanted = Counter({record: 2 * times for record, times in values(first.lines()).items()})
        try:
            until(lambda: all(len(it.lines()) >= wanted.total() for it in others.values()), "all records arrive")
        except TimeoutError as error:
            failed.append(str(error))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=WITHIN_SECONDS)
        for name, server in others.items():
            failed += [f"{name}: exit {code}" for code, _ in [server.stop()] if code]
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


if __name__ == "__main__":
    sys.exit(main())
