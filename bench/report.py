"""What a whole run writes: the tables of README.md and docs/benchmarks.md, and the chart."""

import chart
import machine
import publish
import table
from cases import CASES

CHART = "docs/benchmarks.svg"
FULL, SHORT = "docs/benchmarks.md", "README.md"
# Enough for a first look; the page has the others.
README_CASES = {case.name for case in CASES if case.quick}


def write(summaries, document):
    about = machine.in_words(document["machine"])
    settings = document["settings"]
    where = f"`just bench`, {document['version']}: medians and ranges of {settings['runs']} rounds in turns, on {about}"
    shared = max((it.others_share for it in summaries), default=0)
    if shared > 0.05:
        where += f"; others had up to {shared:.0%} of it meanwhile"
    publish.between(FULL, "cases", f"{where}.\n\n{table.full(summaries)}\n\n{_checked(summaries)}")
    first = [it for it in summaries if it.name in README_CASES or it.name.startswith("peer_")]
    publish.between(SHORT, "bench", f"{where}.\n\n{table.short(first)}\n\n{_checked(summaries)}")
    publish.picture(CHART, _chart(summaries, about))


def _checked(summaries):
    ours = [it for it in summaries if not it.name.startswith(("yardstick_", "peer_"))]
    numbered = sum(it.numbered for it in ours)
    return (
        f"{numbered:,} records were looked for in the files by their number, the others were counted; "
        f"{sum(it.lost for it in ours)} were lost."
    )


def _chart(summaries, about):
    rows = [
        (it.name, it.share.median, it.share.low, it.share.high, f"{table.millions(it.rate.median)} M/CPU-s")
        for it in summaries
        if it.share
    ]
    return chart.bars("Records per CPU second, as a share of the least that it can cost", about, rows)
