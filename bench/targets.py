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


def speed(case, rate, share_of):
    """Whether a case is fast enough, and what it is asked for; None when nothing is.

    `share_of` gives the median ratio to a yardstick by its name, or None where it was not measured.
    """
    if case.name not in TARGETS:
        return None, ""
    least_rate, least_share, of = TARGETS[case.name]
    share = share_of(yardstick_name(of or case.yardstick, case.load))
    asked = []
    passed = False
    if least_rate:
        asked.append(f"{least_rate / 1e6:g} M/s")
        passed |= rate >= least_rate
    if least_share:
        asked.append(f"{least_share:.0%} of the {'plain ' if of else ''}minimum")
        passed |= share is not None and share >= least_share
    return passed, "≥ " + " or ".join(asked)


def broken(case, runs, latency):
    """What a run must hold whatever its speed: the promises that were not kept."""
    wrong = []
    if lost := sum(run.lost for run in runs):
        wrong.append(f"lost {lost}")
    if case.is_yardstick or case.peer:
        return wrong
    if over := [run for run in runs if run.bound_bytes and run.rss_bytes > run.bound_bytes]:
        wrong.append(f"memory over its bound in {len(over)} runs")
    if latency and not case.load.otlp and latency["p99"] > P99_MAX_MS:
        wrong.append(f"p99 over {P99_MAX_MS:g} ms")
    return wrong
