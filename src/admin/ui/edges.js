// The table of edges: sortable, searchable, at most so many rows in the page.

import { attribute, h, keyed, middle, shown, text } from "./dom.js";
import { bytes, millis, percent, short } from "./format.js";
import { level } from "./graph.js";
import { NAMELESS, belongs, edgeKey, nameOf } from "./view.js";

const ROWS_MAX = 120;
const share = (edge) => (edge.rps > 0 ? edge.error_rps / edge.rps : 0);
const COLUMNS = [
  { key: "name", name: "Edge", value: (it) => `${nameOf(it.source)} ${nameOf(it.destination)}`, isText: true },
  { key: "rps", name: "Req/s", value: (it) => it.rps, write: (it) => short(it.rps) },
  { key: "errors", name: "Errors", value: share, write: (it) => percent(share(it)) },
  { key: "client", name: "4xx", value: (it) => (it.rps > 0 ? it.client_error_rps / it.rps : 0), write: (it) => percent(it.rps > 0 ? it.client_error_rps / it.rps : 0), title: "client errors" },
  { key: "p50", name: "p50", value: (it) => it.p50_ms ?? -1, write: (it) => millis(it.p50_ms) },
  { key: "p99", name: "p99", value: (it) => it.p99_ms ?? -1, write: (it) => millis(it.p99_ms) },
  { key: "max", name: "Max", value: (it) => it.max_ms ?? -1, write: (it) => millis(it.max_ms) },
  { key: "in", name: "In/s", value: (it) => it.bytes_in_s, write: (it) => bytes(it.bytes_in_s), title: "bytes of requests; of TCP, received" },
  { key: "out", name: "Out/s", value: (it) => it.bytes_out_s, write: (it) => bytes(it.bytes_out_s), title: "bytes of responses; of TCP, sent" },
  { key: "flags", name: "Flags", value: (it) => Object.values(it.flags ?? {}).reduce((a, b) => a + b, 0), title: "response flags" },
];

/** `pick(chosen)` is called with the edge that was clicked on. */
export function edges(root, pick) {
  let sort = { key: "rps", isDown: true };
  let last = null;
  let shownKey;
  const note = h("p", { class: "quiet" });
  const heads = COLUMNS.map((column) => {
    const button = h("button", { type: "button", title: column.title ?? null, onclick: () => order(column) }, column.name);
    return h("th", { scope: "col", class: `c-${column.key}` }, button);
  });
  const body = h("tbody", {});
  const rest = h("p", { class: "quiet rest" });
  const scroller = h("div", { class: "scroll", tabindex: -1 }, h("table", {}, h("thead", {}, h("tr", {}, heads)), body));
  root.append(h("div", { class: "head" }, h("h2", {}, "Edges"), note), scroller, rest);

  body.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    if (!row) return;
    const to = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: body.firstElementChild, End: body.lastElementChild }[event.key];
    if (to) {
      event.preventDefault();
      to.focus();
    }
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      row.click();
    }
  });

  function order(column) {
    sort = { key: column.key, isDown: sort.key === column.key ? !sort.isDown : !column.isText };
    draw(...last);
  }

  /** Scrolls the table, and not the page. */
  function reveal(key) {
    const row = body.kept.get(key)?.node;
    if (!row) return;
    const [top, bottom] = [row.offsetTop - 2 * row.offsetHeight, row.offsetTop + 2 * row.offsetHeight];
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
  }

  function draw(traffic, chosen, search) {
    last = [traffic, chosen, search];
    const wanted = search.toLowerCase();
    const found = traffic.edges.filter(
      (it) => (!chosen || chosen.kind === "edge" || belongs(it, chosen)) && (wanted === "" || `${nameOf(it.source)} ${nameOf(it.destination)} ${it.mesh ?? ""} ${it.protocol}`.toLowerCase().includes(wanted)),
    );
    const column = COLUMNS.find((it) => it.key === sort.key);
    const sign = sort.isDown ? -1 : 1;
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const sorted = found
      .map((edge) => ({ edge, value: column.value(edge), key: edgeKey(edge) }))
      .sort((a, b) => sign * compare(a.value, b.value) || compare(b.edge.rps, a.edge.rps) || compare(a.key, b.key));
    COLUMNS.forEach((it, at) => attribute(heads[at], "aria-sort", it.key === sort.key ? (sort.isDown ? "descending" : "ascending") : null));
    const most = Math.max(...traffic.edges.map((it) => it.rps), 1e-9);
    const meshes = new Set(traffic.edges.map((it) => it.mesh)).size;
    // Both names have to fit beside each other.
    const longest = Math.max(Math.floor((heads[0].clientWidth - 34) / 14.5), 8);
    const rows = sorted.slice(0, ROWS_MAX).map(({ edge, key }) => ({ edge, key, most, meshes, longest, isChosen: chosen?.kind === "edge" && chosen.key === key }));
    keyed(body, rows, (it) => it.key, () => rowPart(pick));
    body.firstElementChild && attribute(body.querySelector("tr[tabindex='0']") ?? body.firstElementChild, "tabindex", 0);
    if (chosen?.key !== shownKey) reveal(chosen?.key);
    shownKey = chosen?.key;
    text(note, found.length === traffic.edges.length ? "" : `${found.length} of ${traffic.edges.length}`);
    const left = found.length - rows.length;
    const beyond = traffic.other ? `${short(traffic.other.rps)}/s more run between services that are not listed: only the busiest are.` : "";
    text(rest, [left > 0 ? `${left} more rows: search for a service.` : "", beyond].filter(Boolean).join(" "));
  }

  return { update: draw };
}

function rowPart(pick) {
  const from = h("bdi", {});
  const to = h("bdi", {});
  const more = h("bdi", { class: "quiet small" });
  const meter = h("i", { class: "meter" });
  const cells = new Map(COLUMNS.slice(1).map((it) => [it.key, h("td", { class: `number c-${it.key}` })]));
  const rate = h("span", {});
  cells.get("rps").append(meter, rate);
  const name = h("td", { class: "c-name" }, h("div", {}, from, h("span", { class: "quiet" }, "→"), to, more));
  const node = h("tr", { tabindex: -1 }, name, [...cells.values()]);
  let now = null;
  node.addEventListener("click", () => pick({ kind: "edge", edge: now.edge }));
  node.addEventListener("focus", () => {
    for (const other of node.parentNode.querySelectorAll("tr[tabindex='0']")) attribute(other, "tabindex", -1);
    attribute(node, "tabindex", 0);
  });
  return {
    node,
    update(item) {
      now = item;
      const { edge } = item;
      text(from, middle(shown(nameOf(edge.source), 200), item.longest));
      text(to, middle(shown(nameOf(edge.destination), 200), item.longest));
      attribute(from, "class", edge.source === null ? "nameless" : null);
      attribute(to, "class", edge.destination === null ? "nameless" : null);
      text(more, [edge.protocol === "http" ? "" : shown(edge.protocol, 12), item.meshes > 1 && edge.mesh !== null ? shown(edge.mesh, 40) : ""].filter(Boolean).join(" "));
      attribute(name, "title", `${shown(edge.source ?? NAMELESS)} → ${shown(edge.destination ?? NAMELESS)}${edge.mesh === null ? "" : `, mesh ${shown(edge.mesh)}`}`);
      meter.style.width = `${((edge.rps / item.most) * 100).toFixed(1)}%`;
      for (const column of COLUMNS) {
        if (!column.write || column.key === "rps") continue;
        const cell = text(cells.get(column.key), column.write(edge));
        cell.classList.toggle("zero", column.value(edge) === 0);
      }
      text(rate, short(edge.rps));
      text(cells.get("flags"), Object.keys(edge.flags ?? {}).slice(0, 3).map((it) => shown(it, 12)).join(" "));
      attribute(node, "class", `level${level(share(edge))}${item.isChosen ? " chosen" : ""}`);
      attribute(node, "aria-selected", String(item.isChosen));
    },
  };
}
