"""Envoy's access-log service (ALS) beside a line of the same request.

Scenario: a listener of each protocol has two loggers: one writes the mesh's line over OTLP, the other
streams entries to the same port with envoy.service.accesslog.v3.
Guarantee: each request and connection arrives once over each way, and what both ways say is
the same, value by value and with the same types; Envoy drops nothing; logboom ends the streams in time.
"""

import json
import time

from bootstrap import TYPES, cluster, http_filter, listener, loopback, otlp_logger, tcp_filter
from checks import check
from formats import HTTP_PLAIN, MESH, SOURCE, TCP_PLAIN, ZONE, resolve, string
from policy_traffic import CONNECTION_BYTES, REQUESTS, drive
from processes import Envoy, Logboom
from records import read_json
from upstream import Echo, Http, refusing_port, serve

ARRIVAL_S = 20.0
GRACE_S = 8.0
LOG_NAME = "als-of-the-mesh"
# What an entry has no field for: only the control plane, or a response header, knows it.
ONLY_IN_LINES = ("kuma.", "logboom.", "envoy.upstream.service_time_ms", "client.address", "source.address")
# Both are durations of the same request, by different clocks.
DURATION = "envoy.duration_ms"


def run(binary, envoy_binary, directory):
    """The whole scenario; returns `(name, passed, details)` of every check."""
    logboom = Logboom(binary, directory, _config(directory))
    envoy, stopped = None, (None, 0.0)
    expected = 2 * (len(REQUESTS) + len(CONNECTION_BYTES))
    try:
        envoy = Envoy(envoy_binary, directory, _bootstrap(logboom.otlp_port))
        drive(envoy.ports["http"], envoy.ports["tcp"])
        _until(lambda: _received(logboom) >= expected)
        lost = envoy.stats("logs_dropped|write_failed")
        # The streams are open, as they are when a pod is replaced.
        stopped = logboom.stop()
    finally:
        if envoy:
            envoy.stop()
        if logboom.process.poll() is None:
            logboom.stop()
    results = [check("als: exit 0 within the grace, streams open", stopped[0] == 0 and stopped[1] <= GRACE_S, [f"{stopped}"])]
    results.append(check("als: envoy reports no loss", not any(lost.values()), [f"{lost}"]))
    records, problems = read_json(directory / "records.json")
    results.append(check("als: every line is a JSON object", not problems, problems))
    results += _pairs(records)
    return results


def _pairs(records):
    streamed = [one for one in records if one.get("resource", {}).get("log_name") == LOG_NAME]
    lines = [one for one in records if one.get("resource", {}).get("log_name") != LOG_NAME]
    counts = f"{len(streamed)} streamed, {len(lines)} lines"
    wanted = len(REQUESTS) + len(CONNECTION_BYTES)
    yield check("als: every request and connection once over each way", len(streamed) == len(lines) == wanted, [counts])
    by_mark = {_mark(one): one for one in streamed}
    wrong, compared = [], 0
    for line in lines:
        entry = by_mark.get(_mark(line))
        if entry is None:
            wrong.append(f"no entry for {_mark(line)}")
            continue
        said = entry.get("attributes", {})
        for key, value in line["attributes"].items():
            if key.startswith(ONLY_IN_LINES):
                continue
            compared += 1
            same = type(said.get(key)) is int if key == DURATION else said.get(key) == value
            if not same:
                wrong.append(f"{_mark(line)} {key}: {said.get(key)!r} streamed, {value!r} in the line")
        for key in ("severity_text", "severity_number"):
            if entry.get(key) != line.get(key):
                wrong.append(f"{_mark(line)} {key}: {entry.get(key)!r} streamed, {line.get(key)!r} in the line")
        if not _same_start(entry.get("timestamp"), line.get("timestamp")):
            wrong.append(f"{_mark(line)}: {entry.get('timestamp')} streamed, {line.get('timestamp')} in the line")
    yield check(f"als: entries say what lines say ({compared} values)", not wrong and compared > 0, wrong)
    resource = {"log_name": LOG_NAME, "zone_name": ZONE, "cluster_name": SOURCE, "node_name": f"{MESH}.dp-{SOURCE}-1"}
    wrong = [f"{one.get('resource')}" for one in streamed if one.get("resource") != resource]
    yield check("als: the resource says which Envoy it was", bool(streamed) and not wrong, wrong)
    extra = {"envoy.downstream_remote_address", "envoy.upstream.cluster"}
    lacking = [f"{one['attributes']}"[:300] for one in streamed if not extra - {"envoy.upstream.cluster"} <= one["attributes"].keys()]
    yield check("als: entries say more than lines", bool(streamed) and not lacking, lacking)


def _mark(record):
    """What a record is about: the id of a request, the bytes of a connection."""
    attributes = record.get("attributes", {})
    return attributes.get("envoy.request_id") or attributes.get("envoy.bytes_received")


def _same_start(one, other):
    """Lines have milliseconds, entries what Envoy measured."""
    return bool(one and other) and one[:23].rstrip("Z0") == other[:23].rstrip("Z0")


def _received(logboom):
    return int(sum(value for _, value in logboom.metrics()["logboom_received_records_total"]))


def _config(directory):
    sink = {"type": "file", "path": str(directory / "records.json"), "encoding": "json"}
    source = {"type": "otlp", "grpc": "127.0.0.1:0"}
    return json.dumps({"sources": {"otlp": source}, "sinks": {"files": sink}, "admin": {"listen": "127.0.0.1:0"}})


def _bootstrap(port):
    _reserved, refused_port = refusing_port()
    clusters = [
        cluster("upstream", serve(Http)), cluster("echo", serve(Echo)), cluster("refused", refused_port),
        cluster("collector", port, http2=True),
    ]
    loggers = {name: [_line(text), _streamed(name)] for name, text in (("http", HTTP_PLAIN), ("tcp", TCP_PLAIN))}
    return {
        "node": {"id": f"{MESH}.dp-{SOURCE}-1", "cluster": SOURCE, "locality": {"zone": ZONE}},
        "admin": {"address": loopback(0)},
        "static_resources": {
            "listeners": [
                listener("http", http_filter(loggers["http"])), listener("tcp", tcp_filter("echo", loggers["tcp"])),
            ],
            "clusters": clusters,
        },
    }


def _line(text):
    return otlp_logger("collector", string(resolve(text, "als")), [], {"kuma.mesh": MESH})


def _streamed(protocol):
    kind = {"http": "HttpGrpcAccessLogConfig", "tcp": "TcpGrpcAccessLogConfig"}[protocol]
    common = {
        "log_name": LOG_NAME,
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "collector"}},
        "buffer_flush_interval": "0.2s",
    }
    config = {"@type": f"{TYPES}.access_loggers.grpc.v3.{kind}", "common_config": common}
    return {"name": f"envoy.access_loggers.{protocol}_grpc", "typed_config": config}


def _until(settled):
    """Polls for at most ARRIVAL_S; the checks that follow say what is missing."""
    deadline = time.monotonic() + ARRIVAL_S
    while not settled() and time.monotonic() < deadline:
        time.sleep(0.1)
