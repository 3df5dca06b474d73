"""From values of operators, as Envoy itself writes them beside the log under test, to the
attributes that logboom promises for them."""

import ipaddress
import re

OPERATOR = re.compile(r"%([A-Z_]+(?:\([^)]*\))?(?::\d+)?)%")

# Attributes that are the value itself, as text or as number.
DIRECT = {
    "REQ(:METHOD)": "http.request.method",
    "REQ(USER-AGENT)": "user_agent.original",
    "REQ(X-REQUEST-ID)": "envoy.request_id",
    "DURATION": "envoy.duration_ms",
    "KUMA_MESH": "kuma.mesh",
    "KUMA_DESTINATION_SERVICE": "kuma.destination.service",
}
METHOD, PROTOCOL, STATUS = "REQ(:METHOD)", "PROTOCOL", "RESPONSE_CODE"
PATH = "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)"


def operators(value):
    """All operators in a format, in any of its shapes."""
    if isinstance(value, str):
        return set(OPERATOR.findall(value))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return set().union(*map(operators, inner))


def attributes(said):
    """The attributes of a record whose format has these operators with these values."""
    said = {operator: value for operator, value in said.items() if value not in (None, "", "-")}
    http = bool(said.keys() & {METHOD, PROTOCOL, PATH}) or said.get(STATUS, 0) > 0
    out = {name: said[operator] for operator, name in DIRECT.items() if operator in said}
    if PATH in said:
        out["url.path"], question, query = said[PATH].partition("?")
        if query:
            out["url.query"] = query
    if PROTOCOL in said:
        out["network.protocol.name"], out["network.protocol.version"] = said[PROTOCOL].lower().split("/")
    if STATUS in said and http:
        out["http.response.status_code"] = said[STATUS]
    for operator, over_http, over_tcp in (
        ("BYTES_RECEIVED", "http.request.body.size", "envoy.bytes_received"),
        ("BYTES_SENT", "http.response.body.size", "envoy.bytes_sent"),
    ):
        if operator in said:
            out[over_http if http else over_tcp] = said[operator]
    if "RESPONSE_FLAGS" in said:
        out["envoy.response_flags"] = said["RESPONSE_FLAGS"].split(",")
    if "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)" in said:
        out["envoy.upstream.service_time_ms"] = int(said["RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)"])
    if forwarded := said.get("REQ(X-FORWARDED-FOR)"):
        out["http.request.header.x-forwarded-for"] = [forwarded]
        first = forwarded.split(",")[0].strip()
        if _is_address(first):
            out["client.address"] = first
    for operator, name in (("REQ(:AUTHORITY)", "server"), ("UPSTREAM_HOST", "envoy.upstream")):
        if operator in said:
            host, colon, port = said[operator].rpartition(":")
            out[f"{name}.address"] = host.strip("[]") if colon else port
            if colon:
                out[f"{name}.port"] = int(port)
    if said.get("KUMA_SOURCE_SERVICE", "unknown") != "unknown":
        out["kuma.source.service"] = said["KUMA_SOURCE_SERVICE"]
    if "KUMA_SOURCE_ADDRESS_WITHOUT_PORT" in said and said.get("KUMA_SOURCE_SERVICE") != "unknown":
        out["kuma.source.address"] = said["KUMA_SOURCE_ADDRESS_WITHOUT_PORT"]
    return out


def _is_address(text):
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False
