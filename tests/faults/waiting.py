"""Waiting for something, and what was waited."""

import time


def until(holds, within_s, pause_s=0.05):
    """Polls; false when it never held."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True


def percentiles(values, unit=1000, digits=1):
    """`p50/p99/max`, by default of seconds in milliseconds."""
    values = sorted(values)
    if not values:
        return "none"
    at = lambda share: round(values[min(len(values) - 1, int(len(values) * share))] * unit, digits)  # noqa: E731
    return f"{at(0.5)}/{at(0.99)}/{at(1.0)}"
