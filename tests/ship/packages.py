"""The packages for Debian and RPM, built of the binary under test.

Guarantee: they hold what they should, where it should be; the Debian one installs into a tree, makes its user and starts
nothing; logboom runs from there as that user; configuration stays at removal, and goes with purge.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

import tools
from results import of
from rootfs import Contained, libraries, need_root
from tools import PLACE, ROOT, run

# Every package has these, whatever else.
FILES = (
    "/usr/bin/logboom",
    "/etc/logboom/logboom.yaml",
    "/usr/lib/systemd/system/logboom.service",
    "/usr/lib/systemd/system/logboom.socket",
    "/usr/lib/systemd/system/logboom-otlp.socket",
    "/usr/lib/systemd/system/logboom-otlp-http.socket",
    "/usr/lib/sysusers.d/logboom.conf",
    "/usr/lib/tmpfiles.d/logboom.conf",
    "/usr/share/man/man1/logboom.1.gz",
    "/usr/share/bash-completion/completions/logboom",
    "/usr/share/doc/logboom/README.md",
    "/usr/share/doc/logboom/docs/operations.md",
    "/usr/share/doc/logboom/examples/reference.yaml",
)
BUILD_S = 120
# Where the version stands beside Cargo.toml.
VERSIONS = {
    "deploy/helm/logboom/Chart.yaml": r"^(?:version|appVersion): (\S+)$",
    "deploy/kubernetes/overlays/node/kustomization.yaml": r"newTag: ([^\s}]+)",
    "deploy/kubernetes/overlays/gateway/kustomization.yaml": r"newTag: ([^\s}]+)",
    "deploy/kubernetes/overlays/sidecar/kustomization.yaml": r"newTag: ([^\s}]+)",
    "deploy/compose.yaml": r"image: logboom:(\S+)",
    "Dockerfile": r"^ARG VERSION=(\S+)$",
}


def versions(results, _binary):
    """Everything names the version of Cargo.toml."""
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    wrong = []
    for path, pattern in VERSIONS.items():
        found = re.findall(pattern, (ROOT / path).read_text(), re.M)
        wrong += [f"{path} says {it}" for it in found if it != version] or ([] if found else [f"{path} names none"])
    results.add(f"everything is of version {version}", wrong)


def deb(results, binary):
    package = _built(results, binary, "cargo-deb", ["deb", "--no-build", "--no-strip", "--fast", "--quiet"], "*.deb")
    listed = run(["dpkg-deb", "-c", package])
    paths = [line.split()[5].lstrip(".") for line in listed.stdout.splitlines()]
    results.add("the deb has its files", of(listed) + [it for it in FILES if it not in paths])
    conffiles = run(["dpkg-deb", "-I", package, "conffiles"])
    results.add("the configuration is a conffile", of(conffiles, "/etc/logboom/logboom.yaml"))
    need_root()
    for name in ("systemd-sysusers", "systemd-tmpfiles"):
        tools.on_path(name)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "root"
        for name in ("etc", "usr/bin", "var/lib/dpkg/info", "var/lib/dpkg/updates"):
            (root / name).mkdir(parents=True)
        for name in ("status", "available"):
            (root / "var/lib/dpkg" / name).touch()
        # Its dependencies are not in the tree, and its scripts are run outside, with DPKG_ROOT.
        dpkg = ["dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless"]
        results.add("the deb installs", of(run([*dpkg, "-i", package], timeout=BUILD_S)))
        user = int(next(it for it in (root / "etc/passwd").read_text().splitlines() if it.startswith("logboom:")).split(":")[2])
        config = root / "etc/logboom/logboom.yaml"
        wrong = [] if config.stat().st_mode & 0o777 == 0o640 and config.stat().st_gid == user else ["the configuration is not for the group logboom alone"]
        enabled = [str(it.relative_to(root)) for it in (root / "etc").rglob("*.wants/*")]
        results.add("nothing is enabled, the configuration is for the group logboom alone", wrong + enabled)
        libraries(root / "usr/bin/logboom", root)
        _runs(results, root, user)
        config.write_text(config.read_text() + "# changed\n")
        results.add("the deb is installed once more", of(run([*dpkg, "--force-confold", "-i", package], timeout=BUILD_S)))
        results.add("a changed configuration stays", [] if config.read_text().endswith("# changed\n") else ["it is gone"])
        results.add("the deb is removed", of(run([*dpkg, "-r", "logboom"])))
        left = [] if config.exists() and any((root / "var/log/logboom").iterdir()) else ["configuration or logs are gone"]
        results.add("what is the administrator's stays", left)
        results.add("the deb is purged", of(run([*dpkg, "--purge", "logboom"])))
        here = [it for it in ("etc/logboom", "var/log/logboom", "var/lib/logboom", "usr/bin/logboom") if (root / it).exists()]
        results.add("nothing is left", here)


def rpm(results, binary):
    package = _built(results, binary, "cargo-generate-rpm", ["generate-rpm", "--payload-compress", "none"], "*.rpm")
    program = tools.on_path("rpm")
    listed = run([program, "-qlp", package])
    results.add("the rpm has its files", of(listed) + [it for it in FILES if it not in listed.stdout.splitlines()])
    configs = run([program, "-qp", "--configfiles", package])
    results.add("the configuration is one for rpm", of(configs, "/etc/logboom/logboom.yaml"))
    for script in sorted((ROOT / "deploy/package").glob("rpm-*.sh")):
        results.add(f"{script.name} is for sh", of(run(["sh", "-n", script])))
    tools.on_path("cpio")
    with tempfile.TemporaryDirectory() as directory:
        unpacked = run(["sh", "-c", 'rpm2cpio "$1" | cpio -id --quiet', "sh", package], cwd=directory)
        results.add("the rpm unpacks", of(unpacked))
        results.add("its logboom runs", of(run([Path(directory) / "usr/bin/logboom", "--version"]), "logboom "))


def _built(results, binary, program, arguments, pattern):
    """The package that `program` makes. It packs target/release/logboom, so that is what the binary has to be."""
    found = tools.cargo(program)
    packed = ROOT / "target/release/logboom"
    if binary != packed:
        packed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(binary, packed)
    results.add("manual page, completions and licences can be made", of(run([ROOT / "deploy/package/assets.sh"], timeout=BUILD_S)))
    place = PLACE / "packages"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob(pattern):
        old.unlink()
    path = os.pathsep.join([str(Path(found).parent), os.environ["PATH"]])
    done = run(["cargo", *arguments, "-o", f"{place}/"], timeout=BUILD_S, cwd=ROOT, env={**os.environ, "PATH": path})
    results.add(f"{program} builds the package", of(done))
    return next(place.glob(pattern))


def _runs(results, root, user):
    """With the configuration of the package, as its user, with the directories of the unit alone to write to."""
    command = ["/usr/bin/logboom", "run", "-c", "/etc/logboom/logboom.yaml"]
    logboom = Contained(root, command, user, writable=("var/log/logboom", "var/lib/logboom", "run/logboom"))
    try:
        logboom.ready()
        sent = logboom.beside([root / "usr/bin/logboom", "gen", "--count", "1000", "--to", "lines://127.0.0.1:5000"])
        results.add("gen of the package sends to logboom of the package", of(sent))
    finally:
        code = logboom.stop()
    written = (root / "var/log/logboom/access.log").read_bytes().count(b"\n")
    results.add("it runs from the tree as its user", [] if (code, written) == (0, 1000) else [f"exit code {code}, {written} records", *logboom.lines[-5:]])
