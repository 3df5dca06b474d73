// Places a graph in layers from left to right. Names and numbers in, places out: it knows no page.

const SWEEPS = 12;
/** What an edge that only passes a layer needs of its height; a node needs 1. */
const PASSING = 0.45;
/** An edge with less of what its destination takes does not move it: it may lead back instead. */
const SLIGHT = 0.05;

/**
 * `edges` is `[{from, to, weight}]`, `before` maps names to heights of the last time, so that what stays is found
 * where it was. Gives `{layers, height, nodes: Map(name -> {name, layer, y}), routes: [{edge, points, isBack}]}`;
 * `points` are `{layer, y}`, from the source to the destination. Heights are in rows.
 */
export function place(edges, before = new Map()) {
  const names = new Set();
  for (const { from, to } of edges) names.add(from).add(to);
  const ranks = rank(names, withoutCycles(heavy(edges)));
  const layers = [];
  const put = (item) => ((layers[item.layer] ??= []).push(item), item);
  const nodes = new Map();
  const weight = new Map();
  for (const { from, to, weight: it } of edges) {
    weight.set(from, (weight.get(from) ?? 0) + it);
    weight.set(to, (weight.get(to) ?? 0) + it);
  }
  const order = [...names].sort((a, b) => weight.get(b) - weight.get(a) || (a < b ? -1 : 1));
  for (const name of order) {
    nodes.set(name, put({ name, layer: ranks.get(name), height: 1, ins: [], outs: [], y: before.get(name) ?? null }));
  }
  const routes = [];
  for (const edge of edges) {
    const [from, to] = [nodes.get(edge.from), nodes.get(edge.to)];
    const isBack = to.layer <= from.layer;
    const items = [from];
    if (!isBack) {
      for (let layer = from.layer + 1; layer < to.layer; layer += 1) {
        items.push(put({ name: null, layer, height: PASSING, ins: [], outs: [], y: null }));
      }
    }
    items.push(to);
    if (!isBack) {
      for (let at = 1; at < items.length; at += 1) {
        items[at - 1].outs.push({ item: items[at], weight: edge.weight });
        items[at].ins.push({ item: items[at - 1], weight: edge.weight });
      }
    }
    routes.push({ edge, points: items, isBack });
  }
  for (const layer of layers) stack(layer, (it) => it.y);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const rightwards = sweep % 2 === 0;
    for (const layer of rightwards ? layers : [...layers].reverse()) {
      const wanted = (it) => mean(rightwards ? it.ins : it.outs) ?? it.y;
      if (sweep < SWEEPS - 4) layer.sort((a, b) => wanted(a) - wanted(b));
      settle(layer, (it) => (sweep < SWEEPS - 4 ? wanted(it) : (mean([...it.ins, ...it.outs]) ?? it.y)));
    }
  }
  let [top, bottom] = [Infinity, -Infinity];
  for (const item of layers.flat()) {
    top = Math.min(top, item.y - item.height / 2);
    bottom = Math.max(bottom, item.y + item.height / 2);
  }
  for (const item of layers.flat()) item.y -= top;
  return { layers: layers.length, height: edges.length === 0 ? 0 : bottom - top, nodes, routes };
}

/** Without those that are next to nothing of what their destination takes. */
function heavy(edges) {
  const most = new Map();
  for (const { to, weight } of edges) most.set(to, Math.max(most.get(to) ?? 0, weight));
  return edges.filter(({ to, weight }) => weight >= most.get(to) * SLIGHT);
}

/** The edges that are left when, heaviest first, none is taken that would close a circle. */
function withoutCycles(edges) {
  const outs = new Map();
  const taken = new Set();
  for (const edge of [...edges].sort((a, b) => b.weight - a.weight)) {
    if (edge.from === edge.to || reaches(outs, edge.to, edge.from)) continue;
    taken.add(edge);
    if (!outs.has(edge.from)) outs.set(edge.from, []);
    outs.get(edge.from).push(edge.to);
  }
  return taken;
}

function reaches(outs, from, to) {
  const seen = new Set([from]);
  const open = [from];
  while (open.length > 0) {
    const here = open.pop();
    if (here === to) return true;
    for (const next of outs.get(here) ?? []) {
      if (!seen.has(next)) open.push(next);
      seen.add(next);
    }
  }
  return false;
}

/** Each as far left as those before it let it; who has nobody before it stands beside whom it calls. */
function rank(names, forward) {
  const ranks = new Map([...names].map((name) => [name, 0]));
  const isEntry = new Map([...names].map((name) => [name, true]));
  for (let round = 0, moved = true; moved && round <= names.size; round += 1) {
    moved = false;
    for (const { from, to } of forward) {
      isEntry.set(to, false);
      if (ranks.get(to) <= ranks.get(from)) {
        ranks.set(to, ranks.get(from) + 1);
        moved = true;
      }
    }
  }
  const nearest = new Map();
  for (const { from, to } of forward) nearest.set(from, Math.min(nearest.get(from) ?? Infinity, ranks.get(to) - 1));
  for (const [name, layer] of nearest) if (isEntry.get(name)) ranks.set(name, layer);
  return ranks;
}

function mean(links) {
  let [sum, weight] = [0, 0];
  for (const link of links) {
    const share = Math.sqrt(link.weight) + 1e-6;
    sum += link.item.y * share;
    weight += share;
  }
  return weight > 0 ? sum / weight : null;
}

/** One below the other, centred on zero; those with a known height in its order. */
function stack(layer, known) {
  const place = new Map(layer.map((it, at) => [it, known(it) ?? at]));
  layer.sort((a, b) => place.get(a) - place.get(b));
  let y = -layer.reduce((sum, it) => sum + it.height, 0) / 2;
  for (const it of layer) {
    it.y = y + it.height / 2;
    y += it.height;
  }
}

/**
 * As near to the wanted heights as the order and the room that each needs allow: least squares, by joining
 * neighbours that push each other into blocks.
 */
function settle(layer, wanted) {
  const blocks = [];
  let offset = 0;
  layer.forEach((item, at) => {
    if (at > 0) offset += (layer[at - 1].height + item.height) / 2;
    let block = { sum: wanted(item) - offset, items: [[item, offset]] };
    while (blocks.length > 0 && average(blocks.at(-1)) > average(block)) {
      const above = blocks.pop();
      block = { sum: above.sum + block.sum, items: above.items.concat(block.items) };
    }
    blocks.push(block);
  });
  for (const block of blocks) for (const [item, at] of block.items) item.y = average(block) + at;
}

const average = (block) => block.sum / block.items.length;
