#!/usr/bin/env python3
"""The OpenTelemetry SDKs for Python and JavaScript against a logboom: run.py LOGBOOM [DIRECTORY].

Installs the SDKs into DIRECTORY (else a temporary one; an installed one is used again), starts LOGBOOM on free ports
of the loopback, sends a record by every protocol and compression, and looks for each of them in the file that comes
out. The exit code is 0 when all are there as they were sent. It needs python3 with venv, node, npm, and registries.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = ["opentelemetry-exporter-otlp-proto-http", "opentelemetry-exporter-otlp-proto-grpc"]
JAVASCRIPT = ["api-logs", "sdk-logs", "resources", "exporter-logs-otlp-http", "exporter-logs-otlp-proto", "exporter-logs-otlp-grpc"]
INSTALL_SECONDS = 600
SEND_SECONDS = 60
CASES = [
    *(("python", "protobuf", it) for it in ("none", "gzip", "deflate")),
    *(("python", "grpc", it) for it in ("none", "gzip")),
    *(("javascript", protocol, it) for protocol in ("json", "protobuf", "grpc") for it in ("none", "gzip")),
]


def install(directory: pathlib.Path) -> None:
    python, javascript = directory / "py", directory / "js"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python], check=True, timeout=INSTALL_SECONDS)
        subprocess.run([python / "bin/pip", "-q", "install", *PYTHON], check=True, timeout=INSTALL_SECONDS)
    if not (javascript / "node_modules").exists():
        javascript.mkdir(parents=True, exist_ok=True)
        names = [f"@opentelemetry/{it}" for it in JAVASCRIPT]
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", javascript, *names]
        subprocess.run(command, check=True, timeout=INSTALL_SECONDS)


def send(directory: pathlib.Path, case: tuple[str, str, str], addresses: dict[str, str], text: str) -> None:
    language, protocol, compression = case
    endpoint = "http://" + addresses["grpc" if protocol == "grpc" else "http"]
    arguments = [protocol, compression, endpoint, text]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    if language == "python":
        command = [directory / "py/bin/python", HERE / "python_sdk.py"]
    else:
        command = ["node", HERE / "js_sdk.cjs"]
        environment["NODE_PATH"] = str(directory / "js/node_modules")
    subprocess.run([*command, *arguments], check=True, timeout=SEND_SECONDS, env=environment)


def wrong(record: dict, text: str, language: str) -> str | None:
    """What is not as it was sent."""
    wanted = {
        "timestamp": "2026-11-20T11:48:37.057Z",
        "severity_text": "INFO",
        "severity_number": 9,
        "body": text,
        "attributes": {"int": 5, "double": 1.5, "bool": True, "list": ["a", "b"], "text": "ü"},
    }
    for key, value in wanted.items():
        if record.get(key) != value:
            return f"{key} is {record.get(key)!r} and not {value!r}"
    if record.get("resource", {}).get("service.name") != language:
        return f"resource is {record.get('resource')!r}"
    return None if record.get("scope", {}).get("name") == "sdk" else f"scope is {record.get('scope')!r}"


def main() -> int:
    logboom = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else temporary).resolve()
        install(directory)
        out = pathlib.Path(temporary) / "out"
        source, sink = "otlp://127.0.0.1:0?http=127.0.0.1:0", f"file:{out}?encoding=json"
        command = [logboom, "run", "-l", source, "-o", sink, "--admin", "off"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            ready = next(line for line in server.stderr if " ready: " in line)
            words = ready.split(" ready: otlp ")[1].split(" -> ")[0].split()
            addresses = {key.strip("()"): address for address, key in zip(words[::2], words[1::2])}
            failed = []
            for case in CASES:
                try:
                    send(directory, case, addresses, " ".join(case))
                except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                    failed.append(f"{' '.join(case)}: {error}")
            server.send_signal(signal.SIGTERM)
            log = server.stderr.read()
            code = server.wait(timeout=SEND_SECONDS)
        records = [json.loads(line) for line in out.read_text().splitlines()]
    for case in CASES:
        text = " ".join(case)
        found = [it for it in records if it.get("body") == text]
        trouble = f"{len(found)} records" if len(found) != 1 else wrong(found[0], text, case[0])
        print(f"{'ok' if trouble is None else 'FAILED'}  {text}{'' if trouble is None else ': ' + trouble}")
        failed.extend([] if trouble is None else [text])
    if failed or code != 0:
        print(*failed, log, f"exit code {code}", sep="\n", file=sys.stderr)
    return 1 if failed or code != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
