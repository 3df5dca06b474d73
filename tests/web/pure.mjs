// The parts of the page that know no page: names in, places and texts out.

import assert from "node:assert/strict";
import { HOSTILE } from "./scenarios.mjs";

const ui = (name) => import(new URL(`../../src/admin/ui/${name}.js`, import.meta.url));
const [{ shown, middle }, format, { place }, { choose, joined, level }, { condition, literal, sum, belongs, edgeKey }, row] = await Promise.all(["dom", "format", "layout", "graph", "view", "row"].map(ui));

const plain = (text) => text.replaceAll("\u202f", " ");

// What cannot be seen is written out, whatever surrounds it; what can be seen stays.
assert.equal(shown("a\u202eb"), "a\\u{202e}b");
assert.equal(shown("\u001b[31m\u0007\n\t\r"), "\\u{1b}[31m\\u{7}\\n\\t\\r");
assert.equal(shown("\u{e0041}\ud800\u200b"), "\\u{e0041}\\u{d800}\\u{200b}");
assert.equal(shown("ümläut 漢字 😀"), "ümläut 漢字 😀");
assert.equal(shown("x".repeat(1000)).length, 401);
for (const text of HOSTILE) assert.ok(!/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(shown(text)), text);
assert.equal(middle("short", 8), "short");
assert.equal(middle("payments-report-155", 9), "payme…155");
assert.equal([...middle("😀".repeat(50), 10)].length, 10);

for (const [value, said] of [[0, "0"], [0.004, "<0.01"], [0.5, "0.50"], [9.996, "10.0"], [12.345, "12.3"], [99.96, "100"], [999.4, "999"], [999.7, "1.00 k"], [1234, "1.23 k"], [45_600_000, "45.6 M"], [NaN, "–"], [Infinity, "–"]]) {
  assert.equal(plain(format.short(value)), said, String(value));
}
for (const [value, said] of [[0, "0 %"], [0.00001, "<0.01 %"], [0.0042, "0.42 %"], [0.05, "5.0 %"], [0.5, "50 %"], [0.9999, "99.9 %"], [1, "100 %"]]) {
  assert.equal(plain(format.percent(value)), said, String(value));
}
assert.equal(plain(format.bytes(0)), "0 B");
assert.equal(plain(format.bytes(1536)), "1.50 KiB");
assert.equal(plain(format.millis(null)), "–");
assert.equal(plain(format.millis(1250)), "1.25 s");
assert.equal(plain(format.whole(1234567)), "1 234 567");
assert.equal(plain(format.span(11_520)), "3 h 12 min");
assert.equal(plain(format.span(0)), "0 s");

// Any graph: every service has a place of its own, every edge leads from its source to its destination.
let state = 1;
const random = () => ((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648);
for (let round = 0; round < 300; round += 1) {
  const names = 1 + Math.floor(random() * 30);
  const seen = new Set();
  const edges = [];
  for (let at = Math.floor(random() * 60); at >= 0; at -= 1) {
    const [from, to] = [`s${Math.floor(random() * names)}`, `s${Math.floor(random() * names)}`];
    if (seen.has(`${from} ${to}`)) continue;
    seen.add(`${from} ${to}`);
    edges.push({ from, to, weight: random() < 0.1 ? 0 : random() ** 4 * 1000 });
  }
  const graph = place(edges);
  const places = [...graph.nodes.values()];
  assert.equal(graph.routes.length, edges.length);
  for (const { layer, y } of places) assert.ok(layer >= 0 && layer < graph.layers && y >= 0 && y <= graph.height, `round ${round}`);
  for (const one of places) {
    for (const other of places) if (one !== other && one.layer === other.layer) assert.ok(Math.abs(one.y - other.y) >= 1 - 1e-9, `round ${round}: ${one.name} lies on ${other.name}`);
  }
  for (const { edge, points, isBack } of graph.routes) {
    assert.equal(points[0].name, edge.from);
    assert.equal(points.at(-1).name, edge.to);
    if (!isBack) for (let at = 1; at < points.length; at += 1) assert.equal(points[at].layer, points[at - 1].layer + 1);
  }
  // The same edges again lie where they lay: nothing jumps.
  const again = place(edges, new Map(places.map((it) => [it.name, it.y])));
  assert.deepEqual([...again.nodes.keys()].sort(), [...graph.nodes.keys()].sort());
}
assert.deepEqual(place([]).routes, []);
// A chain is a chain, and a slight call back does not stretch it.
const chain = place([{ from: "a", to: "b", weight: 100 }, { from: "b", to: "c", weight: 100 }, { from: "c", to: "b", weight: 1 }]);
assert.deepEqual(["a", "b", "c"].map((name) => chain.nodes.get(name).layer), [0, 1, 2]);

// Of many edges the busiest and the worst are shown, never more than there is room for.
const edge = (source, destination, rps, error_rps = 0) => ({ mesh: null, source, destination, protocol: "http", rps, error_rps, client_error_rps: 0, bytes_in_s: 0, bytes_out_s: 0, p50_ms: 1, p99_ms: 2, total: 1, flags: {} });
const many = Array.from({ length: 500 }, (_, at) => edge(`a${at}`, `b${at % 40}`, 500 - at, at === 499 ? 1 : 0));
const { shown: lines, found } = choose(joined(many), () => true, new Set(), 30);
assert.equal(found, 500);
assert.ok(lines.length <= 48 && new Set(lines.flatMap((it) => [it.from, it.to])).size <= 30);
assert.ok(lines.some((it) => it.from === "a0") && lines.some((it) => it.from === "a499"));
assert.deepEqual([0, 0.0009, 0.001, 0.009, 0.01, 0.049, 0.05, 1, NaN].map(level), [0, 0, 1, 1, 2, 2, 3, 3, 0]);

// Names of a log are data, whatever members objects have.
const proto = sum([{ ...edge("a", "b", 1), flags: JSON.parse('{"__proto__": 2, "constructor": 3}') }]);
assert.equal(proto.flags.constructor, 3);
assert.equal(row.conditionOf("attributes", "constructor", "x"), 'attributes["constructor"] == "x"');
assert.equal(row.conditionOf("attributes", "http.response.status_code", 503), "status == 503");
assert.equal(row.conditionOf("attributes", "envoy.response_flags", ["UF"]), '"UF" in flags');
assert.equal(row.conditionOf("attributes", "list", [1]), null);
for (const line of ["null", "[1]", '"text"', "7", "{", '{"attributes":null}', '{"attributes":{"envoy.duration_ms":"x"}}']) assert.ok(row.rowOf(line));
const quoted = edge('we"b', null, 1);
assert.equal(condition({ kind: "edge", edge: quoted }), 'source == "we\\"b" && !(destination != "")');
assert.ok(belongs(quoted, { kind: "edge", key: edgeKey(quoted) }) && !belongs(quoted, { kind: "service", name: "web" }));
assert.equal(literal("\ud800\n"), '"\\ufffd\\n"');

console.log("ok    the parts that know no page");
