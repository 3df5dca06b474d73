"""The units of deploy/systemd.

Guarantee: systemd takes them, the service is exposed as little as the threshold says, its limits fit the configurations
beside it, and its user and directories can be made.
"""

import configparser
import os
import re
import tempfile
from pathlib import Path

import tools
from results import of
from tools import ROOT, run

UNITS = ROOT / "deploy/systemd"
# In tenths: 0 is best, 100 is worst.
EXPOSURE_MAX = 20
SHUTDOWN_GRACE_S = 8
MIB = 1 << 20


def systemd(results, binary):
    analyze = tools.on_path("systemd-analyze")
    exposure = run([analyze, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", UNITS / "logboom.service"])
    results.add(f"systemd-analyze security: exposure below {EXPOSURE_MAX / 10}", of(exposure, "exposure level"))
    with tempfile.TemporaryDirectory() as directory:
        copies = []
        for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.socket")]:
            # The program is found by its name where it is installed; here it is not, nor is its manual page.
            text = unit.read_text().replace("ExecStart=logboom", f"ExecStart={binary}")
            copy = Path(directory) / unit.name
            copy.write_text(text)
            copies.append(copy)
        verified = run([analyze, "verify", "--man=no", *copies])
        said = [it for it in (verified.stdout + verified.stderr).splitlines() if "logboom" in it]
        results.add("systemd-analyze verify", of(verified) or said)
    service = _service()
    problems = []
    if int(service["timeoutstopsec"].rstrip("s")) <= SHUTDOWN_GRACE_S:
        problems.append("TimeoutStopSec is not more than shutdown.grace")
    limit = int(service["memorymax"].rstrip("M")) * MIB
    checked = run([binary, "check", "-c", UNITS / "logboom.yaml"])
    problems += of(checked, "memory ")
    found = re.search(r"memory ([\d.]+)MiB", checked.stdout)
    bound = float(found[1]) * MIB if found else 0
    # MemoryMax stands for two CPUs.
    if len(os.sched_getaffinity(0)) <= 2 and bound > limit:
        problems.append(f"logboom.yaml may need {bound / MIB:.0f} MiB, MemoryMax is {limit / MIB:.0f} MiB")
    results.add("limits of logboom.service fit its configuration", problems)
    _user(results)


def _service():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read(UNITS / "logboom.service")
    return parser["Service"]


def _user(results):
    sysusers, tmpfiles = tools.on_path("systemd-sysusers"), tools.on_path("systemd-tmpfiles")
    if os.getuid() != 0:
        raise tools.Unavailable("only root can make the user and the directories of logboom in a tree")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "etc").mkdir()
        for name, program in (("sysusers", sysusers), ("tmpfiles", tmpfiles)):
            place = root / f"usr/lib/{name}.d"
            place.mkdir(parents=True)
            (place / "logboom.conf").write_text((UNITS / f"{name}.conf").read_text())
            create = ["--create"] if name == "tmpfiles" else []
            results.add(f"systemd-{name} takes logboom.conf", of(run([program, f"--root={root}", *create, "logboom.conf"])))
        user = next(it.split(":") for it in (root / "etc/passwd").read_text().splitlines() if it.startswith("logboom:"))
        wrong = [
            f"{path} is {status.st_mode & 0o777:o} of {status.st_uid}"
            for path, mode in (("run/logboom", 0o750), ("var/log/logboom", 0o750), ("var/lib/logboom", 0o700))
            if (status := (root / path).stat()).st_mode & 0o777 != mode or status.st_uid != int(user[2])
        ]
        results.add("directories belong to the user logboom, with their modes", wrong)
