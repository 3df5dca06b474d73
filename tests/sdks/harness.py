"""What run.py and collector.py share: a logboom that runs, certificates of an own authority, and waiting."""

import atexit
import json
import pathlib
import re
import signal
import subprocess
import time

WITHIN_SECONDS = 60
TOKEN = "a-token-that-only-a-test-knows"
OPENSSL = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
authorityKeyIdentifier = keyid
"""


class Logboom:
    """One with sources of type otlp, each on two free ports of the loopback, and with all records in a file."""

    def __init__(self, binary: pathlib.Path, directory: pathlib.Path, name: str, sources: dict, sinks: dict):
        self.out = directory / f"{name}.json"
        listens = {"type": "otlp", "grpc": "127.0.0.1:0", "http": "127.0.0.1:0"}
        config = directory / f"{name}.yaml"
        config.write_text(json.dumps({
            "sources": {source: {**listens, **keys} for source, keys in sources.items()},
            "sinks": {"out": {"type": "file", "path": str(self.out), "encoding": "json"}, **sinks},
            "admin": {"listen": "off"},
        }))
        self.process = subprocess.Popen([binary, "run", "-c", config], stderr=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if " ready: " in line:
                break
        else:
            raise RuntimeError("logboom has not started: " + "".join(said))
        pairs = re.findall(r"otlp (\S+) \(grpc\) (\S+) \(http\)", said[-1])
        self.addresses = {name: dict(zip(("grpc", "http"), pair)) for name, pair in zip(sorted(sources), pairs)}

    def lines(self) -> list[str]:
        return self.out.read_text().splitlines() if self.out.exists() else []

    def stop(self) -> tuple[int, str]:
        """Its exit code, and what it said."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=WITHIN_SECONDS)
        return self.process.returncode, said


def certificates(directory: pathlib.Path) -> dict[str, str]:
    """The files `ca`, `cert` and `key`: an authority, and a server of it for localhost and 127.0.0.1. Needs openssl 3."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "openssl.cnf").write_text(OPENSSL)
    new = "openssl req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    for rest in (
        "-extensions ca -subj /CN=authority -keyout ca.key -out ca.pem",
        "-extensions server -subj /CN=localhost -CA ca.pem -CAkey ca.key -keyout key.pem -out cert.pem",
    ):
        done = subprocess.run(f"{new} {rest}".split(), cwd=directory, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl makes no certificate: {done.stderr}")
    return {name: str(directory / f"{name}.pem") for name in ("ca", "cert", "key")}


def until(holds, what: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never happened: {what}")
        time.sleep(0.1)
