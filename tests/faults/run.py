#!/usr/bin/env python3
"""Faults and hostile input against the release binary, from outside.

    python3 tests/faults/run.py --logboom target/release/logboom [--smoke] [--only NAME] [--json FILE] [--seed N]

Prints what each case promises and measured, then one table of all figures, and ends with `N passed, N failed`. Exit codes: 0 all
passed, 1 something failed, 2 wrong usage. README.md says what each case can and cannot show.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True

import connections  # noqa: E402
import cost  # noqa: E402
import crashes  # noqa: E402
import damage  # noqa: E402
import disks  # noqa: E402
import files  # noqa: E402
import guards  # noqa: E402
import hostile  # noqa: E402
import isolation  # noqa: E402
import matrix  # noqa: E402
import network  # noqa: E402
import outage  # noqa: E402
import process  # noqa: E402
import reload  # noqa: E402
import restarts  # noqa: E402
import sinks  # noqa: E402
import syncs  # noqa: E402

from harness import Environment, Skip, Verdict  # noqa: E402

MODULES = [
    files, sinks, process, hostile, connections, matrix, outage, crashes, damage, disks, syncs, restarts, isolation, cost, reload, guards, network,
]
CASES = [case for module in MODULES for case in module.CASES]


def main():
    options = _arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    chosen = [case for case in CASES if not options.only or any(_name(case).startswith(name) for name in options.only)]
    chosen = [case for case in chosen if not options.row or {*map(str, getattr(case, "rows", ()))} & {*options.row}]
    if not chosen:
        print(f"no such case; there are: {', '.join(map(_name, CASES))}", file=sys.stderr)
        return 2
    print(f"seed {options.seed}, {'smoke' if options.smoke else 'full'} counts", flush=True)
    print(f"{'case':<26} {'':<7} {'s':>6}  promise, figures", flush=True)
    stolen = _stolen()
    results = [_run(case, options) for case in chosen]
    about = {
        "seed": options.seed, "smoke": options.smoke, "binary": _version(options), "kernel": platform.release(),
        "cores": os.cpu_count(), "stolen_s": round(_stolen() - stolen, 1),
    }
    if options.json:
        options.json.write_text(json.dumps({**about, "cases": results}, indent=1, default=str) + "\n")
    failed = sum(result["result"] == "failed" for result in results)
    skipped = sum(result["result"] == "skipped" for result in results)
    _table(results, about)
    if skipped:
        print(f"{skipped} skipped")
    print(f"{len(results) - failed - skipped} passed, {failed} failed")
    return 1 if failed else 0


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logboom", required=True, type=Path, help="the binary under test")
    parser.add_argument("--smoke", action="store_true", help="small counts: minutes instead of hours")
    parser.add_argument("--only", action="append", metavar="NAME", help="cases whose name begins so; may be repeated")
    parser.add_argument("--row", action="append", metavar="N", help="cases of this row of README.md; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of everything random; printed")
    parser.add_argument("--keep", action="store_true", help="keep all directories, not only those of failed cases")
    options = parser.parse_args()
    if not options.logboom.is_file():
        parser.error(f"{options.logboom} is no file: build it first, or name another")
    options.logboom = options.logboom.resolve()
    return options


def _run(case, options):
    name, promise = _name(case), " ".join(case.__doc__.split())
    environment, verdict = Environment(options.logboom, options.smoke, options.seed), Verdict()
    environment.directory = Path(tempfile.mkdtemp(prefix=f"logboom-faults-{name}-"))
    started = time.monotonic()
    try:
        case(environment, verdict)
    except Skip as why:
        verdict.skipped = str(why)
    except Exception as error:  # A case that breaks is a failed case, and the others still run.
        verdict.expect(False, f"{type(error).__name__}: {error}")
        traceback.print_exc()
    finally:
        environment.end()
    seconds = time.monotonic() - started
    result = "skipped" if verdict.skipped else "failed" if verdict.broken else "passed"
    figures = ", ".join(f"{key} {value}" for key, value in verdict.figures.items())
    print(f"{name:<26} {result if result != 'failed' else 'FAILED':<7} {seconds:>6.1f}  ", end="")
    lines = [promise, figures, *([f"skipped: {verdict.skipped}"] if verdict.skipped else []), *(f"! {one}" for one in verdict.broken)]
    if result == "failed" or options.keep:
        lines.append(f"files and logs: {environment.directory}")
    if result == "failed":
        lines.append(f"again: run.py --logboom {options.logboom} --only {name} --seed {options.seed}{' --smoke' * options.smoke}")
    else:
        shutil.rmtree(environment.directory, ignore_errors=True)
    wrapped = (piece for line in lines for piece in textwrap.wrap(line[:2000], 110, break_long_words=False))
    print(f"\n{'':<43}".join(wrapped), flush=True)
    return {
        "case": name, "rows": list(getattr(case, "rows", ())), "promise": promise, "result": result, "seconds": round(seconds, 1),
        "figures": verdict.figures, "broken": verdict.broken, "skipped": verdict.skipped,
    }


def _version(options):
    return subprocess.run([options.logboom, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def _stolen():
    """Seconds of CPU that others on the same host have taken."""
    with open("/proc/stat") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def _table(results, about):
    """Everything once more, a case a line, with its figures."""
    print(f"\n{'rows':<8} {'case':<26} {'':<7} {'s':>6}  figures")
    for one in results:
        figures = ", ".join(f"{key} {value}" for key, value in one["figures"].items()) or one["skipped"] or ""
        rows = " ".join(map(str, one["rows"]))
        shown = one["result"] if one["result"] != "failed" else "FAILED"
        print(f"{rows:<8} {one['case']:<26} {shown:<7} {one['seconds']:>6.1f}  {figures[:400]}")
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)


def _name(case):
    return case.__name__.strip("_").replace("_", "-")


if __name__ == "__main__":
    sys.exit(main())
