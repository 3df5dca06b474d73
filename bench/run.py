#!/usr/bin/env python3
"""Measures what logboom costs: records per CPU second of the server, beside the least that it could cost.

    just bench                                                    all cases, 5 rounds; writes the tables and the chart
    just bench --quick                                            the most important ones, 3 rounds
    bench/run.py --case 'lines_*' --runs 9                        some of them, more often
    bench/run.py --binary OLD/logboom --binary NEW/logboom        two builds in turns (NEW is marked #1)

Python 3 standard library only. bench/README.md says what is measured and what that is worth.
"""

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import machine
import peers
import report
import summary
import table
from cases import CASES, peer_case, yardsticks
from measure import measure
from processes import Failure

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
# The warm-up sends less, and is checked record by record for that.
WARMUP_SCALE = 0.1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the most important cases, 3 rounds, a fifth of the records")
    parser.add_argument("--case", action="append", metavar="GLOB", help="only cases that match; may be repeated")
    parser.add_argument("--runs", type=int, help="measured rounds (default 5, with --quick 3)")
    parser.add_argument("--warmup", type=int, default=1, help="rounds before, checked record by record (default 1)")
    parser.add_argument("--scale", type=float, help="times as many records (default 1, with --quick 0.2)")
    parser.add_argument("--binary", action="append", type=Path, help="logboom to measure; may be repeated")
    parser.add_argument("--generator", type=Path, help="logboom that generates (default: the last binary)")
    parser.add_argument("--yardsticks", type=Path, help="directory of programs built before (default: cargo builds them)")
    parser.add_argument("--no-latency", dest="latency", action="store_false", help="leave out the half load")
    parser.add_argument("--no-peers", dest="with_peers", action="store_false", help="leave out other collectors")
    parser.add_argument("--publish", action="store_true", help="write README.md, docs/benchmarks.md and the chart")
    parser.add_argument("--dir", type=Path, default=BENCH / "results", help="where files are written and results kept")
    parser.add_argument("--list", action="store_true", help="print the cases")
    options = parser.parse_args()
    # Only what has all cases in full is what the pages say it is; they say how many rounds.
    options.whole = not (options.quick or options.case or options.scale or options.binary)
    options.runs = options.runs or (3 if options.quick else 5)
    options.scale = options.scale or (0.2 if options.quick else 1.0)
    options.binary = [path.resolve() for path in options.binary or [ROOT / "target/release/logboom"]]
    options.generator = (options.generator or options.binary[-1]).resolve()
    options.yardsticks = options.yardsticks and options.yardsticks.resolve()
    return options


def chosen(options):
    """The cases that are asked for, those of other collectors that are installed among them."""
    options.peers = peers.installed() if options.with_peers else {}
    known = CASES + [peer_case(name) for name in options.peers]
    if options.case:
        return [case for case in known if any(fnmatch.fnmatch(case.name, glob) for glob in options.case)]
    for name in sorted(set(peers.PEERS) - set(options.peers)) if options.with_peers else []:
        print(f"{name} is not installed here: left out", file=sys.stderr)
    return [case for case in known if case.quick or not options.quick]


def yardsticks_of(options):
    """The programs to compare with, and the probe; they use crates of logboom, so cargo builds them."""
    if not options.yardsticks:
        subprocess.run(["cargo", "build", "--quiet", "--release", "--examples"], cwd=ROOT, check=True)
        options.yardsticks = ROOT / "target/release/examples"
    for name in ["yardstick", "acknowledger", "probe"]:
        setattr(options, name, options.yardsticks / name)


def rounds(options, jobs, workdir):
    """Round by round, so that what drifts (heat, page cache, neighbours) meets every case alike."""
    results, checked, failures = {name: {} for name, _, _ in jobs}, {name: [] for name, _, _ in jobs}, []
    for round in range(-options.warmup, options.runs):
        for name, binary, case in jobs:
            print(f"round {round + 1 if round >= 0 else 'warm-up'}: {name}", file=sys.stderr)
            scale = options.scale * (WARMUP_SCALE if round < 0 else 1)
            try:
                half_load = options.latency and round >= 0
                run = measure(options, binary, case, workdir, scale=scale, half_load=half_load)
            except (Failure, OSError) as failure:
                failures.append(f"{name}: {failure}")
                print(f"  failed: {failure}", file=sys.stderr)
                continue
            except KeyboardInterrupt:
                print("interrupted: reporting what there is", file=sys.stderr)
                return results, checked, [*failures, "interrupted"]
            for note in run.notes:
                print(f"  {note}", file=sys.stderr)
            if round < 0:
                checked[name].append(run)
            else:
                results[name][round] = run
    return results, checked, failures


def main():
    options = arguments()
    wanted = chosen(options)
    if options.list or not wanted:
        print("\n".join(case.name for case in [*CASES, *yardsticks(CASES)]))
        return 0 if options.list else 2
    for binary in {*options.binary, options.generator}:
        if not os.access(binary, os.X_OK):
            print(f"no program at {binary}: run cargo build --release, or name one with --binary", file=sys.stderr)
            return 2

    options.dir.mkdir(parents=True, exist_ok=True)
    workdir = tempfile.mkdtemp(prefix="run-", dir=options.dir.resolve())
    about, started = machine.facts(), time.monotonic()
    jobs = [(case.name, options.binary[0], case) for case in yardsticks(wanted)]
    for case in wanted:
        # Another collector is the same beside each binary.
        for number, binary in enumerate(options.binary[:1] if case.peer else options.binary):
            jobs.append((case.name + (f"#{number}" if number else ""), binary, case))
    try:
        yardsticks_of(options)
        results, checked, failures = rounds(options, jobs, workdir)
    finally:
        shutil.rmtree(workdir, ignore_errors=True)

    summaries = [summary.summarise(case, name, results, checked[name]) for name, _, case in jobs if results[name]]
    if not summaries:
        return 1
    print(table.full(summaries))
    pairs = [(name, summary.ratios(results, f"{name}#1", name)) for name, _, _ in jobs if f"{name}#1" in results]
    if pairs := [(name, ratio) for name, ratio in pairs if ratio]:
        print("\n" + table.compared(pairs))
    version = subprocess.run([options.binary[-1], "--version"], capture_output=True, text=True).stdout.strip()
    document = {
        "version": version,
        "machine": about,
        "settings": {"runs": options.runs, "warmup": options.warmup, "scale": options.scale},
        "minutes": round((time.monotonic() - started) / 60, 1),
        "summaries": [asdict(it) for it in summaries],
        "runs": {name: [run.as_json() for run in runs.values()] for name, runs in results.items()},
        "failures": failures,
    }
    kept = options.dir / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    kept.write_text(json.dumps(document, indent=1) + "\n")
    print(f"kept in {os.path.relpath(kept)}, after {document['minutes']} minutes", file=sys.stderr)
    if options.publish and not options.whole:
        print("not published: only a whole run is (no --quick, --case, --scale, --binary)", file=sys.stderr)
    elif options.publish and not failures:
        report.write(summaries, document)
    return 1 if failures or any(it.broken for it in summaries) else 0


if __name__ == "__main__":
    sys.exit(main())
