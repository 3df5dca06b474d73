#!/usr/bin/env python3
"""The OpenTelemetry SDKs for Python, JavaScript, Go, Java and Rust against a logboom: run.py LOGBOOM [--only WORDS].

Each sends by every protocol and compression that it has, without and with TLS, and with a token. A case is one batch of records
whose bodies are of every kind that OTLP knows (text, int, double, bool, bytes, list, map, empty), each with attributes of
every kind, a trace context, an event name, a scope and a resource. Guarantee: all of them stand in the file that comes out, once,
every value equal; with a wrong token none does, and the SDK says that it was refused. `--only python,go --only tls` keeps cases
that have one of the words of each. What has no toolchain here, or no packages, is skipped and named; the exit code is 0
when nothing failed. Needs registries: PyPI, npm, a Go module proxy, Maven Central, crates.io. Everything listens on loopback.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import NamedTuple

from harness import TOKEN, Logboom, certificates

HERE = pathlib.Path(__file__).resolve().parent
INSTALL_SECONDS = 600
SEND_SECONDS = 300
PYTHON = ["opentelemetry-exporter-otlp-proto-http==1.45.2", "opentelemetry-exporter-otlp-proto-grpc==1.45.2"]
JAVASCRIPT = [
    "@opentelemetry/resources@2.12.1",
    *(f"@opentelemetry/{name}@0.223.1" for name in ("api-logs", "sdk-logs")),
    *(f"@opentelemetry/exporter-logs-otlp-{kind}@0.223.1" for kind in ("http", "proto", "grpc")),
]
GO = [f"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlplog{kind}@v0.23.0" for kind in ("http", "grpc")]
JAVA = [f"io.opentelemetry:{name}:1.67.0" for name in ("opentelemetry-sdk", "opentelemetry-exporter-otlp")]
RUST = [
    "opentelemetry@=0.33.1 logs", "opentelemetry_sdk@=0.33.1 logs,internal-logs",
    "opentelemetry-otlp@=0.33.1 logs,internal-logs,grpc-tonic,gzip-tonic,tls-ring,http-proto,http-json,gzip-http,reqwest-blocking-client",
    "reqwest@0.13 blocking,rustls-no-provider", "rustls@0.23 ring,std,tls12", "tokio@1 rt-multi-thread",
]


class Missing(Exception):
    """Why a language cannot be tested here."""


class Case(NamedTuple):
    language: str
    protocol: str
    compression: str
    security: str

    @property
    def name(self) -> str:
        return " ".join(self)


@dataclass
class Language:
    needs: list[str]
    packages: list[str]
    install: list[list[str]]
    send: list[str]
    protocols: dict[str, list[str]]

    def prepare(self, directory: pathlib.Path) -> None:
        """Installs into the directory what is not there yet."""
        for tool in self.needs:
            if shutil.which(tool) is None:
                raise Missing(f"there is no {tool} here")
        installed, packages = directory / "installed", "\n".join(self.packages)
        if installed.exists() and installed.read_text() == packages:
            return
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / "pom.xml").write_text(pom(self.packages))
        for step in self.install:
            try:
                subprocess.run(step, cwd=directory, capture_output=True, check=True, text=True, timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise Missing(f"`{' '.join(step[:3])}` takes more than {INSTALL_SECONDS} s") from error
            except subprocess.CalledProcessError as error:
                said = (error.stderr.strip() or error.stdout.strip() or "nothing is said").splitlines()
                reason = next((line for line in said if re.search(r"\berror\b", line, re.IGNORECASE)), said[-1])
                raise Missing(f"`{' '.join(step[:3])}` fails: {reason}") from error
        installed.write_text(packages)


def pom(packages: list[str]) -> str:
    """What Maven wants to be told; the others do not look at it."""
    parts = [dict(zip(("groupId", "artifactId", "version"), package.split(":"))) for package in packages]
    tags = lambda part: "".join(f"<{tag}>{text}</{tag}>" for tag, text in part.items())
    own = tags({"modelVersion": "4.0.0", "groupId": "sdks", "artifactId": "sdks", "version": "1"})
    return f"<project>{own}<dependencies>{''.join(f'<dependency>{tags(it)}</dependency>' for it in parts)}</dependencies></project>"


BOTH = ["none", "gzip"]
LANGUAGES = {
    "python": Language(
        [], PYTHON,
        [[sys.executable, "-m", "venv", "venv"], ["venv/bin/pip", "-q", "install", *PYTHON]],
        ["venv/bin/python", "python_sdk.py"],
        {"protobuf": [*BOTH, "deflate"], "grpc": BOTH},
    ),
    "javascript": Language(
        ["node", "npm"], JAVASCRIPT,
        [["npm", "init", "-y"], ["npm", "install", "--no-audit", "--no-fund", *JAVASCRIPT]],
        ["node", "js_sdk.cjs"],
        {"json": BOTH, "protobuf": BOTH, "grpc": BOTH},
    ),
    "go": Language(
        ["go"], GO,
        [["go", "mod", "init", "sdks"], ["go", "get", *GO]],
        ["go", "run", "go_sdk.go"],
        {"protobuf": BOTH, "grpc": BOTH},
    ),
    "java": Language(
        ["javac", "mvn"], JAVA,
        [["mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=classpath"]],
        ["java", "-cp", "@classpath", "java_sdk.java"],
        {"protobuf": BOTH, "grpc": BOTH},
    ),
    "rust": Language(
        ["cargo"], RUST,
        [
            ["cargo", "init", "-q", "--vcs", "none", "--name", "sdks"],
            *(["cargo", "add", "-q", "--no-default-features", name, "--features", features] for name, features in map(str.split, RUST)),
            # The dependencies, while there is time for it.
            ["sh", "-c", "printf '[[bin]]\\nname = \"sdks\"\\npath = \"rust_sdk.rs\"\\n' >>Cargo.toml; mv src/main.rs rust_sdk.rs; cargo build -q"],
        ],
        ["sh", "-c", "cargo run -q", "rust_sdk.rs"],
        {"json": BOTH, "protobuf": BOTH, "grpc": BOTH},
    ),
}


def all_cases() -> list[Case]:
    cases = []
    for language, it in LANGUAGES.items():
        for protocol, compressions in it.protocols.items():
            cases += [Case(language, protocol, how, security) for security in ("plain", "tls") for how in compressions]
            cases += [Case(language, protocol, "none", security) for security in ("token", "wrong-token")]
    return cases


def send(language: str, directory: pathlib.Path, cases: list[Case], server: Logboom, ca: str) -> dict[str, str]:
    """What the SDK has said about each case."""
    lines = []
    for case in cases:
        source = case.security.removeprefix("wrong-")
        address = server.addresses[source]["grpc" if case.protocol == "grpc" else "http"]
        plain = case.security == "plain"
        endpoint = f"http://{address}" if plain else f"https://localhost:{address.split(':')[1]}"
        token = {"token": TOKEN, "wrong-token": f"not-{TOKEN}"}.get(case.security, "")
        lines.append("\t".join([case.name, case.protocol, case.compression, endpoint, "" if plain else ca, token]))
    program = HERE / LANGUAGES[language].send[-1]
    shutil.copy(program, directory)
    # The library below Python's exporter prefers authorities of the environment to those that it is given.
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_CA_BUNDLE")}
    environment.update(NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost")
    try:
        ended = subprocess.run(
            LANGUAGES[language].send, cwd=directory, input="\n".join(lines) + "\n", timeout=SEND_SECONDS, env=environment,
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )
        said = ended.stderr + (f"exit code {ended.returncode}" if ended.returncode else "")
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace") + f"takes more than {SEND_SECONDS} s"
    before, *parts = re.split(r"^case (.*)\n", said, flags=re.MULTILINE)
    return {"": before, **dict(zip(parts[::2], parts[1::2]))}


def without_empty(value):
    if isinstance(value, list):
        return [without_empty(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {key: without_empty(item) for key, item in value.items() if item is not None}
    return value


def wanted(case: Case) -> list[dict]:
    """The records of a case, as the encoding json has them."""
    text, large = 'ü 日本 🐝 "\\\n\0', 2**53 - 1
    data = base64.b64encode(b"\x00\xff\x80").decode()
    items = ["a", 1, 2.5, True, None, ["b", base64.b64encode(b"\x00\xff").decode()]]
    tree = {"ü": {"list": [1, {}]}, "none": None}
    records = []
    for number, body in enumerate([text, large, 2.5, True, data, items, tree, None]):
        attributes = {
            "case": case.name, "number": number, "large": large, "least": -(2**63), "whole": 3.0, "double": -0.25, "nan": "NaN",
            "bool": False, "text": text, "nothing": "", "bytes": data, "list": items, "map": tree, "empty": None,
        }
        if case.language == "rust":
            # That SDK has no empty value.
            attributes = {key: without_empty(value) for key, value in attributes.items() if value is not None}
            body = without_empty(body)
        if case.language == "javascript":
            # To that language a number without a fraction is an integer.
            attributes["whole"] = 3
        if case.protocol == "json":
            # JavaScript's JSON has no other word for it than null, and Rust's SDK leaves it to serde_json, which writes the same.
            attributes["nan"] = None
        records.append({
            "timestamp": "2026-11-20T11:48:37.057123456Z", "severity_text": "ERROR", "severity_number": 17,
            "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "flags": 1,
            "event_name": "sdk.event", "body": body, "attributes": attributes, "service.name": case.language,
            "scope": {"name": "sdk", "version": "1.0"}, "scope_schema_url": "https://example.com/schema",
        })
    return records


def wrong(case: Case, records: list[dict], said: str) -> str | None:
    """What is not as it should be."""
    found = [record for record in records if record.get("attributes", {}).get("case") == case.name]
    if case.security == "wrong-token":
        if found:
            return f"{len(found)} records in spite of it"
        return None if re.search("401|unauthenticated|status code 16", said, re.IGNORECASE) else f"the SDK does not say why, but: {said!r}"
    want = wanted(case)
    if len(found) != len(want):
        return f"{len(found)} records and not {len(want)}; the SDK said: {said[-2000:]!r}"
    for record, expected in zip(sorted(found, key=lambda it: it["attributes"]["number"]), want):
        record = {**record, "service.name": record.get("resource", {}).get("service.name")}
        pairs = [(key, record.get(key), value) for key, value in expected.items() if key != "attributes"]
        has, should_have = record["attributes"], expected["attributes"]
        pairs += [(key, has.get(key, "missing"), should_have.get(key, "not sent")) for key in {*has, *should_have}]
        for key, value, should in pairs:
            # As text, for True, 1 and 1.0 are equal to Python.
            if json.dumps(value, sort_keys=True) != json.dumps(should, sort_keys=True):
                return f"{key} is {value!r} and not {should!r}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logboom", type=pathlib.Path)
    parser.add_argument("--only", action="append", default=[], metavar="WORDS", help="only cases with one of WORDS, by commas")
    parser.add_argument("--directory", type=pathlib.Path, help="where SDKs are, and stay, installed; else a temporary one")
    arguments = parser.parse_args()
    filters = [set(words.split(",")) for words in arguments.only]
    cases = [case for case in all_cases() if all(words & set(case) for words in filters)]
    if not cases:
        parser.error("--only leaves no case")
    with tempfile.TemporaryDirectory() as temporary:
        return run(arguments.logboom.resolve(), cases, (arguments.directory or pathlib.Path(temporary)).resolve(), temporary)


def run(logboom: pathlib.Path, cases: list[Case], installed: pathlib.Path, temporary: str) -> int:
    work, sources, ours = pathlib.Path(temporary) / "run", {"plain": {}}, {"ca": ""}
    work.mkdir()
    skipped, said = {}, {}
    if shutil.which("openssl") is not None:
        ours = certificates(work)
        sources["tls"] = {"tls": {"cert": ours["cert"], "key": ours["key"]}}
        sources["token"] = {**sources["tls"], "auth": {"bearer": [TOKEN]}}
    elif encrypted := [case for case in cases if case.security != "plain"]:
        skipped["TLS and tokens: there is no openssl here"] = len(encrypted)
        cases = [case for case in cases if case not in encrypted]
    server = Logboom(logboom, work, "logboom", sources, {})
    for language in dict.fromkeys(case.language for case in cases):
        own = [case for case in cases if case.language == language]
        try:
            LANGUAGES[language].prepare(installed / language)
        except Missing as error:
            skipped[f"{language}: {error}"] = len(own)
        else:
            said[language] = send(language, installed / language, own, server, ours["ca"])
    cases = [case for case in cases if case.language in said]
    code, log = server.stop()
    records = [json.loads(line) for line in server.lines()]
    passed = failed = 0
    for case in cases:
        reported = said[case.language].get(case.name, said[case.language][""])
        trouble = wrong(case, records, reported)
        print(f"{'ok     ' if trouble is None else 'FAILED '} {case.name}{'' if trouble is None else ': ' + trouble}")
        passed, failed = passed + (trouble is None), failed + (trouble is not None)
    names = {case.name for case in cases}
    strangers = [record for record in records if record.get("attributes", {}).get("case") not in names]
    if strangers:
        print(f"FAILED  {len(strangers)} records that nobody sent, the first: {strangers[0]}")
    if code != 0:
        print(f"FAILED  logboom ends with exit code {code}")
    failed += bool(strangers) + (code != 0)
    for reason, number in skipped.items():
        print(f"skipped {number} cases of {reason}")
    if failed:
        print("logboom said:", log, sep="\n")
    print(f"{passed} passed, {failed} failed, {sum(skipped.values())} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
