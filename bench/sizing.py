"""What a mesh needs, by the figures just measured: cores, bytes, machines, and where one way overtakes another."""

import bisect

import growth
import table

PER_NODE = 30  # proxies on a node
NODE_RATE = 10_000  # records/s of a node that is busy
BUSY_MAX = 0.6  # of the cores of a machine, so that one can fail and bursts fit
MACHINE_CORES = 4
LINK_BYTES = 125e6  # a network of 1 Gbit/s
DAY_S = 86_400
MESHES = [(100, 10), (100, 100), (1_000, 10), (1_000, 100), (1_000, 1_000), (10_000, 10), (10_000, 100), (10_000, 1_000)]


class Costs:
    """Nanoseconds per record by the rate at which one logboom gets them, between the rates that were measured."""

    def __init__(self, curves):
        calm = [curve for curve in curves if curve.point.chart == growth.CALM]
        self.of = {}
        for curve in calm:
            self.of.setdefault(curve.point.series, []).append((curve.point.x, curve.median()))
        self.bytes_in = {it.point.series: it.median("bytes_in") for it in calm}
        self.bytes_out = {it.point.series: it.median("bytes_out") for it in calm}
        node = next(it for it in calm if it.point.series == growth.CALM_LINES and it.point.x == NODE_RATE)
        self.rss = node.median("rss_bytes")
        merged = [it for it in curves if it.point.chart == "batch" and it.point.x == 500]
        # What came over a hop is in large requests.
        self.merged = {it.point.series: it.median() for it in merged}

    def ns(self, series, rate):
        """At rates beyond those that were measured, that of the nearest."""
        points = self.of[series]
        xs = [x for x, _ in points]
        at = bisect.bisect_left(xs, rate)
        if at == 0 or at == len(xs):
            return points[min(at, len(xs) - 1)][1]
        (x0, y0), (x1, y1) = points[at - 1], points[at]
        return y0 + (y1 - y0) * (rate - x0) / (x1 - x0)

    def cores(self, series, rate):
        return rate * self.ns(series, rate) * 1e-9


def pages(found, curves):
    """Texts by the mark of their place."""
    costs = Costs(curves)
    return {"meshes": _meshes(costs), "break-even": _break_even(found, costs)}


def _meshes(costs):
    head = ["proxies", "requests/s each", "records/s", "files on nodes: cores a node", "cores of all nodes"]
    head += ["gateway: cores, from OTLP", f"machines of {MACHINE_CORES} cores", "into it MB/s", "JSON a day"]
    rows = [head]
    for proxies, requests in MESHES:
        rate = proxies * requests
        nodes = max(proxies / PER_NODE, 1)
        node = costs.cores(growth.CALM_LINES, rate / nodes)
        gateway = costs.cores(growth.CALM_OTLP, rate)
        machines = max(-(-gateway // (MACHINE_CORES * BUSY_MAX)), 1)
        day = rate * costs.bytes_out[growth.CALM_OTLP] * DAY_S
        rows.append([
            f"{proxies:,}", f"{requests:,}", f"{rate:,}", f"{node:.2f}", f"{node * nodes:.1f}", f"{gateway:.1f}",
            f"{machines:.0f}", f"{rate * costs.bytes_in[growth.CALM_OTLP] / 1e6:,.0f}", _bytes(day),
        ])
    return table.markdown(rows)


def _bytes(number):
    for unit in ("GB", "TB", "PB"):
        number /= 1e9 if unit == "GB" else 1e3
        if number < 1000:
            return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{number:,.0f} PB"


def _break_even(found, costs):
    sidecar = found["sidecar"]["rss_bytes"]
    node = costs.rss
    calm, busy = costs.of[growth.CALM_LINES][0], costs.of[growth.CALM_LINES][-1]
    direct = costs.of[growth.CALM_OTLP][-1][1]
    relay = costs.of[growth.CALM_RELAY][-1][1]
    merged = costs.merged["OTLP to file, JSON"]
    machine = MACHINE_CORES * BUSY_MAX * 1e9 / direct
    behind = MACHINE_CORES * BUSY_MAX * 1e9 / merged
    link = LINK_BYTES / costs.bytes_in[growth.CALM_OTLP]
    rows = [["question", "by these figures"]]
    add = lambda question, answer: rows.append([question, answer])
    add("One logboom a node instead of one a pod, for memory",
        f"from {-(-node // sidecar):.0f} pods a node on: {table.mib(node)} MiB at {NODE_RATE:,} records/s against {sidecar / 2**20:.1f} MiB idle for each sidecar")
    add("What a record costs while little is to be done",
        f"{calm[1] / 1e3:.1f} µs at {calm[0]:,}/s, {busy[1] / 1e3:.1f} µs at {busy[0]:,}/s: waking up, not records, is what idle nodes pay for")
    add("One gateway machine is enough",
        f"up to {machine:,.0f} records/s from proxies (17 a request), {behind:,.0f} from logbooms on the nodes (500 a request)")
    add("The network is full before the cores are",
        f"1 Gbit/s carries {link:,.0f} records/s of OTLP without compression, {link / machine:.0%} of what such a machine reads")
    add("A hop over the nodes takes work from the gateway",
        f"{(direct - merged) / 1e3:.1f} µs less there for {relay / 1e3:.1f} µs more on the nodes, for each record: for order, memory in bursts and fewer connections, not for less work in all")
    add("More than one machine",
        f"beyond {machine:,.0f} records/s, {machine / PER_NODE / 100:,.0f} nodes of {PER_NODE} proxies at 100 requests/s: replicas behind a balancer, as many as records/s divided by that")
    return table.markdown(rows)
