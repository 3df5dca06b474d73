"""What must hold after a run. Each check is `(name, passed, detail)`."""

from collections import Counter
from datetime import datetime

from bootstrap import HTTP_LOGGERS, HTTP_NAMELESS, TCP_LOGGERS, TCP_NAMELESS, TRACED_LOGGERS
from formats import MESH, SOURCE, ZONE
from records import from_otlp_json, mark, read_json, read_lines, tally

RESOURCE = {
    "log_name": "MeshAccessLog", "zone_name": ZONE, "cluster_name": SOURCE, "node_name": f"{MESH}.dp-{SOURCE}-1",
    "kuma.mesh": MESH, "kuma.zone": ZONE,
}


def expected_tally(sent):
    """How often each `(logger, request or connection)` must be found in a file."""
    table = Counter()
    for loggers, marks in ((HTTP_LOGGERS, sent.requests), (TRACED_LOGGERS, sent.traced), (TCP_LOGGERS, sent.connections)):
        for logger, times in loggers.items():
            for one in marks:
                table[logger, one] += times
    for logger, times in TCP_LOGGERS.items():
        # A refused connection received nothing, so they cannot be told apart but by number.
        table[logger, 0] += times * sent.refused
    return table


def pipe_records(sent):
    """Records Envoy writes to the pipe for this traffic."""
    http, tcp = _totals(sent, lambda logger: not logger.startswith("otlp"))
    requests = len(sent.requests) + sent.nameless
    connections = len(sent.connections) + sent.refused
    return http + tcp + HTTP_NAMELESS * requests + TCP_NAMELESS * connections


def otlp_records(sent):
    """Records Envoy exports over OTLP for this traffic."""
    http, tcp = _totals(sent, lambda logger: logger.startswith("otlp"))
    return http + tcp + sum(TRACED_LOGGERS.values()) * len(sent.traced)


def file_checks(directory, sent, relay):
    """Everything about the three files."""
    lines, problems = read_json(directory / "records.json")
    yield check("json: every line is a JSON object", not problems, problems)
    requests, problems = read_json(directory / "records.otlp.json")
    try:
        otlp = [record for request in requests for record in from_otlp_json(request)]
    except (KeyError, TypeError, ValueError) as error:
        otlp = []
        problems.append(f"not an ExportLogsServiceRequest: {error!r}")
    yield check("otlp-json: every line is a request", not problems, problems)

    total = otlp_records(sent) + len(_handed_over(relay))
    expected = expected_tally(sent)
    for name, records in (("json", lines), ("otlp-json", otlp)):
        yield check(f"{name}: as many records as were sent", len(records) == total, [f"{len(records)} of {total}"])
        found = tally(records)
        wrong = [f"{key}: {found[key]} of {expected[key]}" for key in expected | found if found[key] != expected[key]]
        yield check(f"{name}: every request exactly once per logger", not wrong, wrong)

    yield _raw_check(directory, relay)
    yield from _shape_checks(lines)
    yield from _repair_checks(lines, sent)


def table(directory, sent):
    """Rows `(logger, expected, json, otlp-json)` for people."""
    lines, _ = read_json(directory / "records.json")
    requests, _ = read_json(directory / "records.otlp.json")
    otlp = (record for request in requests for record in from_otlp_json(request))
    columns = [_by_logger(counts) for counts in (expected_tally(sent), tally(lines), tally(otlp))]
    for logger in sorted(set().union(*columns)):
        yield logger, *(column[logger] for column in columns)


def metric_checks(metrics, mesh, otlp):
    """The counters agree with what was sent; nothing was refused, shed or failed; the books balance."""

    def total(family, **labels):
        samples = metrics.get(family, [])
        return int(sum(value for have, value in samples if labels.items() <= have.items()))

    wanted = [
        ("logboom_received_records_total", {"source": "mesh"}, mesh),
        ("logboom_received_records_total", {"source": "otlp"}, otlp),
        ("logboom_delivered_records_total", {"sink": "json"}, mesh + otlp),
        ("logboom_delivered_records_total", {"sink": "otlp_json"}, mesh + otlp),
        ("logboom_delivered_records_total", {"sink": "raw"}, mesh),
    ]
    wanted += [(f"logboom_{word}_records_total", {}, 0) for word in ("rejected", "shed", "failed")]
    wanted += [("logboom_ledger_imbalance_records", {}, 0)]
    wrong = [f"{name}{labels}: {total(name, **labels)}, not {value}" for name, labels, value in wanted
             if total(name, **labels) != value]
    yield check("metrics: received and delivered agree, nothing lost", not wrong, wrong)
    repaired = total("logboom_repaired_records_total", source="otlp")
    yield check("metrics: repaired records are counted", repaired > 0, [f"{repaired} repaired"])


def check(name, passed, details=()):
    """A result; of many details the first few are enough to find the cause."""
    details = list(details)
    more = [f"and {len(details) - 5} more"] if len(details) > 5 else []
    return name, passed, [*details[:5], *more]


def _totals(sent, wanted):
    http = sum(times for logger, times in HTTP_LOGGERS.items() if wanted(logger))
    tcp = sum(times for logger, times in TCP_LOGGERS.items() if wanted(logger))
    return http * (len(sent.requests) + sent.nameless), tcp * (len(sent.connections) + sent.refused)


def _by_logger(counts):
    columns = Counter()
    for (logger, _), times in counts.items():
        columns[logger] += times
    return columns


def _handed_over(relay):
    """The lines a collector must keep: all but blank ones, which releases up to 2.10 add."""
    return [line for stream in relay.sent.values() for line in bytes(stream).split(b"\n") if line]


def _raw_check(directory, relay):
    """The raw file holds the lines of all connections, interleaved, each connection in order and
    byte for byte. Blank lines may stay or go: no sender means anything by them."""
    streams = {name: [line for line in bytes(data).split(b"\n") if line] for name, data in relay.sent.items()}
    owner = {line: name for name, lines in streams.items() for line in lines}
    written = {name: [] for name in streams}
    strangers = []
    for line in filter(None, read_lines(directory / "records.raw")):
        written[owner[line]].append(line) if line in owner else strangers.append(f"never sent: {line[:120]!r}")
    for name, lines in streams.items():
        if written[name] != lines:
            strangers.append(f"{name}: {len(written[name])} lines, {len(lines)} sent, or not in order")
    return check("raw: the file is what the relay sent, byte for byte", not strangers, strangers)


def _shape_checks(lines):
    """Bodies and attributes of OTLP records, as Envoy made them."""
    by_logger = {}
    for record in lines:
        by_logger.setdefault(mark(record)[0], []).append(record)
    text = lambda value: isinstance(value, str)  # noqa: E731 - reads better in the table below
    shapes = {
        "otlp-string": text,
        "otlp-old": text,
        "otlp-tcp": text,
        "otlp-multiline": lambda body: text(body) and body.count("\n") == 2,
        "otlp-array": lambda body: len(body) == 3 and body[0] == MESH and all(map(text, body)),
        "otlp-kvlist": lambda body: list(body) == ["mesh", "code", "ua", "id"] and all(map(text, body.values())),
        "otlp-tcp-kvlist": lambda body: list(body) == ["mesh", "received"],
        "otlp-nested": lambda body: list(body["req"]) == ["id", "ua", "flags"]
        and len(body["req"]["flags"]) == 2
        and [type(item) for item in body["durations"]] == [str, list, dict],
    }
    for logger, fits in shapes.items():
        wrong = [f"{record.get('body')!r}"[:200] for record in by_logger.get(logger, []) if not _try(fits, record)]
        passed = not wrong and logger in by_logger
        yield check(f"json: body of {logger}", passed, wrong or ["no such records"])
    absent = by_logger.get("otlp-absent", [])
    wrong = [f"{record['body']!r}"[:200] for record in absent if "body" in record]
    yield check("json: no body where none was sent", bool(absent) and not wrong, wrong)

    otlp = [record for logger, found in by_logger.items() if (logger or "").startswith("otlp") for record in found]
    wrong = [f"{record.get('resource')}" for record in otlp if not _resource_fits(record)]
    yield check("json: resource attributes", bool(otlp) and not wrong, wrong)
    kvlist = by_logger.get("otlp-kvlist", [])
    wrong = [f"{record.get('attributes')}" for record in kvlist if not _typed(record)]
    yield check("json: attributes are typed, what nobody knows is as sent", bool(kvlist) and not wrong, wrong)
    wrong = [f"{record.get('timestamp')} {record.get('observed_timestamp')}" for record in otlp if not _times_fit(record)]
    yield check("json: times of OTLP records", bool(otlp) and not wrong, wrong)
    traced = by_logger.get("otlp-traced", [])
    wrong = [f"{record}"[:200] for record in traced
             if len(record.get("trace_id", "")) != 32 or len(record.get("span_id", "")) != 16]
    yield check("json: trace and span ids", bool(traced) and not wrong, wrong)


def _repair_checks(lines, sent):
    """Bytes that are not UTF-8 arrive as U+FFFD, over OTLP and in unescaped lines alike."""
    bad, good = set(sent.bad_utf8), set(sent.requests) - set(sent.bad_utf8)
    for logger in ("otlp-string", "otlp-kvlist", "otlp-multiline", "http-legacy"):
        repaired = {what for record in lines for name, what in [mark(record)]
                    if name == logger and any("\ufffd" in text for text in _flat(record))}
        yield check(f"json: U+FFFD in {logger}, only where bytes were bad", repaired & (bad | good) == bad,
                    [f"missing {sorted(bad - repaired)[:3]}, needless {sorted(repaired & good)[:3]}"])


def _flat(value):
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _flat(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _flat(inner)]
    return [str(value)]


def _resource_fits(record):
    resource = record.get("resource", {})
    wanted = RESOURCE
    if mark(record)[0] == "otlp-old":
        wanted = {key: value for key, value in RESOURCE.items() if not key.startswith("kuma.")}
    return all(resource.get(key) == value for key, value in wanted.items())


def _typed(record):
    """The status is a number and the start is the time of the record; 0 is no status, `-` no agent."""
    attributes, body = record["attributes"], record["body"]
    wanted = {"missing": "-", "http.response.status_code": int(body["code"]), "user_agent.original": body["ua"]}
    wanted = {key: value for key, value in wanted.items() if key == "missing" or value not in (0, "", "-")}
    known = {key: value for key, value in attributes.items() if key in (*wanted, "start_time", "user_agent.original")}
    return known == wanted and type(known.get("http.response.status_code", 0)) is int


def _times_fit(record):
    try:
        began, seen = (datetime.fromisoformat(record[key]) for key in ("timestamp", "observed_timestamp"))
        return began.utcoffset() is not None and not began.utcoffset() and began <= seen
    except (KeyError, ValueError):
        return False


def _try(fits, record):
    try:
        return fits(record["body"])
    except (KeyError, TypeError, AttributeError):
        return False
