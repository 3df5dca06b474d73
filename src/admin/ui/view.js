// What is looked at: everything, a service, or an edge; and what of the answers belongs to it. No elements here.

export const NAMELESS = "(no name)";
/** What logboom keeps of a name. */
const NAME_BYTES_MAX = 128;

/** One text for what an edge is, whatever its names contain. */
export const edgeKey = (edge) => JSON.stringify([edge.mesh, edge.source, edge.destination, edge.protocol]);

/** The name of a service as the map and the table write it; `null` has none. */
export const nameOf = (service) => (service === "" ? '""' : (service ?? NAMELESS));

/** Does this edge belong to what is chosen? */
export function belongs(edge, chosen) {
  if (!chosen) return true;
  if (chosen.kind === "service") return edge.source === chosen.name || edge.destination === chosen.name;
  return edgeKey(edge) === chosen.key;
}

/** A condition for the tap that means the same. */
export function condition(chosen) {
  if (!chosen) return "";
  if (chosen.kind === "service") return `(${is("source", chosen.name)} || ${leadsTo(chosen.name)})`;
  const { source, destination, mesh } = chosen.edge;
  const parts = [is("source", source), leadsTo(destination)];
  if (mesh !== null) parts.push(is("mesh", mesh));
  return parts.join(" && ");
}

const is = (field, name) => {
  if (name === null) return `!(${field} != "")`;
  // Names that are longer were cut, at whatever byte.
  const isCut = new TextEncoder().encode(name).length >= NAME_BYTES_MAX - 3;
  return isCut ? `${field}.startsWith(${literal(name.replace(/\ufffd+$/, ""))})` : `${field} == ${literal(name)}`;
};

/** Envoy without a mesh names no destination: then it is the cluster, or the host that was asked for. */
function leadsTo(name) {
  const own = is("destination", name);
  if (name === null) return own;
  const other = ["envoy.upstream.cluster", "server.address"].map((key) => is(`attributes["${key}"]`, name)).join(" || ");
  return `(${own} || !(destination != "") && (${other}))`;
}

/** A text as CEL writes it: JSON, but for halves of pairs, which CEL has no way to write. */
export const literal = (value) => JSON.stringify(String(value)).replace(/\\ud[89a-f][0-9a-f]{2}/gi, "\\ufffd");

/** Edges added up. Percentiles do not add up: they are those of the slowest, and so at least as large as the true ones. */
export function sum(edges) {
  const all = { rps: 0, error_rps: 0, client_error_rps: 0, bytes_in_s: 0, bytes_out_s: 0, p50_ms: null, p99_ms: null, total: 0, flags: Object.create(null) };
  for (const edge of edges) {
    for (const key of ["rps", "error_rps", "client_error_rps", "bytes_in_s", "bytes_out_s", "total"]) all[key] += edge[key] ?? 0;
    for (const key of ["p50_ms", "p99_ms"]) if (edge[key] !== null && edge[key] > (all[key] ?? -1)) all[key] = edge[key];
    for (const [flag, rps] of Object.entries(edge.flags ?? {})) all.flags[flag] = (all.flags[flag] ?? 0) + rps;
  }
  return all;
}

/** What the charts show. `own` is the answer of /api/edge for what is chosen. */
export function chartsOf(traffic, chosen, own) {
  const raw = chosen ? own : traffic.series;
  const stepS = raw?.step_s ?? 1;
  const requests = raw?.requests ?? [];
  const share = (part) => requests.map((all, at) => (all > 0 ? (part?.[at] ?? 0) / all : 0));
  const series = {
    rate: requests.map((it) => it / stepS),
    errorShare: share(raw?.errors),
    clientShare: share(raw?.client_errors),
    p50: raw?.p50_ms ?? requests.map(() => null),
    p99: raw?.p99_ms ?? requests.map(() => null),
  };
  const end = (raw?.start ?? 0) + requests.length * stepS * 1000;
  const total = chosen ? sum(traffic.edges.filter((it) => belongs(it, chosen))) : traffic.totals;
  return {
    series,
    stepS,
    end,
    endAgoS: requests.length > 0 ? Math.max((traffic.now - end) / 1000, 0) : 0,
    now: traffic.now,
    total: total ?? sum([]),
    statuses: chosen ? null : traffic.statuses,
    average: `Figures are averages over ${Math.round(traffic.window_s)} s${chosen?.kind === "service" ? "; latency is that of the slowest edge" : ""}.`,
  };
}

/** `[flag, responses per second]` of what is chosen, the most frequent first. */
export function flagsOf(traffic, chosen) {
  const rates = chosen
    ? Object.entries(sum(traffic.edges.filter((it) => belongs(it, chosen))).flags)
    : (traffic.flags ?? []).map((it) => [it.flag, it.rps]);
  return rates.filter(([, rps]) => rps > 0).sort((a, b) => b[1] - a[1]);
}
