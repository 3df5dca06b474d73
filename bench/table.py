"""Tables in Markdown, which read as well on a terminal."""


def markdown(rows):
    """The first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows)


def millions(number):
    return f"{number / 1e6:.2f}" if number >= 1e4 else f"{number / 1e6:.4f}"


def mib(number):
    return f"{number / 2**20:.0f}"


def delay(milliseconds):
    return f"{milliseconds:.2g}" if milliseconds < 10 else f"{milliseconds:.0f}"


def delays(latency):
    return " / ".join(delay(latency[name]) for name in ("p50", "p99", "p99_9"))


def verdict(summary):
    if summary.broken:
        return "**BROKEN**: " + ", ".join(summary.broken)
    return {None: "-", True: "pass", False: "**misses** " + ", ".join(summary.missed)}[summary.passed]


def share(summary):
    return f"{summary.share.median:.0%} ({summary.share.low:.0%} to {summary.share.high:.0%})" if summary.share else "-"


def full(summaries):
    head = ["case", "M records/CPU-s", "range", "MB/CPU-s", "of the minimum", "user+sys s", "M records/s"]
    head += ["p50 / p99 / p99.9 ms", "RSS of bound MiB", "gen CPU", "others, stolen", "lost", "target", "verdict"]
    rows = [head]
    for it in summaries:
        rows.append([
            f"`{it.name}`",
            millions(it.rate.median),
            f"{millions(it.rate.low)} to {millions(it.rate.high)}",
            f"{it.bytes_rate / 1e6:.0f}",
            share(it),
            f"{it.user_s:.2f}+{it.system_s:.2f}",
            millions(it.wall_rate),
            delays(it.latency_ms) if it.latency_ms else "-",
            f"{mib(it.rss_bytes)} of {mib(it.bound_bytes)}" if it.bound_bytes else mib(it.rss_bytes),
            f"{it.generator_share:.0%}" + (" (!)" if it.generator_share > 1 else ""),
            f"{it.others_share:.0%}, {it.stolen_share:.0%}",
            str(it.lost),
            it.asked or "-",
            verdict(it),
        ])
    return markdown(rows)


def short(summaries):
    """For the README: what a reader wants to know first."""
    rows = [["case", "M records per CPU second", "of the minimum", "p99 ms", "peak MiB", "target", "verdict"]]
    for it in summaries:
        rows.append([
            f"`{it.name}`",
            f"{millions(it.rate.median)} ({millions(it.rate.low)} to {millions(it.rate.high)})",
            f"{it.share.median:.0%}" if it.share else "-",
            delay(it.latency_ms["p99"]) if it.latency_ms else "-",
            mib(it.rss_bytes),
            it.asked or "-",
            "**misses**" if it.passed is False and not it.broken else verdict(it),
        ])
    return markdown(rows)


def compared(pairs):
    """Two binaries: the ratio of the second to the first, round by round."""
    rows = [["case", "second / first, records per CPU second", "range"]]
    for name, ratio in pairs:
        rows.append([f"`{name}`", f"{ratio.median:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}"])
    return markdown(rows)
