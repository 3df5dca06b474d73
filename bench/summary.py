"""From runs to figures: medians and ranges, and ratios of what was measured in the same round."""

import statistics
from dataclasses import dataclass

import latency
import targets
from cases import yardstick_name


@dataclass
class Spread:
    """Median, lowest and highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        values = list(values)
        return cls(statistics.median(values), min(values), max(values)) if values else None


@dataclass
class Summary:
    """One case, all its runs."""

    name: str
    runs: int
    rate: Spread  # records per second of CPU time of the server
    bytes_rate: float
    user_s: float
    system_s: float
    wall_rate: float
    share: Spread | None  # of the yardstick's rate, round by round
    yardstick: str
    latency_ms: dict | None
    rss_bytes: int
    bound_bytes: int | None
    generator_share: float  # of the server's CPU time
    others_share: float
    stolen_share: float
    lost: int
    refused: int
    numbered: int  # records that were found by their number
    asked: str
    passed: bool | None
    missed: list
    broken: list


def ratios(results, name, other):
    """Of one to the other, in those rounds that have both."""
    mine, theirs = results.get(name, {}), results.get(other, {})
    return Spread.of(mine[round].rate / theirs[round].rate for round in sorted(mine.keys() & theirs.keys()))


def summarise(case, name, results, checked):
    """The figures of `case` under `name` (a second binary has its own); `checked` are runs of the warm-up."""
    runs = list(results[name].values())
    median = lambda value: statistics.median(value(run) for run in runs)
    yardstick = "" if case.is_yardstick else yardstick_name(case.yardstick, case.load)
    rate = Spread.of(run.rate for run in runs)
    share_of = lambda other: (found := ratios(results, name, other)) and found.median
    delays = _latency(runs)
    passed, asked, missed = targets.reached(case, rate.median, share_of, delays)
    return Summary(
        name=name,
        runs=len(runs),
        rate=rate,
        bytes_rate=median(lambda run: run.bytes / run.cpu_s),
        user_s=median(lambda run: run.user_s),
        system_s=median(lambda run: run.system_s),
        wall_rate=median(lambda run: run.arrived / run.wall_s),
        share=ratios(results, name, yardstick),
        yardstick=yardstick,
        latency_ms=delays,
        rss_bytes=max(run.rss_bytes for run in runs),
        bound_bytes=runs[0].bound_bytes,
        generator_share=median(lambda run: run.generator_cpu_s / run.cpu_s),
        others_share=median(lambda run: run.others_share),
        stolen_share=median(lambda run: run.stolen_share),
        lost=sum(run.lost for run in runs + checked),
        refused=sum(run.refused for run in runs),
        numbered=sum(run.sent for run in runs + checked if run.numbered),
        asked=asked,
        passed=passed,
        missed=missed,
        broken=targets.broken(case, runs + checked),
    )


def _latency(runs):
    """All probes of all runs as one; of answers, which the generator has summed up, medians."""
    if samples := [sample for run in runs for sample in run.samples_ms]:
        return latency.quantiles(samples)
    known = [run.latency_ms for run in runs if run.latency_ms]
    return {name: statistics.median(it[name] for it in known) for name in known[0]} if known else None
