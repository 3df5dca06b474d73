"""From a policy to typed records, with a real Envoy between.

Scenario: for every example policy of the documentation, logboom makes its own configuration with
`from-policy` and runs with it, and Envoy gets the loggers that Kuma makes of the same policy.
Guarantee: every record of every backend arrives, is read, and has just the attributes that its format has
operators for, typed, with the values that Envoy wrote beside it.
"""

import json
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from bootstrap import cluster, file_logger, http_filter, listener, loopback, otlp_logger, tcp_filter
from checks import check
from formats import ADDRESS, HTTP_PLAIN, MESH, SOURCE, TCP_PLAIN, ZONE
from meaning import attributes, operators
from policies import INBOUND, any_value, backends, policy_sets, refused, substitute
from policy_traffic import drive
from processes import Envoy, Logboom
from records import read_json
from relay import Relay
from upstream import Echo, Http, refusing_port, serve

ARRIVAL_S = 20.0
DESTINATION = "backend_kuma-demo_svc_8080"
MICROSECONDS = "START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)"
PROTOCOLS = {"http": HTTP_PLAIN, "tcp": TCP_PLAIN}


class Example:
    """A policy, the logboom that runs from it, and what both make of each other."""

    def __init__(self, binary, directory, name, files):
        import yaml  # comes with Envoy, see install_envoy

        self.name, self.directory = name, directory / name
        self.directory.mkdir()
        documents = [one for path in files for one in yaml.safe_load_all(path.read_text()) if one]
        self.backends = [one for one in backends(documents) if not refused(one)]
        done = subprocess.run([binary, "from-policy", *files], capture_output=True, text=True, timeout=30, check=False)
        self.made, self.said = done.stdout, done.stderr
        self.logboom, self.valid = None, self._valid(binary)
        if self.backends and "sources:" in self.made:
            self.logboom = Logboom(binary, self.directory, self._config())

    def listeners(self, pipe):
        """A listener of each protocol with the loggers of the policy, and one that tells the truth."""
        for protocol, default in PROTOCOLS.items():
            loggers = [self._logger(one, default, pipe) for one in self.backends]
            truth = {operator: f"%{operator}%" for operator in self._operators()}
            loggers.append(file_logger(self._truth(protocol), {"json_format": truth}))
            network_filter = http_filter(loggers) if protocol == "http" else tcp_filter("echo", loggers)
            yield listener(f"{self.name}-{protocol}", network_filter)

    def expected(self):
        """Each record that must arrive, as text to compare: a Counter."""
        wanted = Counter()
        for protocol, default in PROTOCOLS.items():
            truths, problems = read_json(Path(self._truth(protocol)))
            if problems:
                raise ValueError(problems)
            for backend in self.backends:
                values, shape = _values(backend), _shape(backend, default)
                for truth in truths:
                    known = {f"KUMA_{key.removeprefix('KUMA_')}": text for key, text in values.items()}
                    said = {operator: {**truth, **known}[operator] for operator in operators(shape)}
                    start = truth[MICROSECONDS if backend.kind == "otlp" else "START_TIME"]
                    wanted[_text(start, attributes(said))] += 1
        return wanted

    def received(self):
        """How many records logboom has by now."""
        metrics = self.logboom.metrics()
        return int(sum(value for _, value in metrics["logboom_received_records_total"]))

    def checks(self, problems_at_stop):
        """What must hold at the end."""
        records, problems = read_json(self.directory / "records.json")
        problems += problems_at_stop
        problems += [f"not read: {one}"[:300] for one in records if "logboom.parse_error" in one.get("attributes", {})]
        yield check(f"{self.name}: every record is read", not problems, problems)
        wanted, got = self.expected(), Counter(map(_received, records))
        wrong = [f"missing {one} x{count}" for one, count in (wanted - got).items()]
        wrong += [f"not expected {one} x{count}" for one, count in (got - wanted).items()]
        passed = not wrong and sum(wanted.values()) > 0
        yield check(f"{self.name}: every field of every format, typed ({sum(wanted.values())} records)", passed, wrong)

    def _valid(self, binary):
        """Whether logboom takes its own configuration as it is."""
        path = self.directory / "made.yaml"
        path.write_text(self.made)
        done = subprocess.run([binary, "check", "-c", path], capture_output=True, text=True, timeout=30, check=False)
        return done.returncode == 0, done.stderr

    def _config(self):
        """What from-policy made, on free ports, into a file."""
        text, _, _ = self.made.partition("\nsinks:")
        text = re.sub(r"(listen|grpc|http): 127\.0\.0\.1:\d+", r"\1: 127.0.0.1:0", text)
        sink = {"type": "file", "path": str(self.directory / "records.json"), "encoding": "json"}
        return f"{text}\nsinks: {json.dumps({'files': sink})}\nadmin: {{listen: 127.0.0.1:0}}\n"

    def _truth(self, protocol):
        return str(self.directory / f"{protocol}.truth")

    def _operators(self):
        shapes = [_shape(one, default) for one in self.backends for default in PROTOCOLS.values()]
        found = set().union(*map(operators, shapes)) | {"START_TIME", MICROSECONDS}
        return sorted(one for one in found if not one.startswith("KUMA_"))

    def _logger(self, backend, default, pipe):
        values, port = _values(backend), self.logboom.lines_port
        if backend.kind == "otlp":
            body = any_value(backend.body) or {"string_value": default}
            resource = {"kuma.mesh": MESH, "kuma.zone": ZONE, "kuma.workload": f"kri_wl_{MESH}_{ZONE}_demo_{SOURCE}_"}
            pairs = [(one["key"], one["value"]) for one in backend.attributes]
            return otlp_logger(f"{self.name}-otlp", substitute(body, values), pairs, resource)
        message = backend.message or default
        if backend.kind == "legacy":
            line = f"127.0.0.1:{port};{substitute(message, values)}\n"
            return file_logger(pipe, {"text_format_source": {"inline_string": line}})
        message = message + "\n" if isinstance(message, str) else message
        log_format = {"json_format": {"address": f"127.0.0.1:{port}", "message": substitute(message, values)}}
        return file_logger(pipe, log_format | ({"omit_empty_values": True} if backend.omit_empty else {}))


def run(binary, envoy_binary, directory, fixtures):
    """The whole scenario; returns `(name, passed, details)` of every check."""
    started = time.monotonic()
    examples, results, envoy, relay = [], [], None, None
    try:
        for name, files in policy_sets(fixtures):
            example = Example(binary, directory, name, files)
            made = "sources:" in example.made
            results.append(check(f"{name}: sources just where records arrive", made == bool(example.backends), [example.said]))
            if example.logboom:
                examples.append(example)
                valid, said = example.valid
                results.append(check(f"{name}: the configuration is valid as it is", valid, [said]))
        if not examples:
            return [*results, check("policies: some send records", False, [f"none in {fixtures}"])]
        pipe = str(directory / "pipe")
        relay = Relay(pipe, set())
        relay.start()
        envoy = Envoy(envoy_binary, directory, _bootstrap(examples, pipe))
        for example in examples:
            drive(envoy.ports[f"{example.name}-http"], envoy.ports[f"{example.name}-tcp"])
        _until(lambda: all(one.received() >= sum(one.expected().values()) > 0 for one in examples))
        stopped = {one.name: one.logboom.stop() for one in examples}
    finally:
        for process in (relay, envoy):
            if process:
                process.stop()
        for example in examples:
            if example.logboom.process.poll() is None:
                example.logboom.stop()
    for example in examples:
        code, _ = stopped[example.name]
        results += example.checks([f"exit {code}"] if code else [])
    results.append(check("policies: the relay handed everything over", not relay.dropped, relay.dropped))
    print(f"{len(examples)} policies with records of {len(results)} checks, {time.monotonic() - started:.1f} s")
    return results


def _bootstrap(examples, pipe):
    _reserved, refused_port = refusing_port()
    clusters = [cluster("upstream", serve(Http)), cluster("echo", serve(Echo)), cluster("refused", refused_port)]
    clusters += [cluster(f"{one.name}-otlp", one.logboom.otlp_port, http2=True) for one in examples if one.logboom.otlp_port]
    return {
        "node": {"id": f"{MESH}.dp-{SOURCE}-1", "cluster": SOURCE, "locality": {"zone": ZONE}},
        "admin": {"address": loopback(0)},
        "static_resources": {"listeners": [one for example in examples for one in example.listeners(pipe)], "clusters": clusters},
    }


def _values(backend):
    """What Kuma puts in place of its operators. Inbound it does not know the source."""
    return {
        "KUMA_SOURCE_ADDRESS_WITHOUT_PORT": ADDRESS,
        "KUMA_SOURCE_SERVICE": "unknown" if backend.direction == INBOUND else SOURCE,
        "KUMA_DESTINATION_SERVICE": DESTINATION,
        "KUMA_MESH": MESH,
        "KUMA_TRAFFIC_DIRECTION": backend.direction,
    }


def _shape(backend, default):
    """All that a backend is sent, of which the operators matter."""
    if backend.kind == "otlp":
        return [any_value(backend.body) or default, backend.attributes]
    return backend.message or default


def _received(record):
    said = {key: value for key, value in record.get("attributes", {}).items() if not key.startswith(("network.peer.", "logboom."))}
    return _text(record.get("timestamp"), said)


def _text(start, said):
    """A time with the zeros that say nothing left out, and attributes in no order."""
    whole, _, fraction = (start or "").rstrip("Z").partition(".")
    return json.dumps([whole, fraction.rstrip("0"), said], sort_keys=True)


def _until(settled):
    """Polls for at most ARRIVAL_S; the checks that follow say what is missing."""
    deadline = time.monotonic() + ARRIVAL_S
    while not settled() and time.monotonic() < deadline:
        time.sleep(0.2)
