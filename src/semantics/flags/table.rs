//! The table itself. Advice names Kuma's policies, and the attributes of the record that tell more.

use super::{Blame, Flag};

/// All response flags of Envoy 1.40; what the upstream is to blame for comes first.
pub static FLAGS: &[Flag] = &[
    Flag {
        short: "UH",
        long: "NoHealthyUpstream",
        blame: Blame::Upstream,
        meaning: "No endpoint of the destination could take the request.",
        causes: &[
            "the destination has no endpoints, or no pod of it is ready",
            "MeshHealthCheck or MeshCircuitBreaker outlier detection ejected all of them",
            "a locality or subset rule left none: MeshLoadBalancingStrategy, tags of a route",
        ],
        check: &[
            "are data planes of the destination online in the mesh and, across zones, is its zone ingress",
            "what the endpoints look like in the proxy's /clusters: health_flags, and the counter membership_healthy",
            "whether MeshHealthCheck and MeshCircuitBreaker thresholds fit the service",
        ],
    },
    Flag {
        short: "UF",
        long: "UpstreamConnectionFailure",
        blame: Blame::Upstream,
        meaning: "The proxy could not connect to the upstream.",
        causes: &[
            "nothing listens on that address and port, or the pod is gone and its endpoint not yet removed",
            "mTLS handshake failed: expired or foreign certificate, one side outside the mesh",
            "a network policy or firewall drops the connection: MeshTimeout connectionTimeout passes",
        ],
        check: &[
            "envoy.upstream.failure_reason of the record: it names the TLS or socket error",
            "is the application listening on the port of its inbound, not on another address",
            "are both data planes of the same mesh with the same mTLS backend and fresh certificates",
            "MeshTimeout connectionTimeout, and network policies between the two",
        ],
    },
    Flag {
        short: "UC",
        long: "UpstreamConnectionTermination",
        blame: Blame::Upstream,
        meaning: "The upstream closed the connection before its response was complete.",
        causes: &[
            "the application crashed or was restarted while it answered",
            "its keep-alive is shorter than the idle timeout: a pooled connection died under a request",
            "a MeshTrafficPermission of the destination denies a TCP connection by closing it",
        ],
        check: &[
            "restarts and memory kills of the destination at that time",
            "keep-alive timeout of the application: longer than idleTimeout of MeshTimeout",
            "MeshRetry with retryOn Reset or ConnectFailure, for requests that may be repeated",
        ],
    },
    Flag {
        short: "UT",
        long: "UpstreamRequestTimeout",
        blame: Blame::Upstream,
        meaning: "The upstream did not answer within the request timeout; the proxy answered 504.",
        causes: &[
            "the service, or what it waits for, is slow",
            "requestTimeout of MeshTimeout (15s by default) is shorter than this route needs",
        ],
        check: &[
            "how envoy.duration_ms compares to requestTimeout of MeshTimeout, on both sides of the call",
            "latency of the destination and of its own dependencies",
            "perTryTimeout of MeshRetry: it ends a try earlier",
        ],
    },
    Flag {
        short: "UO",
        long: "UpstreamOverflow",
        blame: Blame::Upstream,
        meaning: "A circuit breaker was open: too many connections, pending requests, requests or retries.",
        causes: &[
            "more load than the thresholds of MeshCircuitBreaker connectionLimits (1024 by default)",
            "a slow upstream, so that requests pile up",
        ],
        check: &[
            "MeshCircuitBreaker connectionLimits: maxConnections, maxPendingRequests, maxRequests, maxRetries",
            "latency of the destination before raising any limit",
            "the proxy's counters upstream_rq_pending_overflow and upstream_cx_overflow of that cluster",
        ],
    },
    Flag {
        short: "UR",
        long: "UpstreamRemoteReset",
        blame: Blame::Upstream,
        meaning: "The upstream reset the stream or connection.",
        causes: &[
            "the application aborted the response: error, timeout, or overload",
            "an HTTP/2 upstream refused the stream: GOAWAY or REFUSED_STREAM while it shut down",
        ],
        check: &[
            "log of the destination at that time",
            "does it drain before it stops: preStop hook, grace period",
            "MeshRetry with retryOn Reset or RefusedStream, for requests that may be repeated",
        ],
    },
    Flag {
        short: "URX",
        long: "UpstreamRetryLimitExceeded",
        blame: Blame::Upstream,
        meaning: "All retries, or all attempts to connect, were used up; the last one failed too.",
        causes: &["whatever the flag beside it says: UF, UH, UC or UT is the cause"],
        check: &[
            "the other flags and envoy.response_code_details of this record first",
            "numRetries of MeshRetry, and maxConnectAttempt for TCP",
            "do retries from several hops multiply",
        ],
    },
    Flag {
        short: "UPE",
        long: "UpstreamProtocolError",
        blame: Blame::Upstream,
        meaning: "The upstream sent what is not valid HTTP, perhaps after a good response code.",
        causes: &[
            "the port speaks another protocol than its protocol tag or appProtocol says",
            "a body longer or shorter than its content-length, broken chunks, invalid headers",
        ],
        check: &[
            "protocol of the inbound or appProtocol of the service port: http, http2, grpc, or tcp",
            "envoy.response_code_details of the record",
            "the application's response headers, with curl -v inside its pod",
        ],
    },
    Flag {
        short: "UMSDR",
        long: "UpstreamMaxStreamDurationReached",
        blame: Blame::Upstream,
        meaning: "The request was open longer than a stream may be.",
        causes: &[
            "a long-lived stream under maxStreamDuration of MeshTimeout",
            "an upstream that never ends its response",
        ],
        check: &["maxStreamDuration of MeshTimeout for this route: 0s, without limit, for streams"],
    },
    Flag {
        short: "LR",
        long: "LocalReset",
        blame: Blame::Proxy,
        meaning: "The proxy itself reset the stream to the upstream.",
        causes: &[
            "the proxy found the upstream's answer unusable, or its buffers were over their limit",
            "a timeout or a shutdown of the proxy ended the stream",
        ],
        check: &["envoy.response_code_details of the record", "did this data plane restart or drain at that time"],
    },
    Flag {
        short: "LH",
        long: "FailedLocalHealthCheck",
        blame: Blame::Upstream,
        meaning: "The local service fails the health checks the proxy answers for it.",
        causes: &[
            "the health check filter found its own cluster unhealthy",
            "the proxy was told to fail health checks, as before a shutdown",
        ],
        check: &["health of the application beside this proxy", "is the data plane draining"],
    },
    Flag {
        short: "DF",
        long: "DnsResolutionFailed",
        blame: Blame::Upstream,
        meaning: "The name of the upstream could not be resolved.",
        causes: &[
            "a wrong host name in a MeshExternalService, or a name that exists only elsewhere",
            "the DNS server does not answer the proxy",
        ],
        check: &[
            "resolve the name from inside the pod, where the proxy runs",
            "endpoints of the MeshExternalService",
            "is DNS itself caught by the transparent proxy",
        ],
    },
    Flag {
        short: "NC",
        long: "NoClusterFound",
        blame: Blame::Proxy,
        meaning: "The route leads to an upstream cluster that the proxy does not have.",
        causes: &[
            "a route names a service that does not exist, or not in this mesh or zone",
            "the control plane was between two configurations, or unreachable",
        ],
        check: &[
            "backendRefs of the MeshHTTPRoute or MeshTCPRoute: names, ports, mesh",
            "did the control plane refuse or the proxy reject its last configuration",
            "kumactl inspect dataplane --type=clusters",
        ],
    },
    Flag {
        short: "NFCF",
        long: "NoFilterConfigFound",
        blame: Blame::Proxy,
        meaning: "A filter's configuration did not arrive in time, so the request was refused.",
        causes: &["a filter that is configured by discovery and whose configuration is missing or was rejected"],
        check: &[
            "the proxy's log for rejected configuration",
            "patches of MeshProxyPatch that add filters",
            "connection of the data plane to the control plane",
        ],
    },
    Flag {
        short: "OM",
        long: "OverloadManagerTerminated",
        blame: Blame::Proxy,
        meaning: "The overload manager ended the request: the proxy is short of resources.",
        causes: &[
            "memory of the sidecar near its limit, or connections over the global limit",
            "too many or too large requests at once",
        ],
        check: &[
            "memory limit and use of the sidecar container",
            "the proxy's overload.* counters",
            "do clients hold more connections than needed",
        ],
    },
    Flag {
        short: "NR",
        long: "NoRouteFound",
        blame: Blame::Policy,
        meaning: "No route matches the request, or no filter chain the connection.",
        causes: &[
            "a host or path that no MeshHTTPRoute or gateway route matches: often a scanner or a typing error",
            "a client outside the mesh on a port with strict mTLS",
            "a service that is not reachable from this data plane: reachable services or backends",
        ],
        check: &[
            "server.address and url.path of the record against the hostnames and matches of the routes",
            "reachable services of the data plane that sent it",
            "mode of mTLS: PERMISSIVE while clients still move into the mesh",
        ],
    },
    Flag {
        short: "RL",
        long: "RateLimited",
        blame: Blame::Policy,
        meaning: "A rate limit refused the request, with 429.",
        causes: &[
            "one client sends more than it may",
            "the limit is counted per proxy, not per service: few replicas, or one that gets most",
        ],
        check: &[
            "MeshRateLimit of the destination: num, interval",
            "which kuma.source.service or client.address sends them",
        ],
    },
    Flag {
        short: "UAEX",
        long: "UnauthorizedExternalService",
        blame: Blame::Policy,
        meaning: "The external authorization service denied the request.",
        causes: &[
            "missing or expired credentials of the client",
            "the authorization service refused, or failed and is set to deny then",
        ],
        check: &[
            "log of the authorization service for this envoy.request_id",
            "who configures it: MeshProxyPatch, OPA or the gateway",
        ],
    },
    Flag {
        short: "RLSE",
        long: "RateLimitServiceError",
        blame: Blame::Policy,
        meaning: "The rate limit service did not answer; the request was let through, or answered 500.",
        causes: &["the rate limit service is down, slow, or not reachable from this proxy"],
        check: &[
            "the service's health and its timeout in the proxy",
            "failure_mode_deny: whether requests pass without it",
        ],
    },
    Flag {
        short: "DO",
        long: "DropOverload",
        blame: Blame::Policy,
        meaning: "Dropped by the load-shedding share that the control plane set for this upstream.",
        causes: &["drop_overload in the endpoints' policy is above zero"],
        check: &["who set it: load-shedding settings of the control plane", "load of the upstream"],
    },
    Flag {
        short: "UDO",
        long: "UnconditionalDropOverload",
        blame: Blame::Policy,
        meaning: "Dropped: load shedding for this upstream stands at 100 percent.",
        causes: &["drop_overload in the endpoints' policy takes everything"],
        check: &["who set it: load-shedding settings of the control plane"],
    },
    Flag {
        short: "SI",
        long: "StreamIdleTimeout",
        blame: Blame::Client,
        meaning: "Nothing moved on the stream for too long, so the proxy ended it.",
        causes: &[
            "a client that does not send the rest of its request, or does not read the response",
            "a long poll, server-sent events or gRPC stream that is silent longer than streamIdleTimeout",
        ],
        check: &[
            "streamIdleTimeout of MeshTimeout, on both sides (30m by default, 1h inbound)",
            "do long streams send a ping: gRPC keepalive, comments in server-sent events",
        ],
    },
    Flag {
        short: "DT",
        long: "DurationTimeout",
        blame: Blame::Policy,
        meaning: "The connection was open as long as one may be, and was closed.",
        causes: &["a maximum connection duration is set for downstream connections"],
        check: &[
            "who sets it: maxConnectionDuration of MeshTimeout, MeshProxyPatch or the gateway",
            "does the client connect again by itself",
        ],
    },
    Flag {
        short: "DC",
        long: "DownstreamConnectionTermination",
        blame: Blame::Client,
        meaning: "The client closed the connection before the response was complete.",
        causes: &[
            "the client's own timeout is shorter than the response takes",
            "a user closed the page, a mobile network broke, a client pod stopped",
        ],
        check: &[
            "envoy.duration_ms of these records: one value again and again is the client's timeout",
            "latency of the destination: slow answers make clients go",
        ],
    },
    Flag {
        short: "DR",
        long: "DownstreamRemoteReset",
        blame: Blame::Client,
        meaning: "The client reset its stream.",
        causes: &["an HTTP/2 or gRPC client cancelled the call: deadline, or it needs the answer no more"],
        check: &["deadline of the client against envoy.duration_ms", "latency of the destination"],
    },
    Flag {
        short: "DPE",
        long: "DownstreamProtocolError",
        blame: Blame::Client,
        meaning: "The client sent what is not valid HTTP.",
        causes: &[
            "plain text on a TLS port or the reverse, or another protocol on an HTTP port",
            "a scanner, a broken client, control characters in a header, headers over the limit",
        ],
        check: &[
            "envoy.response_code_details of the record: it names the rule that was broken",
            "protocol of the inbound or appProtocol of the service port",
            "client.address, if many come from one",
        ],
    },
    Flag {
        short: "IH",
        long: "InvalidEnvoyRequestHeaders",
        blame: Blame::Client,
        meaning: "An x-envoy-* header of the request has an invalid value, and strict checks are on.",
        causes: &["a client sets x-envoy-retry-on, x-envoy-upstream-rq-timeout-ms or the like to nonsense"],
        check: &["who sets these headers, and whether clients may: strip them at the edge"],
    },
    Flag {
        short: "DI",
        long: "DelayInjected",
        blame: Blame::Nobody,
        meaning: "Fault injection delayed the request.",
        causes: &["a MeshFaultInjection with delay"],
        check: &["MeshFaultInjection policies that match: is the experiment still meant to run"],
    },
    Flag {
        short: "FI",
        long: "FaultInjected",
        blame: Blame::Nobody,
        meaning: "Fault injection answered with an error.",
        causes: &["a MeshFaultInjection with abort"],
        check: &["MeshFaultInjection policies that match: is the experiment still meant to run"],
    },
    Flag {
        short: "RFCF",
        long: "ResponseFromCacheFilter",
        blame: Blame::Nobody,
        meaning: "The response came out of the proxy's cache.",
        causes: &["the cache filter is on and had it"],
        check: &["nothing, unless the response is stale: cache-control of the service"],
    },
];
