// The traffic map: services from left to right, lines between them as wide as their rate, red as far as they fail.

import { attribute, h, keyed, middle, s, shown, text } from "./dom.js";
import { millis, percent, short } from "./format.js";
import { choose, joined, level, services } from "./graph.js";
import { place } from "./layout.js";
import { NAMELESS, nameOf, sum } from "./view.js";

const EDGE_SPACE = 10;
const ROW = 72;
const ROW_LEAST = 25;
/** Below this height of a row a service has its name only. */
const ROW_ROOMY = 38;
const GAP_LEAST = 40;
const GAP_NARROW = 26;
const NARROW = 560;
const NODE_LEAST = 88;
const NODE_MOST = 210;
const MARGIN = 11;

/** `pick(chosen)` is called with what was clicked on; the answer's `update(traffic, chosen, search)` draws. */
export function map(root, pick) {
  const title = h("h2", {}, "Traffic");
  const note = h("p", { class: "quiet" });
  const legend = h(
    "p",
    { class: "legend quiet", "aria-hidden": "true" },
    "width: rate · errors ",
    ...["below 0.1 %", "to 1 %", "to 5 %", "more"].map((it, at) => h("span", { class: `level${at}` }, it)),
  );
  const edgeLayer = s("g", {});
  const nodeLayer = s("g", {});
  const drawing = s("svg", { role: "group", "aria-label": "Services and the traffic between them" }, edgeLayer, nodeLayer);
  const frame = h("div", { class: "drawing" }, drawing);
  const said = h("p", { class: "said", "aria-live": "off" });
  root.append(h("div", { class: "head" }, title, note), frame, h("div", { class: "under" }, said, legend));

  let width = 0;
  let placed = null;
  let shape = "";
  let last = null;
  let hovered = null;
  new ResizeObserver(() => {
    if (Math.abs(frame.clientWidth - width) < 4) return;
    width = frame.clientWidth;
    shape = "";
    if (last) draw(...last);
  }).observe(frame);

  function draw(traffic, chosen, search) {
    last = [traffic, chosen, search];
    if (width === 0) return;
    const all = joined(traffic.edges);
    const wanted = search.toLowerCase();
    const matches = (name) =>
      chosen?.kind === "service" ? name === nameOf(chosen.name) : wanted === "" || name.toLowerCase().includes(wanted);
    const nodesMax = width < NARROW ? 12 : 30;
    const { shown: lines, found } = choose(all, matches, new Set(placed?.lines.keys() ?? []), nodesMax);
    const next = `${width} ${lines.map((it) => it.key).sort()}`;
    if (next !== shape) {
      arrange(lines);
      shape = next;
    }
    for (const line of lines) placed.lines.get(line.key).line = line;
    const known = services(all);
    const names = traffic.services ?? known.size;
    const some = lines.length < found ? `the ${lines.length} busiest and worst of ${found} edges` : `${found} edges`;
    text(note, `${some}${found < all.length ? ` found among ${all.length}` : ""}, ${names} services`);
    const most = Math.max(...lines.map((it) => it.weight), 1e-9);
    const isLit = (line) =>
      !chosen || (chosen.kind === "service" ? line.from === nameOf(chosen.name) || line.to === nameOf(chosen.name) : line.key === chosen.line);
    // The bad ones last: what is drawn last lies above.
    const order = [...placed.lines.values()].sort((a, b) => a.line.errors - b.line.errors);
    keyed(edgeLayer, order, (it) => it.line.key, () => edgePart());
    for (const it of order) edgeLayer.kept.get(it.line.key).show(it, most, isLit(it.line));
    const lit = new Set(lines.filter(isLit).flatMap((it) => [it.from, it.to]));
    keyed(nodeLayer, [...placed.nodes.values()], (it) => it.name, () => nodePart());
    for (const it of placed.nodes.values()) {
      nodeLayer.kept.get(it.name).show(it, known.get(it.name), !chosen || lit.has(it.name), chosen?.kind === "service" && nameIs(chosen, it.name));
    }
    tell();
  }

  function arrange(lines) {
    const before = new Map([...(placed?.nodes.values() ?? [])].map((it) => [it.name, it.y]));
    const graph = place(lines.map((line) => ({ from: line.from, to: line.to, weight: line.weight, line })), before);
    const columns = spread(graph, width);
    const least = width < NARROW ? 280 : 400;
    const row = Math.min(Math.max((least - 2 * EDGE_SPACE) / Math.max(graph.height, 1), ROW_LEAST), ROW);
    const height = Math.max(least, graph.height * row + 2 * EDGE_SPACE);
    const top = (height - graph.height * row) / 2;
    attribute(drawing, "width", columns.total);
    attribute(drawing, "height", height);
    attribute(drawing, "viewBox", `0 0 ${columns.total} ${height}`);
    const tall = row >= ROW_ROOMY ? 36 : Math.min(row - 4, 24);
    const nodes = new Map();
    for (const { name, layer, y } of graph.nodes.values()) {
      nodes.set(name, { name, y, ...columns.of[layer], middle: top + y * row, tall });
    }
    const spot = (point) => ({ ...columns.of[point.layer], y: top + point.y * row });
    const made = new Map();
    for (const route of graph.routes) {
      made.set(route.edge.line.key, { line: route.edge.line, isBack: route.isBack, points: route.points.map(spot), names: [route.edge.from, route.edge.to] });
    }
    ports(made, nodes);
    placed = { nodes, lines: made };
  }

  function edgePart() {
    const hit = s("path", { class: "hit" });
    const line = s("path", { class: "line" });
    const tip = s("path", { class: "tip" });
    const node = s("g", { class: "edge" }, line, tip, hit);
    let now = null;
    node.addEventListener("click", () => pick(pickOf(now.line)));
    node.addEventListener("pointerenter", () => ((hovered = now.line.key), tell()));
    node.addEventListener("pointerleave", () => ((hovered = null), tell()));
    return {
      node,
      update() {},
      show(it, most, isLit) {
        now = it;
        // Many thick lines are a knot.
        const widest = Math.min(Math.max(5.5 * Math.sqrt(16 / placed.lines.size), 2), 5.5);
        const thick = 1.25 + widest * Math.sqrt(it.line.weight / most);
        const { d, tip: end } = path(it, thick, placed.nodes);
        attribute(hit, "d", d);
        attribute(line, "d", d);
        attribute(line, "stroke-width", thick.toFixed(2));
        attribute(tip, "d", end);
        attribute(node, "class", `edge level${level(it.line.errors / Math.max(it.line.weight, 1e-9))}${isLit ? "" : " dim"}`);
      },
    };
  }

  function nodePart() {
    const box = s("rect", { rx: 3 });
    const side = s("rect", { class: "side", width: 3 });
    const name = s("text", { class: "name" });
    const figures = s("text", { class: "figures" });
    const whole = s("title", {});
    const node = s("g", { class: "service", tabindex: 0, role: "button" }, box, side, name, figures, whole);
    let now = null;
    let nowSized = "";
    const choose = () => pick({ kind: "service", name: now.name === NAMELESS ? null : now.name });
    node.addEventListener("click", choose);
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose();
    });
    return {
      node,
      update() {},
      show(it, known, isLit, isChosen) {
        now = it;
        const roomy = it.tall >= 34;
        attribute(node, "transform", `translate(${it.x.toFixed(1)} ${(it.middle - it.tall / 2).toFixed(1)})`);
        attribute(box, "width", it.wide);
        attribute(box, "height", it.tall);
        attribute(side, "height", it.tall);
        attribute(name, "x", MARGIN);
        attribute(name, "y", roomy ? 15 : it.tall / 2 + 4);
        attribute(figures, "x", MARGIN);
        attribute(figures, "y", 29);
        attribute(figures, "visibility", roomy ? null : "hidden");
        const sized = `${it.name} ${it.wide}`;
        if (sized !== nowSized) {
          text(name, fit(shown(it.name, 200), it.wide - MARGIN - 7));
          nowSized = sized;
        }
        const share = known && known.in > 0 ? known.errors / known.in : 0;
        const rate = known ? (known.in > 0 ? known.in : known.out) : 0;
        const bad = level(share) > 0 ? ` · ${percent(share)}` : "";
        text(figures, `${known?.in > 0 ? "" : "sends "}${short(rate)}/s${bad}`);
        const said = `${shown(it.name, 300)}: takes ${short(known?.in ?? 0)}/s, sends ${short(known?.out ?? 0)}/s, errors ${percent(share)}`;
        text(whole, said);
        attribute(node, "aria-label", said);
        attribute(node, "aria-pressed", String(isChosen));
        attribute(node, "class", `service level${level(share)}${isLit ? "" : " dim"}${isChosen ? " chosen" : ""}`);
      },
    };
  }

  /** One line of text about what the pointer is at, or what is chosen. */
  function tell() {
    const [, chosen] = last ?? [];
    const key = hovered ?? (chosen?.kind === "edge" ? chosen.line : null);
    const line = key && placed.lines.get(key)?.line;
    attribute(legend, "hidden", Boolean(line));
    if (!line) {
      text(said, "");
      return;
    }
    const all = sum(line.edges);
    const kinds = [...new Set(line.edges.map((it) => it.protocol))].join(", ");
    const flags = Object.keys(all.flags);
    text(
      said,
      `${shown(line.from, 60)} → ${shown(line.to, 60)}  ${kinds}  ${short(all.rps)}/s  errors ${percent(line.weight > 0 ? line.errors / line.weight : 0)}  p50 ${millis(all.p50_ms)}  p99 ${millis(all.p99_ms)}${flags.length > 0 ? `  ${flags.map((it) => shown(it, 12)).join(" ")}` : ""}`,
    );
  }

  return { update: draw };
}

const nameIs = (chosen, name) => name === nameOf(chosen.name);

/** What a click on a line chooses: its busiest edge. */
function pickOf(line) {
  const edge = [...line.edges].sort((a, b) => b.rps - a.rps)[0];
  return { kind: "edge", edge };
}

/** Where each layer begins and how wide it is: as its names need it, as far as there is room. */
function spread(graph, width) {
  const wanted = Array.from({ length: graph.layers }, () => NODE_LEAST);
  for (const { name, layer } of graph.nodes.values()) {
    wanted[layer] = Math.min(Math.max(wanted[layer], length(shown(name, 80)) + MARGIN + 8), NODE_MOST);
  }
  const least = width < NARROW ? GAP_NARROW : GAP_LEAST;
  const room = width - 2 - least * (graph.layers - 1);
  // The widest give way first.
  while (wanted.reduce((a, b) => a + b, 0) > room && Math.max(...wanted) > NODE_LEAST) {
    const most = Math.max(...wanted);
    wanted.forEach((it, at) => (wanted[at] = Math.min(it, Math.max(most - 4, NODE_LEAST))));
  }
  const sum = wanted.reduce((a, b) => a + b, 0);
  const gap = graph.layers > 1 ? Math.min(Math.max((width - 2 - sum) / (graph.layers - 1), least), 220) : 0;
  const total = Math.max(sum + gap * (graph.layers - 1) + 2, width);
  let x = (total - sum - gap * (graph.layers - 1)) / 2;
  const of = wanted.map((wide) => {
    const column = { x, wide };
    x += wide + gap;
    return column;
  });
  return { of, total };
}

const ruler = document.createElement("canvas").getContext("2d");

function length(name) {
  ruler.font = `550 12px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(name).width;
}

/** A name cut until it fits. The whole one is in the title. */
function fit(name, room) {
  if (length(name) <= room) return name;
  let longest = Math.min([...name].length - 1, 60);
  while (longest > 3 && length(middle(name, longest)) > room) longest -= 1;
  return middle(name, longest);
}

/** Spreads the ends of the lines over the sides of the services, in the order of where they go. */
function ports(lines, nodes) {
  const sides = new Map();
  const add = (name, side, line, toward, set) => {
    const key = `${side} ${name}`;
    if (!sides.has(key)) sides.set(key, { name, ends: [] });
    sides.get(key).ends.push({ toward, set, weight: line.line.weight });
  };
  for (const line of lines.values()) {
    if (line.isBack) continue;
    const points = line.points;
    add(line.names[0], "out", line, points[1].y, (y) => (points[0] = { ...points[0], y }));
    add(line.names[1], "in", line, points.at(-2).y, (y) => (points[points.length - 1] = { ...points.at(-1), y }));
  }
  for (const { name, ends } of sides.values()) {
    const node = nodes.get(name);
    ends.sort((a, b) => a.toward - b.toward);
    const room = Math.min(node.tall - 8, (ends.length - 1) * 7);
    ends.forEach((end, at) => end.set(node.middle + (ends.length > 1 ? (at / (ends.length - 1) - 0.5) * room : 0)));
  }
}

/** The curve of a line, and its head. */
function path({ points, isBack, names }, thick, nodes) {
  const head = 5 + thick * 0.9;
  const [from, to] = names.map((it) => nodes.get(it));
  const n = (value) => value.toFixed(1);
  if (isBack) {
    // Below the services, from right to left; a service that calls itself has a loop.
    const [x0, x1] = from === to ? [from.x + from.wide * 0.75, from.x + from.wide * 0.3] : [from.x + from.wide * 0.4, to.x + to.wide * 0.6];
    const [y0, y1] = [from.middle + from.tall / 2, to.middle + to.tall / 2 + head];
    const deep = Math.max(y0, y1) + 14 + Math.abs(x1 - x0) * 0.06;
    return { d: `M${n(x0)} ${n(y0)}C${n(x0)} ${n(deep)} ${n(x1)} ${n(deep)} ${n(x1)} ${n(y1)}`, tip: `M${n(x1)} ${n(y1 - head)}l${n(-head / 2)} ${n(head)}h${n(head)}Z` };
  }
  const spots = points.map((it, at) => (at === 0 ? { x: from.x + from.wide, y: it.y } : at === points.length - 1 ? { x: to.x - head, y: it.y } : null));
  let d = `M${n(spots[0].x)} ${n(spots[0].y)}`;
  let [x, y] = [spots[0].x, spots[0].y];
  for (let at = 1; at < points.length; at += 1) {
    const isLast = at === points.length - 1;
    const next = isLast ? spots[at] : { x: points[at].x, y: points[at].y };
    const middle = (x + next.x) / 2;
    d += `C${n(middle)} ${n(y)} ${n(middle)} ${n(next.y)} ${n(next.x)} ${n(next.y)}`;
    if (!isLast) d += `h${n(points[at].wide)}`;
    [x, y] = isLast ? [next.x, next.y] : [next.x + points[at].wide, next.y];
  }
  return { d, tip: `M${n(to.x)} ${n(y)}l${n(-head)} ${n(-head / 2)}v${n(head)}Z` };
}
