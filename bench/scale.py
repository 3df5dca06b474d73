#!/usr/bin/env python3
"""Measures logboom at rest, how its costs grow, and what a mesh needs by these figures.

    just bench-scale                 writes docs/scaling.md and its chart
    bench/scale.py --rest            only what it costs at rest
    bench/scale.py --runs 1 --scale 0.3

Python 3 standard library only.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import chart
import growth
import machine
import publish
import rest
import sizing
import table

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
PAGE, CHART = "docs/scaling.md", "docs/scaling.svg"

RSS_MAX = 10 << 20
CPU_MAX_MS = 1.0
CONNECTION_MAX = 16 << 10
READY_MAX_MS = 50.0


def rest_table(found):
    """Beside what the project asks of itself."""
    row = lambda what, value, target, met: [what, value, target, {True: "pass", False: "**misses**", None: "-"}[met]]
    sidecar, start = found["sidecar"], found["ready"]
    rows = [
        row("`config/sidecar.yaml`, 4 idle connections: resident memory",
            f"{sidecar['rss_bytes'] / 2**20:.1f} MiB, {sidecar['own_bytes'] / 2**20:.1f} of it its own, the rest the program",
            "< 10 MiB", sidecar["rss_bytes"] < RSS_MAX),
        row("the same: CPU time in a second", f"{sidecar['cpu_ms_per_s']:.3f} ms", "< 1 ms",
            sidecar["cpu_ms_per_s"] < CPU_MAX_MS),
    ]
    for kind in ("lines", "otlp"):
        crowd = found[f"crowd_{kind}"]
        rows.append(row(f"one of {crowd['connections']:,} idle connections of `{kind}`",
                        f"{crowd['bytes_each'] / 1024:.1f} KiB", "< 16 KiB", crowd["bytes_each"] < CONNECTION_MAX))
    rows.append(row("start to ready", f"{start['ms']:.0f} ms (at most {start['ms_max']:.0f})", "< 50 ms",
                    start["ms"] < READY_MAX_MS))
    rows.append(row("the program", f"{found['binary_bytes'] / 2**20:.1f} MiB", "-", None))
    return [["at rest", "measured", "target", "verdict"], *rows]


def growth_table(curves):
    rows = [["what grows", "series", "nanoseconds of CPU time per record"]]
    for name, series in growth.charts(curves).items():
        for label, points in series:
            rows.append([name, label, ", ".join(f"{x:g}: {ns:,.0f}" for x, ns in points)])
    return rows


def _chart(curves):
    micros = lambda points: [(x, ns / 1e3) for x, ns in points]
    drawn = []
    for name, series in growth.charts(curves).items():
        drawn.append(chart.lines(f"{name}: µs of CPU per record", name, [(label, micros(it)) for label, it in series]))
    return chart.grid(drawn)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/logboom")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many records")
    parser.add_argument("--rest", action="store_true", help="only what it costs at rest")
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE} and {CHART}")
    parser.add_argument("--dir", type=Path, default=BENCH / "results")
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"no program at {options.binary}: run cargo build --release, or name one with --binary")
    options.dir.mkdir(parents=True, exist_ok=True)
    workdir = tempfile.mkdtemp(prefix="scale-", dir=options.dir.resolve())
    log = lambda words: print(words, file=sys.stderr)
    about, started = machine.facts(), time.monotonic()
    try:
        log("at rest")
        found = rest.all_of_it(options.binary, workdir)
        rows = rest_table(found)
        print(table.markdown(rows))
        if options.rest:
            return 0
        curves = growth.measure(options, workdir, log)
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
    print("\n" + table.markdown(growth_table(curves)))
    sizes = sizing.pages(found, curves)
    for text in sizes.values():
        print("\n" + text)
    lost = sum(run["lost"] for curve in curves for run in curve.runs)
    kept = options.dir / time.strftime("scale-%Y%m%dT%H%M%SZ.json", time.gmtime())
    points = [{**vars(it.point), "load": vars(it.point.load), "runs": it.runs} for it in curves]
    document = {"machine": about, "rest": found, "growth": points, "minutes": (time.monotonic() - started) / 60}
    kept.write_text(json.dumps(document, indent=1) + "\n")
    log(f"kept in {os.path.relpath(kept)}, after {document['minutes']:.1f} minutes; {lost} records lost")
    if options.publish:
        where = f"`just bench-scale` on {machine.in_words(about)}, medians of {options.runs} rounds in turns."
        publish.between(PAGE, "rest", f"{where}\n\n{table.markdown(rows)}")
        publish.between(PAGE, "growth", table.markdown(growth_table(curves)))
        for mark, text in sizes.items():
            publish.between(PAGE, mark, text)
        publish.picture(CHART, _chart(curves))
    # A target that is missed is only shown.
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
