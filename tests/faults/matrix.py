"""What an upstream may answer, and what must be done about it."""

import time

from harness import row
from http2 import CODES, Grpc
from oracle import FRESH_SIZES, Delivered, Ledger
from otlp import record, request
from upstream import OK, Answer, Upstream
from waiting import percentiles, until

AGAIN, REFUSED, HOLD, DONE = "sent again", "given up", "sent again, seldom", "done"
# The table of the OTLP specification, but for HOLD: what says nothing about the records is waited out.
# RESOURCE_EXHAUSTED is sent again only when the upstream says when.
ACTIONS = {
    "OK": DONE, "UNAUTHENTICATED": HOLD, "PERMISSION_DENIED": HOLD, "UNIMPLEMENTED": HOLD,
    **dict.fromkeys(("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"), AGAIN),
    **dict.fromkeys(
        ("UNKNOWN", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "INTERNAL"), REFUSED
    ),
}
SHAPES = ("headers", "trailers", "retry-info")
RETRY_INFO_S, RETRY_MAX_S = 0.5, 0.2


def upstream_sink(port, **options):
    return {
        "type": "otlp", "endpoint": f"http://127.0.0.1:{port}", "compression": "none",
        "retry": {"initial": "20ms", "max": f"{int(RETRY_MAX_S * 1000)}ms"}, **options,
    }


def otlp_only():
    return {"otlp": {"type": "otlp", "grpc": "127.0.0.1:0", "connections_max": 256}}


@row(28)
def codes(environment, verdict):
    """Every gRPC code, in headers, in trailers and with RetryInfo, 51 in all: sent again, given up or done as the table
    says, a RetryInfo kept to a tenth; a partial success is never sent again."""
    script, ledger = [], Ledger(1, 60)
    delivered = Delivered({1: 60, **FRESH_SIZES})
    upstream = Upstream(delivered, lambda _: script.pop(0) if script else OK)
    environment.afterwards(upstream.close)
    logboom = environment.logboom({"sources": otlp_only(), "sinks": {"up": upstream_sink(upstream.port)}}, verdict)
    passed, wrong, failed, asked = 0, [], 0, []
    with Grpc(logboom.otlp) as client:
        for code, name in CODES.items():
            for shape in SHAPES:
                after = RETRY_INFO_S if shape == "retry-info" else None
                script.append(Answer(code, "headers" if shape != "trailers" else "trailers", after))
                before = len(upstream.attempts)
                number, bodies = ledger.take(1)
                client.call(request([record(bodies[0].decode())]))
                until(lambda: logboom.sink("up")["in_flight_records"] == 0, 10, 0.01)
                attempts = upstream.attempts[before:]
                gap = attempts[1] - attempts[0] if len(attempts) > 1 else 0.0
                action = AGAIN if (name, shape) == ("RESOURCE_EXHAUSTED", "retry-info") else ACTIONS[name]
                failed += action == REFUSED
                ok = len(attempts) == (1 if action in (DONE, REFUSED) else 2)
                ok &= delivered.has(1, number) == (action != REFUSED)
                ok &= logboom.sink("up")["failed_records"] == failed
                if action == HOLD:
                    ok &= gap >= RETRY_MAX_S * 0.9
                elif action == AGAIN and after:
                    # Each may be late on a machine that others use; all of them are not.
                    ok &= gap >= RETRY_INFO_S * 0.9
                    asked.append(gap)
                passed += ok
                if not ok:
                    wrong.append(f"{name} in {shape}: {len(attempts)} attempts, {gap:.2f} s apart, expected: {action}")
                    failed = logboom.sink("up")["failed_records"]
                    script.clear()
        before = len(upstream.attempts)
        script.append(Answer(rejected=3))
        first, bodies = ledger.take(10)
        client.call(request([record(one.decode()) for one in bodies]))
        until(lambda: logboom.sink("up")["in_flight_records"] == 0, 10, 0.01)
        time.sleep(RETRY_MAX_S * 2)
    verdict.equal("cells", f"{passed}/{len(CODES) * len(SHAPES)}", "51/51")
    for one in wrong:
        verdict.expect(False, one)
    verdict.figure(f"RetryInfo of {RETRY_INFO_S} s kept, s p50/p99/max", percentiles(asked, 1, 2))
    verdict.expect(sorted(asked)[len(asked) // 2] <= RETRY_INFO_S * 1.1 + 0.05, f"a RetryInfo of {RETRY_INFO_S} s became {asked}")
    verdict.equal("attempts of a partial success", len(upstream.attempts) - before, 1)
    verdict.equal("of it counted as failed", logboom.sink("up")["failed_records"] - failed, 3)
    verdict.expect(delivered.altered == 0, f"altered: {delivered.examples}")
    logboom.stop()


@row(29)
def poison(environment, verdict):
    """One record in 200 is poison to the upstream, which refuses any request that holds one: only the poison is given up."""
    ledger, count = Ledger(1, 60), environment.pick(20_000, 4_000)
    delivered = Delivered({1: 60})
    poisonous = [b"<1.%d." % number for number in range(0, count, 200)]
    upstream = Upstream(delivered, lambda message: Answer(3, "headers") if any(one in message for one in poisonous) else OK)
    environment.afterwards(upstream.close)
    logboom = environment.logboom({"sources": otlp_only(), "sinks": {"up": upstream_sink(upstream.port)}}, verdict)
    with Grpc(logboom.otlp) as client:
        for _ in range(count // 1000):
            _, bodies = ledger.take(1000)
            verdict.equal("answer", client.call(request([record(one.decode()) for one in bodies])), "OK")
    verdict.expect(until(lambda: logboom.sink("up")["in_flight_records"] == 0, 60), "the queue does not move on")
    missing = [number for number in range(count) if not delivered.has(1, number)]
    verdict.equal("given up", logboom.sink("up")["failed_records"], count // 200)
    verdict.equal("healthy ones lost", len([number for number in missing if number % 200]), 0)
    verdict.equal("delivered twice", delivered.duplicates, 0)
    verdict.figure("requests per poison", round(upstream.requests / (count // 200), 1))
    logboom.stop()


CASES = [codes, poison]
