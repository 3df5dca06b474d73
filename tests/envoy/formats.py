"""The access log formats a mesh control plane hands to Envoy, and how it hands them over.

Kuma replaces its own operators by literal text before Envoy sees a format. The destination
service is the one free text that every default format prints, so it carries the name of the
logger here (`to-http-plain`): a record found in a file tells which logger wrote it.
"""

MESH, ZONE, SOURCE, ADDRESS = "default", "zone-1", "web", "10.42.0.7"

HTTP_PLAIN = (
    '[%START_TIME%] %KUMA_MESH% "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%" "%REQ(X-REQUEST-ID)%" '
    '"%REQ(:AUTHORITY)%" "%KUMA_SOURCE_SERVICE%" "%KUMA_DESTINATION_SERVICE%" "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%" '
    '"%UPSTREAM_HOST%"'
)
TCP_PLAIN = (
    "[%START_TIME%] %RESPONSE_FLAGS% %KUMA_MESH% %KUMA_SOURCE_ADDRESS_WITHOUT_PORT%(%KUMA_SOURCE_SERVICE%)->"
    "%UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) took %DURATION%ms, sent %BYTES_SENT% bytes, "
    "received: %BYTES_RECEIVED% bytes"
)
# The defaults of the documentation page, odd quotes included.
HTTP_JSON = {
    "start_time": "%START_TIME%",
    "kuma_mesh": "%KUMA_MESH%",
    "method": '"%REQ(:METHOD)%',
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": '"%REQ(X-FORWARDED-FOR)%"',
    "user_agent": '"%REQ(USER-AGENT)%"',
    "request_id": '"%REQ(X-REQUEST-ID)%"',
    "authority": '"%REQ(:AUTHORITY)%"',
    "kuma_source_service": "%KUMA_SOURCE_SERVICE%",
    "kuma_destination_service": "%KUMA_DESTINATION_SERVICE%",
    "kuma_source_address_without_port": "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%",
    "upstream_host": "%UPSTREAM_HOST%",
}
TCP_JSON = {
    "start_time": "%START_TIME%",
    "response_flags": "%RESPONSE_FLAGS%",
    "kuma_mesh": "%KUMA_MESH%",
    "kuma_source_service": "%KUMA_SOURCE_SERVICE%",
    "kuma_destination_service": "%KUMA_DESTINATION_SERVICE%",
    "upstream_host": "%UPSTREAM_HOST%",
    "duration_ms": "%DURATION%",
    "bytes_sent": "%BYTES_SENT%",
    "bytes_received": "%BYTES_RECEIVED%",
}
# A TrafficLog template: JSON-looking text that nobody escapes.
TRAFFICLOG_JSON = (
    '{"start_time": "%START_TIME%", "source": "%KUMA_SOURCE_SERVICE%", "destination": "%KUMA_DESTINATION_SERVICE%", '
    '"user_agent": "%REQ(USER-AGENT)%", "request_id": "%REQ(X-REQUEST-ID)%", "bytes_sent": "%BYTES_SENT%"}'
)
# QUERY_PARAM decodes %0A, so a client chooses where this record breaks.
CUSTOM_PLAIN = "%REQ(X-REQUEST-ID)%|%KUMA_DESTINATION_SERVICE%|%REQ(USER-AGENT):20%|%QUERY_PARAM(q)%"


def resolve(value, logger):
    """Replaces the mesh's operators in a format, at any depth, as the control plane does."""
    if isinstance(value, dict):
        return {key: resolve(inner, logger) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, logger) for inner in value]
    for operator, text in (
        ("%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%", ADDRESS),
        ("%KUMA_SOURCE_SERVICE%", SOURCE),
        ("%KUMA_DESTINATION_SERVICE%", f"to-{logger}"),
        ("%KUMA_MESH%", MESH),
    ):
        value = value.replace(operator, text)
    return value


def string(text):
    return {"string_value": text}


def array(*values):
    return {"array_value": {"values": list(values)}}


def kvlist(**values):
    return {"kvlist_value": {"values": [{"key": key, "value": value} for key, value in values.items()]}}


KVLIST = kvlist(
    mesh=string("%KUMA_MESH%"),
    code=string("%RESPONSE_CODE%"),
    ua=string("%REQ(USER-AGENT)%"),
    id=string("%REQ(X-REQUEST-ID)%"),
)
TCP_KVLIST = kvlist(mesh=string("%KUMA_MESH%"), received=string("received: %BYTES_RECEIVED% bytes"))
ARRAY = array(string("%KUMA_MESH%"), string("%REQ(X-REQUEST-ID)%"), string("%RESPONSE_CODE%"))
NESTED = kvlist(
    mesh=string("%KUMA_MESH%"),
    req=kvlist(
        id=string("%REQ(X-REQUEST-ID)%"),
        ua=string("%REQ(USER-AGENT)%"),
        flags=array(string("%RESPONSE_FLAGS%"), string("%RESPONSE_FLAGS_LONG%")),
    ),
    durations=array(
        string("%DURATION%"),
        array(string("%REQUEST_DURATION%"), string("%RESPONSE_DURATION%")),
        kvlist(tx=string("%RESPONSE_TX_DURATION%")),
    ),
)
MULTILINE = string("id=%REQ(X-REQUEST-ID)%\nua=%REQ(USER-AGENT)%\npath=%REQ(:PATH)%")
ATTRIBUTES = [
    ("start_time", "%START_TIME%"),
    ("http.response.status_code", "%RESPONSE_CODE%"),
    ("user_agent.original", "%REQ(USER-AGENT)%"),
    ("missing", "%REQ(X-NOT-THERE)%"),
]
# Without a body only the attributes can carry the id.
ATTRIBUTES_WITH_ID = [*ATTRIBUTES, ("id", "%REQ(X-REQUEST-ID)%")]
