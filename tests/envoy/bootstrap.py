"""Envoy's bootstrap configuration: listeners and access loggers as a mesh control plane makes them."""

from formats import (
    ARRAY, ATTRIBUTES, ATTRIBUTES_WITH_ID, CUSTOM_PLAIN, HTTP_JSON, HTTP_PLAIN, KVLIST, MESH, MULTILINE, NESTED,
    SOURCE, TCP_JSON, TCP_KVLIST, TCP_PLAIN, TRAFFICLOG_JSON, ZONE, resolve, string,
)

TYPES = "type.googleapis.com/envoy.extensions"

# How many records each logger writes for one request or connection.
HTTP_LOGGERS = {
    "http-plain": 1, "http-json": 1, "http-custom": 1, "http-old": 1, "http-legacy": 1, "http-template": 1,
    "otlp-string": 1, "otlp-kvlist": 1, "otlp-array": 1, "otlp-nested": 1, "otlp-absent": 1, "otlp-multiline": 1,
    "otlp-old": 1, "otlp-twice": 2,
}
TRACED_LOGGERS = {"otlp-traced": 1}
TCP_LOGGERS = {"tcp-plain": 1, "tcp-json": 1, "tcp-legacy": 1, "otlp-tcp": 1, "otlp-tcp-kvlist": 1}
# Records that carry neither an id nor the name of their logger: the lines `null` and `tcp`.
HTTP_NAMELESS, TCP_NAMELESS = 1, 1


def bootstrap(pipe, current, older, otlp_port, http_port, echo_port, refused_port):
    """The whole configuration, as a dict.

    `current` and `older` are the addresses of the collector as two policies write them; the
    relay keeps one connection for each. Every listener takes a free port on loopback.
    """
    http = _http_loggers(pipe, current, older)
    tcp = _tcp_loggers(pipe, current, older)
    traced = [_otlp("otlp-traced", string(HTTP_PLAIN), ATTRIBUTES)]
    return {
        "node": {"id": f"{MESH}.dp-{SOURCE}-1", "cluster": SOURCE, "locality": {"zone": ZONE}},
        "admin": {"address": loopback(0)},
        "static_resources": {
            "listeners": [
                listener("http", http_filter(http)),
                listener("http-traced", http_filter(traced, tracing=True)),
                listener("tcp-echo", tcp_filter("echo", tcp)),
                listener("tcp-refused", tcp_filter("refused", tcp)),
            ],
            "clusters": [
                cluster("upstream", http_port), cluster("echo", echo_port), cluster("refused", refused_port),
                cluster("collector", otlp_port, http2=True), cluster("no-spans", refused_port, http2=True),
            ],
        },
    }


def _http_loggers(pipe, current, older):
    return [
        _file(pipe, current, "http-plain", HTTP_PLAIN),
        _file(pipe, current, "http-json", HTTP_JSON),
        _file(pipe, current, "http-custom", CUSTOM_PLAIN),
        # Every key absent: Envoy leaves the message out and the relay writes the line `null`.
        _file(pipe, current, "http-null", {"only": "%REQ(X-NOT-THERE)%"}, omit_empty=True),
        _file(pipe, older, "http-old", HTTP_PLAIN),
        _legacy(pipe, older, "http-legacy", HTTP_PLAIN),
        _legacy(pipe, older, "http-template", TRAFFICLOG_JSON),
        _otlp("otlp-string", string(HTTP_PLAIN), []),
        _otlp("otlp-kvlist", KVLIST, ATTRIBUTES),
        _otlp("otlp-array", ARRAY, ATTRIBUTES),
        _otlp("otlp-nested", NESTED, ATTRIBUTES),
        _otlp("otlp-absent", None, ATTRIBUTES_WITH_ID),
        _otlp("otlp-multiline", MULTILINE, ATTRIBUTES),
        _otlp("otlp-old", string(HTTP_PLAIN), ATTRIBUTES[:1], older_shape=True),
        # Two rules that match the same request: the same record twice is right.
        _otlp("otlp-twice", string(HTTP_PLAIN), ATTRIBUTES),
        _otlp("otlp-twice", KVLIST, ATTRIBUTES),
    ]


def _tcp_loggers(pipe, current, older):
    return [
        _file(pipe, current, "tcp-plain", TCP_PLAIN),
        _file(pipe, current, "tcp-json", TCP_JSON),
        # Transparent passthrough gets the name of the protocol as its format.
        _file(pipe, current, "tcp-passthrough", "tcp"),
        _legacy(pipe, older, "tcp-legacy", TCP_PLAIN),
        _otlp("otlp-tcp", string(TCP_PLAIN), ATTRIBUTES[:1]),
        _otlp("otlp-tcp-kvlist", TCP_KVLIST, []),
    ]


def _file(pipe, address, logger, message, omit_empty=False):
    """A MeshAccessLog of type Tcp: a JSON envelope for the relay."""
    if isinstance(message, str):
        message += "\n"
    log_format = {"json_format": {"address": address, "message": resolve(message, logger)}}
    if omit_empty:
        log_format["omit_empty_values"] = True
    return file_logger(pipe, log_format)


def _legacy(pipe, address, logger, text):
    """A TrafficLog: the address, a semicolon, and text that is escaped by nobody."""
    line = f"{address};{resolve(text, logger)}\n"
    return file_logger(pipe, {"text_format_source": {"inline_string": line}})


def file_logger(pipe, log_format):
    kind = f"{TYPES}.access_loggers.file.v3.FileAccessLog"
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {"@type": kind, "path": pipe, "log_format": log_format},
    }


def _otlp(logger, body, attributes, older_shape=False):
    """A MeshAccessLog of type OpenTelemetry; `older_shape` is what releases up to 2.13 send."""
    resource = {"kuma.mesh": MESH, "kuma.zone": ZONE, "kuma.workload": f"kri_wl_{MESH}_{ZONE}_demo_to-{logger}_"}
    body = None if body is None else resolve(body, logger)
    return otlp_logger("collector", body, attributes, None if older_shape else resource)


def otlp_logger(cluster, body, attributes, resource):
    """Without `resource` attributes it is what releases up to 2.13 send."""
    config = {"@type": f"{TYPES}.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"}
    service = {"envoy_grpc": {"cluster_name": cluster}}
    if resource is None:
        common = {"log_name": "MeshAccessLog", "transport_api_version": "V3", "grpc_service": service}
        config["common_config"] = common
    else:
        config |= {"log_name": "MeshAccessLog", "grpc_service": service}
        config["resource_attributes"] = _attributes(resource.items())
    if body is not None:
        config["body"] = body
    config["attributes"] = _attributes(attributes)
    return {"name": "envoy.access_loggers.open_telemetry", "typed_config": config}


def _attributes(pairs):
    return {"values": [{"key": key, "value": string(text)} for key, text in pairs]}


def http_filter(loggers, tracing=False):
    def route(prefix, cluster, **options):
        return {"match": {"prefix": prefix}, "route": {"cluster": cluster, **options}}

    routes = [
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 418, "body": {"inline_string": 'a\n"b"\n'}}},
        route("/refused", "refused"),
        route("/timeout", "upstream", timeout="0.1s"),
        *(route(prefix, "upstream") for prefix in ("/ok", "/status", "/slow", "/reset", "/close", "/garbage")),
    ]
    config = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "generate_request_id": True,
        # A forged x-forwarded-for makes a request external, which costs it its id otherwise.
        "preserve_external_request_id": True,
        "normalize_path": True,
        "max_request_headers_kb": 96,
        "http_protocol_options": {"accept_http_10": True},
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}},
        ],
        "access_log": loggers,
    }
    if tracing:
        tracer = {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "service_name": SOURCE,
            "grpc_service": {"envoy_grpc": {"cluster_name": "no-spans"}},
        }
        provider = {"name": "envoy.tracers.opentelemetry", "typed_config": tracer}
        config["tracing"] = {"random_sampling": {"value": 100}, "provider": provider}
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def tcp_filter(cluster, loggers):
    kind = f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy"
    config = {"@type": kind, "stat_prefix": cluster, "cluster": cluster, "access_log": loggers}
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def listener(name, network_filter):
    return {"name": name, "address": loopback(0), "filter_chains": [{"filters": [network_filter]}]}


def cluster(name, port, http2=False):
    endpoint = {"endpoint": {"address": loopback(port)}}
    cluster = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if http2:
        options = {
            "@type": f"{TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        cluster["typed_extension_protocol_options"] = {f"{TYPES.split('/')[1]}.upstreams.http.v3.HttpProtocolOptions": options}
    return cluster


def loopback(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
