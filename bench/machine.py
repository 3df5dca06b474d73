"""What a reader needs to judge the figures; nothing that names the machine."""

import os
import platform
import re
import time
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def facts():
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        # Not what a distribution or a host adds to it.
        "kernel": platform.release().split("-")[0],
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_at_start": os.getloadavg()[0],
    }


def in_words(facts):
    gib = facts["memory_bytes"] / 2**30
    return f"{facts['cores']} cores ({facts['cpu']}), {gib:.0f} GiB, Linux {facts['kernel']}"


class Neighbours:
    """What the machine did meanwhile that was not ours."""

    def __init__(self):
        self.at, self.before = time.monotonic(), self._read()

    def _read(self):
        values = [int(it) for it in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        # user, nice, system, irq, softirq; then what the host gave to other machines.
        return (sum(values[0:3]) + values[5] + values[6]) * TICK, values[7] * TICK

    def since(self, ours_s):
        """Shares of all cores' time: used by others, where ours used `ours_s`, and stolen by the host."""
        busy, stolen = (now - then for now, then in zip(self._read(), self.before))
        all_s = max(time.monotonic() - self.at, TICK) * os.cpu_count()
        return max(busy - ours_s, 0) / all_s, stolen / all_s
