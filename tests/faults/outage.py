"""Upstreams that are gone, come and go, never answer, or die after they have answered."""

import random
import time

from chaos import Proxy, faults_from
from harness import row
from matrix import otlp_only, upstream_sink
from oracle import FRESH_SIZES, MARK, Delivered, Producer, fresh, judge
from upstream import OK, Answer, Upstream
from waiting import until

RETRY_MAX_S = 1.0
# Requests of one MiB each that a sink has in flight at most.
IN_FLIGHT_BYTES = 4 << 20


class Scene:
    """Producers, logboom with one upstream, a proxy before a mock, and what arrives there."""

    def __init__(self, environment, verdict, producers=2, rate=400, batch=20, size=300, answer=None, mode="buffered", plan=None, **sink):
        self.verdict, self.size = verdict, size
        self.delivered = Delivered({**{number: size for number in range(1, producers + 1)}, **FRESH_SIZES})
        self.mock = Upstream(self.delivered, answer)
        self.proxy = Proxy(self.mock.port, **({"plan": plan} if plan else {}))
        environment.afterwards(self.mock.close)
        environment.afterwards(self.proxy.close)
        retry = {"initial": "50ms", "max": f"{RETRY_MAX_S}s".replace(".0s", "s")}
        self.config = {
            "sources": otlp_only(), "sinks": {"up": upstream_sink(self.proxy.port, retry=retry, **{"timeout": "1s", **sink})},
            **environment.journal_if_any(mode=mode),
        }
        verdict.figure("mode", self.config.get("journal", {}).get("mode", "memory"))
        self.logboom = environment.logboom(self.config, verdict)
        self.producers = [Producer(number, self.logboom.otlp, batch, size, rate) for number in range(1, producers + 1)]
        environment.afterwards(lambda: [one.finish(0) for one in self.producers])

    def retries(self):
        return self.logboom.metric("logboom_retries_total", sink="up")

    def issued(self):
        return sum(one.ledger.issued for one in self.producers)

    def finish(self, within_s=60.0, **judged):
        """Ends the load, waits until all has arrived, and judges. Returns the seconds that took."""
        verdict = self.verdict
        for one in self.producers:
            verdict.expect(one.finish(), "a producer still waits for an answer")
        begun = time.monotonic()
        verdict.expect(until(lambda: self.logboom.behind() == 0, within_s), f"{self.logboom.behind()} records never arrived")
        caught_up = time.monotonic() - begun
        after = fresh(self.logboom.otlp, self.delivered)
        verdict.expect(after is not None, "a fresh record does not arrive within 5 s of the last fault")
        verdict.figure("fresh ms", after and round(after * 1000))
        codes = {}
        for one in self.producers:
            for code, count in one.codes.items():
                codes[code] = codes.get(code, 0) + count
        verdict.expect(set(codes) == {"OK"}, f"answers to producers: {codes}")
        judge(verdict, [one.ledger for one in self.producers], self.delivered, **judged)
        verdict.figure("duplicates %", round(100 * self.delivered.duplicates / max(1, self.delivered.records), 2))
        return caught_up


@row(26)
def upstream_gone(environment, verdict):
    """The upstream refuses connections, then swallows them, for a scaled hour (a minute; backoff and timeout scaled with it):
    nothing is lost, order is kept, attempts are bounded by the backoff, and what waited is caught up with."""
    scene = Scene(environment, verdict)
    half = environment.pick(30, 4)
    time.sleep(1)
    scene.proxy.down()
    before = scene.retries()
    time.sleep(half)
    refused = scene.retries() - before
    scene.proxy.blackhole = True
    scene.proxy.up()
    before = scene.retries()
    time.sleep(half)
    swallowed = scene.retries() - before
    verdict.figure("attempts while refused", refused)
    verdict.figure("attempts while swallowed", swallowed)
    # Full jitter: a pause is half of the longest on average. The first few are shorter.
    verdict.expect(refused <= 3 * half / RETRY_MAX_S + 10, f"{refused} attempts in {half} s, the longest pause is {RETRY_MAX_S} s")
    verdict.expect(swallowed <= 3 * half / RETRY_MAX_S + 10, f"{swallowed} attempts in {half} s")
    verdict.figure("peak RSS MiB", round(scene.logboom.rss_kib("VmHWM") / 1024))
    backlog, begun = scene.logboom.behind(), time.monotonic()
    scene.proxy.down()
    scene.proxy.blackhole = False
    scene.proxy.up()
    verdict.expect(until(lambda: scene.logboom.behind() < backlog / 50 + 100, 30, 0.01), "the backlog is not caught up with")
    seconds = time.monotonic() - begun
    verdict.figure("backlog", backlog)
    verdict.figure("caught up s", round(seconds, 2))
    verdict.expect(backlog / seconds >= 2 * 800, f"caught up with {backlog / seconds:.0f} records/s, 800 came in")
    scene.finish(ordered_within=IN_FLIGHT_BYTES // scene.size, duplicates_max=IN_FLIGHT_BYTES // scene.size)
    scene.logboom.stop()


@row(27)
def flapping(environment, verdict):
    """The upstream is up for 0.4 s and down for 0.6 s, 200 times: nothing is lost, at most what was in flight arrives twice, no
    connection is left over."""
    scene = Scene(environment, verdict)
    times = environment.pick(200, 12)
    rng = random.Random(environment.seed)
    for _ in range(times):
        time.sleep(0.4 * rng.uniform(0.5, 1.5))
        scene.proxy.down()
        time.sleep(0.6 * rng.uniform(0.5, 1.5))
        scene.proxy.up()
    verdict.figure("times", times)
    scene.finish(duplicates_max=times * IN_FLIGHT_BYTES // scene.size)
    share = scene.delivered.duplicates / max(1, scene.delivered.records)
    # Five times as many cuts a second as the promise has.
    verdict.expect(share <= 0.05, f"{share:.1%} arrived twice")
    verdict.figure("connections made", scene.proxy.accepted)
    verdict.expect(until(lambda: scene.mock.open <= 1, 5), f"{scene.mock.open} connections are open")
    scene.logboom.stop()


@row(27, 30)
def cut_connections(environment, verdict):
    """Every connection to the upstream is cut or reset after a random number of bytes: nothing is lost, at most what was in
    flight arrives twice."""
    # Without a journal all of it must fit into the inbox.
    scene = Scene(environment, verdict, rate=2000 if environment.has_journal() else 400, plan=faults_from(environment.seed, 1 << 19), answer=lambda _: Answer(delay_s=0.005))
    time.sleep(environment.pick(30, 4))
    # A connection that never takes a whole request of a MiB would keep the backlog for ever.
    scene.proxy.plan = type(scene.proxy).__init__.__defaults__[0]
    scene.proxy.down()
    scene.proxy.up()
    verdict.figure("connections made", scene.proxy.accepted)
    scene.finish(duplicates_max=scene.proxy.accepted * IN_FLIGHT_BYTES // scene.size)
    scene.logboom.stop()


@row(30)
def never_answers(environment, verdict):
    """The upstream takes requests and never answers, for a while: each attempt ends at its deadline, few are in flight,
    nothing is lost."""
    mute = [True]
    scene = Scene(environment, verdict, answer=lambda _: Answer(shape="hang") if mute[0] else OK)
    time.sleep(environment.pick(30, 5))
    verdict.figure("attempts", scene.mock.requests)
    opened = scene.mock.opened
    verdict.figure("connections", opened)
    verdict.expect(scene.mock.requests > 2, "it waits for ever for an answer")
    verdict.expect(scene.mock.requests <= environment.pick(30, 5) * 4 / 1.0 + 4, f"{scene.mock.requests} attempts")
    mute[0] = False
    scene.finish(duplicates_max=0)
    verdict.figure("in flight at most", scene.mock.in_flight_max)
    verdict.expect(scene.mock.in_flight_max <= 4, f"{scene.mock.in_flight_max} requests in flight")
    scene.logboom.stop()


@row(30)
def answers_then_resets(environment, verdict):
    """More than half of the requests die with their connection: untaken, taken but unanswered, or right after the OK is out.
    Nothing is lost, and twice arrives only what was taken and unanswered."""
    rng, state = random.Random(environment.seed), {"faulty": True, "unheard": 0}

    def answer(message):
        shape = rng.choice(("ok-reset", "reset", "unheard", "message", "message")) if state["faulty"] else "message"
        if shape != "message":
            # Others in flight on the connection die with it, whatever their answer.
            state["unheard"] += message.count(MARK) * (4 if shape == "ok-reset" else 1)
        return Answer(shape=shape)

    scene = Scene(environment, verdict, answer=answer)
    time.sleep(environment.pick(30, 4))
    state["faulty"] = False
    scene.finish()
    verdict.figure("requests", scene.mock.requests)
    verdict.figure("connections", scene.mock.opened)
    verdict.figure("answers not heard, records", state["unheard"])
    verdict.expect(scene.delivered.duplicates <= state["unheard"], f"{scene.delivered.duplicates} duplicates")
    scene.logboom.stop()


CASES = [upstream_gone, flapping, cut_connections, never_answers, answers_then_resets]
