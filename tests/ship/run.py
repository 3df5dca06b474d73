#!/usr/bin/env python3
"""Checks what logboom is shipped with: manifests, chart, policies, units, packages, image, alerts, dashboard.

    python3 tests/ship/run.py --logboom target/release/logboom [NAME …]

Tools are installed below target/ship where they are missing. What a tool is missing for is skipped, with a sentence
that says so. Ends with `N passed, N failed, N skipped`; exit code 1 when something failed. Everything listens on loopback.
"""

import argparse
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

import image  # noqa: E402
import kubernetes  # noqa: E402
import monitoring  # noqa: E402
import packages  # noqa: E402
import units  # noqa: E402
from results import Results  # noqa: E402
from tools import PLACE  # noqa: E402

GROUPS = {
    "versions": packages.versions,
    "configurations": kubernetes.configurations,
    "policies": kubernetes.policies,
    "figures": kubernetes.figures,
    "compose": kubernetes.compose,
    "kustomize": kubernetes.kustomize,
    "helm": kubernetes.helm,
    "units": units.systemd,
    "dockerfile": image.dockerfile,
    "read-only": image.sidecar,
    "rules": monitoring.rules,
    "dashboard": monitoring.dashboard,
    "scrape": monitoring.scrape,
    "deb": packages.deb,
    "rpm": packages.rpm,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--logboom", required=True, type=Path, help="the binary under test")
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GROUPS)}; default all")
    options = arguments.parse_args()
    if unknown := set(options.names) - set(GROUPS):
        arguments.error(f"there is no {', '.join(sorted(unknown))}")
    PLACE.mkdir(parents=True, exist_ok=True)
    binary, results = options.logboom.resolve(), Results()
    for name in options.names or GROUPS:
        began = time.monotonic()
        results.group(name, lambda it, name=name: GROUPS[name](it, binary))
        print(f"        {name}: {time.monotonic() - began:.1f} s", flush=True)
    print(results.summary())
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
