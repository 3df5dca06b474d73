// Invented answers of logboom, from a quiet one to a hostile one.

const FLAGS = {
  UF: ["UpstreamConnectionFailure", "upstream", "The proxy could not connect to the upstream."],
  UC: ["UpstreamConnectionTermination", "upstream", "The upstream closed the connection before its response was complete."],
  UT: ["UpstreamRequestTimeout", "upstream", "The upstream did not answer within the request timeout; the proxy answered 504."],
  URX: ["UpstreamRetryLimitExceeded", "upstream", "All attempts failed: the retry limit was reached."],
  DC: ["DownstreamConnectionTermination", "client", "The client closed the connection before the response was complete."],
  NR: ["NoRouteFound", "proxy", "No route, or no filter chain, matched the request."],
  RL: ["RateLimited", "policy", "A rate limit turned the request away."],
};
const CAUSES = ["nothing listens on that address and port, or the pod is gone and its endpoint not yet removed", "a network policy or firewall drops the connection"];

/** Numbers that look random and are the same each time. */
function random(seed) {
  let state = seed;
  return () => ((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648);
}

function edge(source, destination, rps, more = {}) {
  const share = more.errors ?? 0;
  return {
    mesh: "default", source, destination, protocol: "http",
    rps, error_rps: rps * share, client_error_rps: rps * (more.client ?? 0.004),
    p50_ms: more.p50 ?? 3, p99_ms: more.p99 ?? (more.p50 ?? 3) * 9, max_ms: (more.p50 ?? 3) * 22,
    bytes_in_s: rps * 420, bytes_out_s: rps * 2900,
    flags: more.flags ?? {}, total: Math.round(rps * 60),
    ...(more.protocol ? { protocol: more.protocol } : {}), ...(more.mesh !== undefined ? { mesh: more.mesh } : {}),
  };
}

function mesh() {
  return [
    edge("edge-gateway", "web", 840, { p50: 18 }),
    edge("edge-gateway", "api", 1260, { p50: 11, errors: 0.0006 }),
    edge("web", "catalog", 620, { p50: 4.2 }),
    edge("web", "search", 310, { p50: 21 }),
    edge("web", "recommendations", 240, { p50: 9.4, errors: 0.004, flags: { UT: 0.9 } }),
    edge("web", "users", 410, { p50: 2.1 }),
    edge("api", "cart", 380, { p50: 3.3 }),
    edge("api", "checkout", 64, { p50: 48, errors: 0.061, flags: { UF: 3.1, URX: 0.8 } }),
    edge("api", "users", 520, { p50: 2.2 }),
    edge("api", "catalog", 300, { p50: 4.4 }),
    edge("checkout", "payments", 61, { p50: 120, errors: 0.094, p99: 2400, flags: { UF: 4.9, UC: 0.6 } }),
    edge("checkout", "inventory", 58, { p50: 6.1 }),
    edge("checkout", "shipping", 22, { p50: 31, errors: 0.012, flags: { UC: 0.26 } }),
    edge("cart", "redis", 1900, { p50: 0.4, protocol: "tcp", client: 0 }),
    edge("catalog", "postgres", 700, { p50: 1.3, protocol: "tcp", client: 0 }),
    edge("users", "postgres", 480, { p50: 1.1, protocol: "tcp", client: 0 }),
    edge("inventory", "postgres", 60, { p50: 1.6, protocol: "tcp", client: 0 }),
    edge("search", "index", 300, { p50: 12, protocol: "grpc" }),
    edge("recommendations", "catalog", 180, { p50: 4.9 }),
    edge("payments", "ledger", 55, { p50: 8, protocol: "grpc", flags: { DC: 0.2 } }),
    edge("shipping", "web", 3, { p50: 8 }),
    edge(null, "edge-gateway", 2110, { p50: 16, client: 0.021, flags: { NR: 0.4, RL: 1.2 } }),
  ];
}

function many() {
  const next = random(7);
  const names = Array.from({ length: 200 }, (_, at) => `${["team-a", "team-b", "platform", "data", "payments"][at % 5]}-${["api", "worker", "gateway", "store", "cache", "index", "billing", "report"][Math.floor(at / 5) % 8]}-${at}`);
  return Array.from({ length: 512 }, () => {
    const from = Math.floor(next() * 160);
    const to = Math.min(199, from + 1 + Math.floor(next() * 60));
    return edge(names[from], names[to], 4000 * next() ** 6 + 0.02, { p50: 0.5 + 40 * next() ** 3, errors: next() > 0.93 ? next() * 0.2 : 0, flags: next() > 0.95 ? { UF: 0.3 } : {} });
  }).sort((a, b) => b.rps - a.rps);
}

export const HOSTILE = [
  "<img src=x onerror=\"window.__pwned=1;alert(1)\">",
  "</title><script>window.__pwned=2</script>",
  "\u202egnp.exe\u202c and \u0007\u001b[31mred\u001b[0m",
  "javascript:alert(1)//' onmouseover='window.__pwned=3",
  "Z\u0301\u0321\u0322\u0327\u0334\u0335\u0336\u0337\u0338\u0340\u0341\u0345algo".repeat(30),
  "__proto__",
  "constructor",
  "x".repeat(5000),
  "שלום-\u200f-عربى",
  "😀👩‍👩‍👧‍👦 ümläut\u0000\u0085\u2028",
  "",
  "(no name)",
];

const hostile = () => HOSTILE.flatMap((name, at) => [edge(name, HOSTILE[(at + 1) % HOSTILE.length], 100 / (at + 1), { errors: at % 3 ? 0 : 0.3, flags: { [name.slice(0, 24)]: 1, UF: 2 }, mesh: name })]);

const trouble = () => mesh().map((it) => ({ ...it, error_rps: it.destination === "payments" || it.destination === "checkout" ? it.rps * 0.71 : it.error_rps }));

export const scenarios = {
  none: { edges: [], records: 0 },
  quiet: { edges: [], records: 0, received: 5000 },
  unread: { edges: [], records: 52.5 },
  few: { edges: mesh().slice(2, 5), records: 1180 },
  mesh: { edges: mesh(), records: 9200 },
  many: { edges: many(), records: 61_000, sampled: 0.125 },
  hostile: { edges: hostile(), records: 500, lines: hostileLines() },
  trouble: { edges: trouble(), records: 9200, isTrouble: true },
  locked: { edges: mesh(), records: 9200, token: "secret" },
};

function hostileLines() {
  return HOSTILE.map((it, at) => JSON.stringify({ timestamp: "2026-11-21T13:45:29.154Z", severity_text: it, severity_number: at, body: it, attributes: { "http.response.status_code": at % 2 ? 503 : it, "url.path": it, "kuma.source.service": it, "kuma.destination.service": it, "envoy.response_flags": [it, "UF"], [it]: { [it]: [it, null] } } })).concat(["not json", '{"attributes":null}', '"text"', "[1]", "null", '{"body":{"a":1},"attributes":{"envoy.duration_ms":"x"}}']);
}

const add = (edges, key) => edges.reduce((sum, it) => sum + it[key], 0);

function points(edges, stepS, now, phase) {
  const length = 300 / stepS;
  const rate = add(edges, "rps");
  const share = rate > 0 ? add(edges, "error_rps") / rate : 0;
  const clients = rate > 0 ? add(edges, "client_error_rps") / rate : 0;
  const end = Math.floor(now / 1000 / stepS) * stepS * 1000;
  const all = { step_s: stepS, start: end - length * stepS * 1000, requests: [], errors: [], client_errors: [], p50_ms: [], p99_ms: [] };
  const p50 = edges.length > 0 ? edges.reduce((sum, it) => sum + it.p50_ms * it.rps, 0) / rate : null;
  for (let at = 0; at < length; at += 1) {
    const t = all.start / 1000 + at * stepS;
    const next = random(Math.floor(t) * 7919 + phase);
    next();
    const wave = 1 + 0.12 * Math.sin(t / 47) + 0.05 * Math.sin(t / 7.3) + 0.06 * (next() - 0.5);
    const requests = rate * stepS * wave;
    const bump = 0.35 + 1.2 * Math.exp(-(((at * stepS - 190) / 26) ** 2)) + 0.3 * next();
    all.requests.push(Math.round(requests));
    all.errors.push(Math.round(requests * share * bump));
    all.client_errors.push(Math.round(requests * clients * (0.8 + 0.4 * next())));
    all.p50_ms.push(p50 === null ? null : p50 * (0.9 + 0.2 * next()));
    all.p99_ms.push(p50 === null ? null : p50 * 11 * (0.7 + bump * 0.7));
  }
  return all;
}

function traffic(scenario, window) {
  const now = Date.now();
  const edges = scenario.edges.map((it) => {
    const wave = 1 + 0.03 * Math.sin(now / 3000 + it.rps);
    return { ...it, rps: it.rps * wave, error_rps: it.error_rps * wave };
  });
  const rates = {};
  for (const it of edges) for (const [flag, rps] of Object.entries(it.flags)) rates[flag] = (rates[flag] ?? 0) + rps;
  const totals = { mesh: null, source: null, destination: null, protocol: "http" };
  for (const key of ["rps", "error_rps", "client_error_rps", "bytes_in_s", "bytes_out_s", "total"]) totals[key] = add(edges, key);
  Object.assign(totals, { p50_ms: edges.length ? 4.1 : null, p99_ms: edges.length ? 212 : null, max_ms: edges.length ? 2600 : null, flags: rates });
  const tcp = add(edges.filter((it) => it.protocol === "tcp"), "rps");
  return {
    now, enabled: true, window_s: window, sampled: scenario.sampled ?? 1, records: scenario.records,
    services: new Set(edges.flatMap((it) => [it.source, it.destination])).size,
    edges, other: edges.length >= 512 ? edge(null, null, 231) : null, totals,
    series: edges.length > 0 ? points(edges, 1, now, 1) : { step_s: 1, start: now, requests: [], errors: [], client_errors: [], p50_ms: [], p99_ms: [] },
    flags: Object.entries(rates).map(([flag, rps]) => ({ flag, long: FLAGS[flag]?.[0] ?? flag, blame: FLAGS[flag]?.[1] ?? "nobody", what: FLAGS[flag]?.[2] ?? flag, causes: CAUSES, check: ["is the application listening on the port of its inbound, not on another address"], rps })),
    statuses: { "1xx": 0, "2xx": Math.max(totals.rps - tcp - totals.error_rps - totals.client_error_rps, 0) * 0.96, "3xx": Math.max(totals.rps - tcp, 0) * 0.04, "4xx": totals.client_error_rps, "5xx": totals.error_rps, none: tcp },
  };
}

function health(scenario) {
  const up = 11_520 + Math.floor(performance.now() / 1000);
  const sink = (type, more) => ({
    type, state: "healthy", from: ["mesh", "otlp"], inbox_bytes: 180_000, inbox_capacity_bytes: 16_777_216, offered_records: 91_400_000, gap_records: 0,
    delivered_records: 91_399_800, failed_records: 0, abandoned_records: 0, shed_full_records: 0, shed_hold_records: 0, shed_stopped_records: 0,
    in_flight_records: 200, filtered_records: 0, recovered_records: 0, expired_records: 0, deferred_records: 0, ...more,
  });
  const it = scenario.isTrouble;
  const received = scenario.received ?? (scenario.records === 0 ? 0 : 91_400_212);
  return {
    version: "0.1.0", readiness: "ready", ready: true, now: Date.now(), uptime_seconds: up,
    memory_bound_bytes: 464_000_000, memory_budget_bytes: 67_108_864, memory_reserved_bytes: it ? 41_000_000 : 1_450_000, reloads: { ok: 2, failed: it ? 1 : 0 },
    sources: {
      mesh: { type: "lines", listen: ["127.0.0.1:5000"], received_records: received * 0.8, received_bytes: 4e10, rejected_records: 0, in_intake_records: 0, connections: scenario.records ? 18 : 0, connections_accepted: 41, connections_refused: 0, accept_errors: 0 },
      otlp: { type: "otlp", listen: ["127.0.0.1:4317"], received_records: received * 0.2, received_bytes: 1e10, rejected_records: it ? 8120 : 0, in_intake_records: 0, connections: scenario.records ? 6 : 0, connections_accepted: 9, connections_refused: 0, accept_errors: 0 },
    },
    sinks: {
      files: sink("file", {}),
      errors: sink("file", { filtered_records: 90_900_000, delivered_records: 499_000 }),
      upstream: it
        ? sink("otlp", { state: "failing", error: "http://otel-collector:4317: connection refused (os error 111); trying again in 8 s", deferred_records: 1_284_113, inbox_bytes: 16_700_000, delivered_records: 74_000_000 })
        : sink("otlp", {}),
    },
    journal: scenario.records === 0 ? undefined : { healthy: true, bytes: it ? 1_590_000_000 : 96_000_000, max_bytes: 2_147_483_648, entries: 5_000_000, syncs: 40_000, sync_failures: 0, write_failures: 0, corrupt_ranges: 0, quarantined_bytes: 0, missing_entries: 0 },
    ledger: { received_records: received, rejected_records: it ? 8120 : 0, in_intake_records: 0, undelivered_records: it ? 1_284_113 : 412, imbalance_records: 0, line: "" },
    rates: {
      window_s: 10,
      sources: { mesh: { records_s: scenario.records * 0.8, bytes_s: scenario.records * 350, rejected_s: 0 }, otlp: { records_s: scenario.records * 0.2, bytes_s: scenario.records * 80, rejected_s: 0 } },
      sinks: { files: { delivered_s: scenario.records, failed_s: 0, shed_s: 0, filtered_s: 0 }, errors: { delivered_s: scenario.records * 0.004, failed_s: 0, shed_s: 0, filtered_s: scenario.records }, upstream: { delivered_s: it ? 0 : scenario.records, failed_s: 0, shed_s: 0, filtered_s: 0 } },
      journal: { entries_s: scenario.records / 17 },
    },
  };
}

const PATHS = ["/api/v1/products/1231735/reviews", "/api/v1/users/935355/orders", "/static/js/main.1757685.chunk.js", "/graphql", "/api/v1/cart/88123/items", "/checkout/confirm", "/search", "/healthz"];

function line(scenario, next) {
  const all = scenario.edges;
  if (scenario.lines) return scenario.lines[Math.floor(next() * scenario.lines.length)];
  const it = all[Math.floor(next() ** 2 * all.length)];
  const isBad = next() < it.error_rps / it.rps;
  const isTcp = it.protocol === "tcp";
  const time = new Date().toISOString();
  const flags = isBad ? { "envoy.response_flags": ["UF"] } : {};
  const http = isTcp ? {} : { "http.request.method": next() > 0.8 ? "POST" : "GET", "url.path": PATHS[Math.floor(next() * PATHS.length)], "url.query": "page=145&limit=50", "network.protocol.name": "http", "network.protocol.version": "1.1", "http.response.status_code": isBad ? 503 : next() < 0.02 ? 404 : 200, "http.request.body.size": 0, "http.response.body.size": 12 };
  return JSON.stringify({
    timestamp: time, observed_timestamp: time, severity_text: isBad ? "ERROR" : "INFO", severity_number: isBad ? 17 : 9, trace_id: "04255751976c442bf39d696366aa87cc",
    body: isTcp ? `[${time}] - default 10.42.1.5(${it.source})->10.42.1.9:6379(${it.destination}) took 4ms, sent 6195 bytes, received: 194 bytes` : `[${time}] default "GET ${PATHS[0]} HTTP/1.1" 503 UF 0 91 12 - "-" "curl/8" "4d170249" "payments.mesh:9090" "${it.source}" "${it.destination}" "10.42.0.7" "10.42.127.74:9090"`,
    attributes: { ...http, "envoy.duration_ms": Math.round(it.p50_ms * (0.5 + 3 * next())), ...flags, "envoy.upstream.address": "10.42.127.74", "envoy.upstream.port": 9090, "kuma.mesh": it.mesh, ...(it.source ? { "kuma.source.service": it.source } : {}), "kuma.source.address": "10.42.0.7", "kuma.destination.service": it.destination, "user_agent.original": "Go-http-client/2.0", "network.peer.address": "127.0.0.1", "network.peer.port": 52128 },
  });
}

/** Answers one question of the page. */
export function answer(scenario, url, response) {
  const say = (status, body) => {
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...(status === 401 ? { "www-authenticate": "Bearer" } : {}) });
    response.end(JSON.stringify(body));
  };
  if (scenario.token && response.req.headers.authorization !== `Bearer ${scenario.token}`) return say(401, { error: "a token is needed" });
  const ask = (name) => url.searchParams.get(name);
  switch (url.pathname) {
    case "/api/traffic":
      return say(200, traffic(scenario, Number(ask("window") ?? 60)));
    case "/api/health":
      return say(200, health(scenario));
    case "/api/edge": {
      const service = ask("service");
      const found = scenario.edges.filter((it) => (service !== null ? it.source === service || it.destination === service : it.source === ask("source") && it.destination === ask("destination") && it.protocol === ask("protocol")));
      return found.length > 0 ? say(200, points(found, 5, Date.now(), 3)) : say(404, { error: "there is no such edge" });
    }
    case "/api/tap": {
      if (ask("where")?.includes("nonsense")) return say(400, { error: "where: at character 1: there is no name `nonsense`", help: "names: status, flags, method, path, mesh, source, destination, duration_ms, severity, body, attributes" });
      response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
      response.flushHeaders();
      const next = random(Date.now() % 100_000);
      const timer = setInterval(() => {
        if (scenario.edges.length === 0) return;
        for (let at = 0; at < Math.min(scenario.records / 10, 6); at += 1) response.write(`${line(scenario, next)}\n`);
        if (next() > 0.8 && scenario.records > 60) response.write(`{"skipped":${Math.round(scenario.records / 2)}}\n`);
      }, 200);
      response.on("close", () => clearInterval(timer));
      return undefined;
    }
    default:
      return say(404, { error: "nothing here" });
  }
}
