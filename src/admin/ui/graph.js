// Which edges the map shows. Few services: all. Many: the busiest, and those that fail most. No elements here.

import { nameOf } from "./view.js";

/** Edges on the map at most. */
const EDGES_MAX = 48;
/** Of these, such as fail most although they are not busy. */
const FAILING_MAX = 8;
/** An edge that is shown stays until this many are ahead of it: without that, edges of equal rate would come and go. */
const PATIENCE = 1.5;

/** Edges of several protocols and meshes between the same two services are one line. */
export function joined(edges) {
  const lines = new Map();
  for (const edge of edges) {
    const [from, to] = [nameOf(edge.source), nameOf(edge.destination)];
    const key = JSON.stringify([from, to]);
    if (!lines.has(key)) lines.set(key, { key, from, to, weight: 0, errors: 0, edges: [] });
    const line = lines.get(key);
    line.weight += edge.rps;
    line.errors += edge.error_rps;
    line.edges.push(edge);
  }
  return [...lines.values()];
}

/**
 * The lines to show. `matches` says whether a service is searched for; `before` has the keys of those that are shown
 * now; `nodesMax` is how many services there is room for.
 */
export function choose(lines, matches, before, nodesMax) {
  const found = lines.filter((it) => matches(it.from) || matches(it.to));
  const busy = [...found].sort((a, b) => b.weight - a.weight);
  const failing = found
    .filter((it) => it.errors / Math.max(it.weight, 1e-9) >= 0.01)
    .sort((a, b) => b.errors - a.errors)
    .slice(0, FAILING_MAX);
  const shown = new Map();
  const names = new Set();
  const take = (line) => {
    if (shown.has(line.key) || shown.size >= EDGES_MAX) return;
    const more = new Set([line.from, line.to].filter((it) => !names.has(it)));
    if (names.size + more.size > nodesMax) return;
    for (const name of more) names.add(name);
    shown.set(line.key, line);
  };
  for (const line of failing) take(line);
  for (const line of busy.slice(0, Math.ceil(EDGES_MAX * PATIENCE))) if (before.has(line.key)) take(line);
  for (const line of busy) take(line);
  return { shown: [...shown.values()], found: found.length };
}

/** How bad a share of errors is: 0 none, 1 up to 1 %, 2 up to 5 %, 3 more. */
export function level(share) {
  if (!(share >= 0.001)) return 0;
  if (share < 0.01) return 1;
  return share < 0.05 ? 2 : 3;
}

/** What comes in and goes out of each service. */
export function services(lines) {
  const all = new Map();
  const of = (name) => {
    if (!all.has(name)) all.set(name, { name, in: 0, out: 0, errors: 0 });
    return all.get(name);
  };
  for (const line of lines) {
    of(line.from).out += line.weight;
    const to = of(line.to);
    to.in += line.weight;
    to.errors += line.errors;
  }
  return all;
}
