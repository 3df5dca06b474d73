"""What must never get out: records to the wrong upstream, files outside of a directory, secrets, metric series."""

import os
import random
import ssl
import stat
import subprocess
import urllib.request

from harness import Skip, file_sink, row, sources
from http2 import Grpc
from matrix import otlp_only, upstream_sink
from oracle import FRESH_SIZES, Delivered, Ledger
from otlp import record, request
from upstream import Upstream
from waiting import until

CA_CONFIG = """[ca]
default_ca = it
[it]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def _certificate(directory, name, subject, first="20200101000000Z", last="20991231000000Z"):
    """A certificate signed by itself, and its key."""
    directory.mkdir(exist_ok=True)
    (directory / "ca.conf").write_text(CA_CONFIG)
    (directory / "index.txt").write_text("")
    run = lambda *command: subprocess.run(["openssl", *command], cwd=directory, check=True, capture_output=True)  # noqa: E731
    extension = ("-addext", f"subjectAltName={subject}", "-addext", "basicConstraints=critical,CA:FALSE")
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", *extension)
    run("ca", "-batch", "-config", "ca.conf", "-selfsign", "-keyfile", f"{name}.key", "-in", f"{name}.csr", "-out", f"{name}.pem", "-notext",
        "-startdate", first, "-enddate", last)
    return directory / f"{name}.pem", directory / f"{name}.key"


@row(31)
def wrong_upstream(environment, verdict):
    """The upstream's certificate is expired, for another name, from another authority, or it speaks plain text: not one request is sent,
    records are kept; with the right one they arrive."""
    directory = environment.directory / "tls"
    try:
        certificates = {
            "good": _certificate(directory, "good", "IP:127.0.0.1"), "other": _certificate(directory, "other", "IP:127.0.0.1"),
            "expired": _certificate(directory, "expired", "IP:127.0.0.1", last="20210101000000Z"),
            "name": _certificate(directory, "name", "DNS:somebody.else"),
        }
    except (OSError, subprocess.CalledProcessError) as why:
        raise Skip(f"no certificates can be made here: {getattr(why, 'stderr', why)}") from why
    # What the upstream shows, and what it is trusted by.
    scenes = {"expired": ("expired", "expired"), "another name": ("name", "name"), "another authority": ("other", "good"), "plain text": (None, "good")}
    delivered, sent = Delivered({1: 60, **FRESH_SIZES}), {}
    for kind, (shown, trusted) in {**scenes, "right": ("good", "good")}.items():
        mock = Upstream(delivered, tls=_server(*certificates[shown]) if shown else None)
        environment.afterwards(mock.close)
        retry = {"initial": "20ms", "max": "100ms"}
        sink = upstream_sink(mock.port, endpoint=f"https://127.0.0.1:{mock.port}", tls={"ca": str(certificates[trusted][0])}, retry=retry)
        logboom = environment.logboom({"sources": otlp_only(), "sinks": {"up": sink}}, verdict)
        with Grpc(logboom.otlp) as client:
            code = client.call(request([record(body.decode()) for body in Ledger(1, 60).take(10)[1]]))
        verdict.expect(code == "OK", f"{kind}: the source answers {code}")
        if kind == "right":
            verdict.expect(until(lambda: mock.requests, 5), "the right upstream gets nothing: this shows nothing")  # noqa: B023
            verdict.expect(logboom.settled(), "records are still on their way")
            logboom.stop()
            continue
        verdict.expect(until(lambda: logboom.metric("logboom_retries_total", sink="up") >= 3, 10), f"{kind}: no attempts")  # noqa: B023
        verdict.expect(logboom.behind("up") == 10, f"{kind}: {logboom.behind('up')} records are kept")
        sent[kind] = mock.requests
        logboom.stop(codes=(0, 3))
    verdict.equal("requests sent", sent, dict.fromkeys(scenes, 0))


def _server(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    return context


@row(46, 47)
def hostile_values(environment, verdict):
    """A path template, and clients that choose every value: nothing is written outside of the directory, links are not followed, few files are
    open, and no value becomes a metric series."""
    root, outside = environment.directory / "root", environment.directory / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "planted").symlink_to(outside)
    rng = random.Random(environment.seed)
    nasty = [
        "../escaped", "/etc/escaped", "..", ".", "", "a/../../escaped", "planted", "planted/escaped", "x\0y", "n" * 4096, "-rf", "CON", "a b",
        "\u202eevil", "~root", "%2e%2e%2f", "..\\..\\escaped", "\n../escaped", "_overflow", "all.log", "a.log.gz", "@1",
    ]
    config = {
        "sources": otlp_only(),
        "sinks": {"split": {"type": "file", "path": f"{root}/{{service.name}}/{{user}}.log", "encoding": "raw", "open_max": 32, "wait_max": "30s"}},
    }
    logboom = environment.logboom(config, verdict)
    series = len(_metrics(logboom))
    distinct, open_max = environment.pick(100_000, 1_500), 0
    values = nasty + [f"{rng.choice(nasty)[:40]}{number}" for number in range(distinct)]
    with Grpc(logboom.otlp) as client:
        for at in range(0, len(values), 500):
            records = [record("a record", **{"service.name": value, "user": rng.choice(nasty)}) for value in values[at : at + 500]]
            verdict.expect(client.call(request(records)) == "OK", "a request was refused")
            held = [one for one in _opened(logboom) if one.startswith(str(environment.directory))]
            open_max = max(open_max, len(held))
    verdict.expect(logboom.settled(60), "records are still on their way")
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    verdict.figure("distinct values", len(values))
    verdict.figure("files", len(files))
    verdict.figure("open at most", open_max)
    verdict.equal("records in files", lines, len(values))
    stray = [path for path in environment.directory.rglob("*") if "escaped" in path.name and root not in path.parents]
    verdict.equal("outside of the directory", len(stray) + len(list(outside.iterdir())), 0)
    verdict.expect(open_max <= 32 + 4, f"{open_max} files open, open_max is 32")
    verdict.expect(len(files) <= 10_001, f"{len(files)} files")
    verdict.figure("metric series more", len(_metrics(logboom)) - series)
    verdict.expect(len(_metrics(logboom)) <= min(2000, series + 20), f"{len(_metrics(logboom))} metric series")
    logboom.stop()


def _metrics(logboom):
    with urllib.request.urlopen(f"http://127.0.0.1:{logboom.admin}/metrics", timeout=5) as answer:
        return [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]


def _opened(logboom):
    directory, links = f"/proc/{logboom.pid}/fd", []
    for number in os.listdir(directory):
        try:
            links.append(os.readlink(f"{directory}/{number}"))
        except OSError:
            continue
    return links


@row(48)
def secrets(environment, verdict):
    """Secrets in headers of an upstream, in the environment and in a file, with the most talkative log and an upstream that refuses: none of them is in
    the log, in `show`, in `check`, in /status or in /metrics."""
    canaries = [f"canary{random.Random(environment.seed + number).randrange(1 << 60):x}" for number in range(3)]
    kept = environment.directory / "token"
    kept.write_text(canaries[1] + "\n")
    headers = {"authorization": f"Bearer {canaries[0]}", "x-file": f"${{file:{kept}}}", "x-env": "${env:LOGBOOM_FAULTS_SECRET}"}
    sink = upstream_sink(1, headers=headers, retry={"initial": "20ms", "max": "50ms"})
    everything = {**os.environ, "LOGBOOM_FAULTS_SECRET": canaries[2], "RUST_LOG": "trace", "LOGBOOM_LOG": "trace"}
    logboom = environment.logboom({"sources": sources(), "sinks": {"up": sink}}, verdict, env=everything)
    with Grpc(logboom.otlp) as client:
        client.call(request([record("a record")]))
    verdict.expect(until(lambda: logboom.metric("logboom_retries_total", sink="up") >= 3, 10), "no attempts")
    said = {"status": str(logboom.status()), "metrics": "\n".join(_metrics(logboom))}
    for command in ("show", "check"):
        done = subprocess.run([environment.binary, command, "-c", logboom.config], capture_output=True, text=True, check=False, env=everything)
        said[command] = done.stdout + done.stderr
    broken = environment.directory / "broken.json"
    broken.write_text(logboom.config.read_text().replace('"retry"', '"retri"'))
    done = subprocess.run([environment.binary, "check", "-c", broken], capture_output=True, text=True, check=False, env=everything)
    said["check of a broken file"] = done.stdout + done.stderr
    logboom.stop(codes=(0, 3))
    said["log"] = logboom.log.read_text()
    verdict.figure("bytes looked through", sum(map(len, said.values())))
    hits = [f"{place}: {canary}" for place, text in said.items() for canary in canaries if canary in text]
    verdict.equal("secrets told", len(hits), 0)
    for one in hits:
        verdict.expect(False, one)


@row(49)
def modes(environment, verdict):
    """With a umask of 000 and of 077: files are 0640 and directories 0750 or narrower, what belongs to the journal 0600 and 0700."""
    wider = []
    for mask in (0o000, 0o077):
        directory = environment.directory / f"mask-{mask:o}"
        path = directory / "deep/er/access.log"
        journal = environment.journal_if_any(mode="buffered")
        if journal:
            journal["journal"]["dir"] = str(directory / "journal")
        sink = {**file_sink(path), "rotate": {"size": "1MiB"}, "compress": "gzip"}
        config = {"sources": sources(), "sinks": {"files": sink, "dead": upstream_sink(1)}, **journal}
        logboom = environment.logboom(config, verdict, before=lambda mask=mask: os.umask(mask))
        report = environment.gen(
            "--format", "kuma-http", "--rate", "max", "--count", "20k", "--connections", 1, "--to", f"lines://127.0.0.1:{logboom.lines}"
        ).report()
        verdict.expect(until(lambda: logboom.sink("files")["delivered_records"] >= report["records"], 10), "the file is behind")  # noqa: B023
        until(lambda: list(path.parent.glob("*.gz")), 5)  # noqa: B023
        logboom.stop(codes=(0, 3))
        for one in directory.rglob("*"):
            private = "journal" in one.relative_to(directory).parts
            allowed = (0o700 if private else 0o750) if one.is_dir() else (0o600 if private else 0o640)
            mode = stat.S_IMODE(one.stat().st_mode)
            if mode & ~allowed:
                wider.append(f"umask {mask:03o}: {mode:o} {one.relative_to(directory)}")
        verdict.figure(f"files under umask {mask:03o}", sum(one.is_file() for one in directory.rglob("*")))
    verdict.equal("wider", len(wider), 0)
    for one in wider[:5]:
        verdict.expect(False, one)


CASES = [wrong_upstream, hostile_values, secrets, modes]
