"""What durability costs."""

import time

from harness import file_sink, row, sources
from waiting import until



@row("gate")
def durable_cost(environment, verdict):
    """`durable` costs latency, not throughput: at saturation OTLP -> file keeps 60 % of the records per CPU second of memory mode."""
    environment.needs_journal()
    seconds, measured = environment.pick(20, 3), {"memory": [], "buffered": [], "durable": []}
    for number in range(environment.pick(5, 2)):
        for mode in measured:
            path = environment.directory / f"{mode}-{number}.log"
            journal = {} if mode == "memory" else environment.journal(mode=mode)
            if journal:
                journal["journal"]["dir"] += f"-{mode}-{number}"
            sink = {**file_sink(path, "json"), "rotate": {"size": "1GiB"}, "keep": {"files": 1}}
            logboom = environment.logboom({"sources": sources(), "sinks": {"files": sink}, **journal}, verdict)
            cpu = logboom.cpu_s()
            report = environment.gen(
                "--format", "otlp", "--rate", "max", "--connections", 4, "--streams", 16, "--batch", 100, "--duration", f"{seconds}s",
                "--seed", environment.seed, "--to", f"otlp://127.0.0.1:{logboom.otlp}",
            ).report(seconds + 60)
            verdict.expect(until(lambda: logboom.behind() == 0, 60), f"{mode}: the file is behind")  # noqa: B023
            measured[mode].append((report["records"] / (logboom.cpu_s() - cpu), report["records"] / seconds))
            time.sleep(0.1)
            logboom.stop()
            environment.end_processes()
            path.unlink()
    per_cpu = {}
    for mode, runs in measured.items():
        per_cpu[mode] = sorted(runs)[len(runs) // 2][0]
        verdict.figure(f"{mode}: records per CPU s, per s", tuple(map(round, sorted(runs)[len(runs) // 2])))
    for mode in ("buffered", "durable"):
        verdict.figure(f"{mode}/memory", round(per_cpu[mode] / per_cpu["memory"], 2))
    verdict.expect(per_cpu["durable"] >= 0.6 * per_cpu["memory"], f"durable does {per_cpu['durable'] / per_cpu['memory']:.0%} of memory mode")


CASES = [durable_cost]
