"""What has to be reached: the acceptance of the project, and what each run must hold."""

from cases import yardstick_name

P99_MAX_MS = 10.0


def at_least(rate=None, share=None, of=None):
    """Records per CPU second, or a share of a yardstick: one of them is enough."""
    return rate, share, of


TARGETS = {
    "lines_to_file_raw": at_least(share=0.75),
    "lines_to_file_raw_journal": at_least(share=0.45),
    "lines_to_file_json": at_least(rate=1.5e6, share=0.25, of="file"),
    "otlp_to_null": at_least(share=0.85),
    "otlp_to_file_json": at_least(rate=1.5e6),
    "otlp_to_file_json_kvlist": at_least(rate=0.8e6),
    "otlp_to_file_json_batch_17": at_least(rate=0.3e6),
    "otlp_to_otlp": at_least(share=0.80),
    "otlp_to_otlp_batch_17": at_least(rate=0.3e6),
    "otlp_to_otlp_raw": at_least(share=0.80),
    "otlp_to_otlp_raw_batch_100": at_least(rate=1.6e6),
}


def reached(case, rate, share_of, latency):
    """Whether a case is as good as it has to be, and what it is asked for; None when nothing is.

    `share_of` gives the median ratio to a yardstick by its name, or None where it was not measured.
    """
    asked, passed = [], []
    if case.name in TARGETS:
        least_rate, least_share, of = TARGETS[case.name]
        share = share_of(yardstick_name(of or case.yardstick, case.load))
        ways = [f"{least_rate / 1e6:g} M/s"] if least_rate else []
        ways += [f"{least_share:.0%} of the {'plain ' if of else ''}minimum"] if least_share else []
        asked.append("≥ " + " or ".join(ways))
        passed.append(bool(least_rate and rate >= least_rate or least_share and share and share >= least_share))
    if latency and not case.load.otlp and not case.is_yardstick:
        asked.append(f"p99 < {P99_MAX_MS:g} ms")
        passed.append(latency["p99"] < P99_MAX_MS)
    missed = [what for what, met in zip(asked, passed) if not met]
    return (not missed if asked else None), ", ".join(asked), missed


def broken(case, runs):
    """Promises that were not kept, whatever the speed: these fail the whole benchmark."""
    wrong = []
    # One too many is as wrong as one too few.
    if any(run.lost for run in runs):
        wrong.append(f"lost {sum(run.lost for run in runs)}")
    if over := [run for run in runs if run.bound_bytes and run.rss_bytes > run.bound_bytes]:
        wrong.append(f"memory over its bound in {len(over)} runs")
    return wrong if not case.peer else []
