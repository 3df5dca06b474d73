// A record of the tap as one row, and its attributes as the page names them. No elements here.

const pick = (record, key) => record.attributes?.[key] ?? record.resource?.[key];
const textOf = (value) => (value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));

/** The record that a line of the tap is; `null` if it is none. */
export function parsed(line) {
  try {
    const record = JSON.parse(line);
    return typeof record === "object" && !Array.isArray(record) ? record : null;
  } catch {
    return null;
  }
}

/** What a row shows of a line of the tap. A line that is no JSON is shown as it is. */
export function rowOf(line) {
  const record = parsed(line);
  if (!record) return { level: "", time: null, status: "", flags: "", method: "", way: "", what: line, duration: null };
  const status = pick(record, "http.response.status_code") ?? pick(record, "rpc.grpc.status_code");
  const flags = pick(record, "envoy.response_flags");
  const from = pick(record, "kuma.source.service");
  const to = pick(record, "kuma.destination.service") ?? pick(record, "envoy.upstream.cluster") ?? pick(record, "server.address");
  const path = pick(record, "url.path");
  const duration = pick(record, "envoy.duration_ms");
  return {
    level: levelOf(record),
    time: Date.parse(record.timestamp ?? record.observed_timestamp ?? ""),
    status: textOf(status),
    flags: Array.isArray(flags) ? flags.map(textOf).join(" ") : textOf(flags),
    method: textOf(pick(record, "http.request.method")),
    way: from !== undefined || to !== undefined ? `${textOf(from) || "–"} → ${textOf(to) || "–"}` : "",
    what: textOf(path ?? record.body ?? record.event_name ?? record.attributes),
    duration: typeof duration === "number" ? duration : null,
  };
}

function levelOf(record) {
  const number = record.severity_number ?? 0;
  if (number >= 17) return "bad";
  return number >= 13 ? "odd" : "";
}

// No member that a key of a log could hit by chance.
const NAMED = {
  __proto__: null,
  "http.response.status_code": "status",
  "http.request.method": "method",
  "url.path": "path",
  "kuma.mesh": "mesh",
  "kuma.source.service": "source",
  "kuma.destination.service": "destination",
  "envoy.duration_ms": "duration_ms",
};

/** Text as a CEL literal. */
const quoted = (value) => JSON.stringify(value).replace(/\\ud[89a-f][0-9a-f]{2}/gi, "\\ufffd");

/** A condition that holds for records with this value; `null` for values that a condition does not compare. */
export function conditionOf(part, key, value) {
  if (part === "attributes" && key === "envoy.response_flags") {
    return Array.isArray(value) && typeof value[0] === "string" ? `${quoted(value[0])} in flags` : null;
  }
  if (!["string", "number", "boolean"].includes(typeof value)) return null;
  if (part === "" && key === "severity_text") return `severity == ${quoted(value)}`;
  if (part === "" && key === "severity_number") return `severity_number == ${value}`;
  if (part !== "attributes" && part !== "resource") return null;
  const name = part === "attributes" && NAMED[key] ? NAMED[key] : `${part}[${quoted(key)}]`;
  const literal = typeof value === "string" ? quoted(value) : String(value);
  return literal.length > 500 ? null : `${name} == ${literal}`;
}

/** `first` and `second` as one condition. */
export const both = (first, second) => (first && second ? `(${first}) && ${second}` : first || second);
