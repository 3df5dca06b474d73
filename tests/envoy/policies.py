"""Mesh policies as Kuma reads them: which backends they name, and what each is sent.

Only what the examples of the documentation use. Independent of `logboom from-policy`, which is
judged by it.
"""

import json
from dataclasses import dataclass, field

INBOUND, OUTBOUND = "INBOUND", "OUTBOUND"
# What Envoy accepts in a body; a policy with anything else never takes effect.
BODY_KINDS = {"stringValue", "arrayValue", "kvlistValue"}


@dataclass
class Backend:
    """One backend of one rule. `kind`: tcp, legacy (of a Mesh) or otlp. `message` is the plain text,
    the JSON keys and values, or None for the default format."""

    kind: str
    address: str
    direction: str
    message: object = None
    omit_empty: bool = False
    body: object = None
    attributes: list = field(default_factory=list)


def policy_sets(directory):
    """`(name, files)`: a MeshAccessLog alone; a Mesh with all TrafficLogs of the same page."""
    for path in sorted(directory.glob("accesslog-*.yaml")):
        yield path.stem, [path]
    for mesh in sorted(directory.glob("trafficlog-mesh-*.yaml")):
        kind = mesh.stem.removeprefix("trafficlog-mesh-")
        yield mesh.stem, [mesh, *sorted(directory.glob(f"trafficlog-log-{kind}*.yaml"))]


def backends(documents):
    """All backends that something is sent to over the network, as a control plane finds them."""
    found, meshes, used = [], {}, set()
    for document in documents:
        kind = document.get("kind") or document.get("type")
        spec = document.get("spec") or document
        if kind == "MeshAccessLog":
            for section, direction in (("from", INBOUND), ("rules", INBOUND), ("to", OUTBOUND)):
                for rule in spec.get(section) or []:
                    found += filter(None, (_backend(one, direction) for one in rule["default"]["backends"]))
        elif kind == "Mesh":
            meshes = {one["name"]: one for one in spec["logging"]["backends"]}
            default = spec["logging"].get("defaultBackend")
        elif kind == "TrafficLog":
            used.add((spec.get("conf") or {}).get("backend"))
    for name in sorted(used, key=str):
        one = meshes[name or default]
        if one["type"] == "tcp":
            found.append(Backend("legacy", one["conf"]["address"], OUTBOUND, one.get("format")))
    return found


def refused(backend):
    """True when Envoy refuses the logger."""
    return backend.kind == "otlp" and not BODY_KINDS >= _kinds(backend.body).keys()


def substitute(value, values):
    """Puts literal text in place of Kuma's operators, at any depth."""
    if isinstance(value, dict):
        return {key: substitute(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute(inner, values) for inner in value]
    if isinstance(value, str):
        for operator, text in values.items():
            value = value.replace(f"%{operator}%", text)
    return value


def any_value(body):
    """A body of a policy as Envoy takes it; None for the default text, also where nothing in the
    body is an AnyValue: the control plane fills it over the default and ignores what it does not know."""
    match list(_kinds(body).items()):
        case [("stringValue", text)]:
            return {"string_value": text}
        case [("arrayValue", array)]:
            return {"array_value": {"values": [any_value(one) for one in array["values"]]}}
        case [("kvlistValue", pairs)]:
            values = [{"key": one["key"], "value": any_value(one["value"])} for one in pairs["values"]]
            return {"kvlist_value": {"values": values}}
    return None


def _kinds(body):
    return {kind: inner for kind, inner in (body or {}).items() if kind.endswith("Value") and inner is not None}


def _backend(one, direction):
    if tcp := one.get("tcp"):
        spelled = tcp.get("format") or {}
        pairs = {pair["key"]: pair["value"] for pair in spelled.get("json") or []}
        message = pairs or spelled.get("plain")
        return Backend("tcp", tcp["address"], direction, message, bool(spelled.get("omitEmptyValues")))
    if otel := one.get("openTelemetry"):
        body = otel.get("body")
        if isinstance(body, str):
            body = {"stringValue": json.dumps(body)}
        return Backend("otlp", otel["endpoint"], direction, None, False, body, otel.get("attributes") or [])
    return None
