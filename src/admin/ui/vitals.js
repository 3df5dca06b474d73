// Rate, errors, latency and what was answered, of everything or of what is chosen.

import { SPAN_S, chart } from "./chart.js";
import { attribute, h, text } from "./dom.js";
import { clock, millis, percent, short } from "./format.js";
import { level } from "./graph.js";

const CLASSES = [
  ["ok", "fine"],
  ["client", "client errors"],
  ["error", "errors"],
];
const STATUSES = [
  ["1xx", "moved"],
  ["2xx", "ok"],
  ["3xx", "moved"],
  ["none", "none"],
  ["4xx", "client"],
  ["5xx", "error"],
];

/** Makes the section; the answer's `update(view)` shows the charts of a view, see `view.js`. */
export function vitals(root) {
  let hover = null;
  let view = null;
  const charts = [];
  const point = (secondsAgo) => {
    hover = secondsAgo;
    charts.forEach((it) => it.mark(hover));
    figures();
  };
  const make = (settings) => {
    const made = chart({ ...settings, onHover: point });
    charts.push(made);
    return made;
  };
  const rate = make({ curves: [{ key: "rate", look: "plain", isArea: true }], scale: "linear", label: short, least: 1 });
  const errors = make({
    curves: [
      { key: "clientShare", look: "client" },
      { key: "errorShare", look: "error", isArea: true },
    ],
    scale: "linear",
    label: percent,
    least: 0.01,
  });
  const latency = make({
    curves: [
      { key: "p50", look: "soft" },
      { key: "p99", look: "plain" },
    ],
    scale: "log",
    label: millis,
    least: 100,
  });

  const rateFigure = figure("/s");
  const errorFigure = figure("");
  const slow = figure("");
  const usual = h("span", { class: "second" });
  const when = h("p", { class: "quiet when" });
  const rateNote = h("p", { class: "quiet" });
  const errorNote = h("p", { class: "quiet" });
  const latencyNote = h("p", { class: "quiet" }, key("plain", "p99"), key("soft", "p50"));
  const answers = answered();
  root.append(
    h("div", { class: "vital" }, h("h2", {}, "Requests"), rateFigure.node, rateNote, rate.node),
    h("div", { class: "vital" }, h("h2", {}, "Errors"), errorFigure.node, errorNote, errors.node),
    h("div", { class: "vital" }, h("h2", {}, "Latency"), h("p", { class: "pair" }, slow.node, usual), latencyNote, latency.node),
    h("div", { class: "vital" }, h("h2", {}, "Answers"), answers.node, when),
  );

  // The charts are read with the arrows, too.
  attribute(root, "tabindex", 0);
  root.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: 5, ArrowRight: -5 }[event.key];
    if (event.key === "Escape" && hover !== null) point(null);
    if (!step || event.target !== root) return;
    event.preventDefault();
    point(Math.min(Math.max((hover ?? 0) + step, 0), SPAN_S));
  });
  root.addEventListener("blur", () => point(null));

  function figures() {
    if (!view) return;
    const { series, stepS, endAgoS, now, total } = view;
    const length = series.rate.length;
    const index = hover === null ? null : length - 1 - Math.round((hover - endAgoS) / stepS);
    const isThere = index !== null && index >= 0 && index < length;
    const at = (values, otherwise) => (index === null ? otherwise : isThere ? values[index] : NaN);
    const requests = at(series.rate, total.rps);
    rateFigure.set(short(requests));
    const share = at(series.errorShare, total.rps > 0 ? total.error_rps / total.rps : 0);
    errorFigure.set(percent(share ?? 0), level(share) >= 2);
    slow.set(millis(at(series.p99, total.p99_ms)));
    text(usual, millis(at(series.p50, total.p50_ms)));
    const clients = at(series.clientShare, total.rps > 0 ? total.client_error_rps / total.rps : 0);
    text(errorNote, "");
    errorNote.append(key("error", `errors ${short((share ?? 0) * requests)}/s`), key("client", `client errors ${percent(clients ?? 0)}`));
    text(rateNote, length > 4 ? `most ${short(Math.max(...series.rate))}/s in five minutes` : "");
    text(when, index === null ? view.average : `${stepS === 1 ? "the second" : `the ${stepS} s`} at ${clock(now - hover * 1000)}`);
  }

  return {
    update(next) {
      view = next;
      rate.update(view);
      errors.update(view);
      latency.update(view);
      answers.update(view);
      figures();
    },
  };
}

function figure(unit) {
  const value = h("span", {}, "–");
  const node = h("p", { class: "figure" }, value, unit ? h("small", {}, unit) : null);
  return {
    node,
    set(said, isBad = false) {
      text(value, said);
      node.classList.toggle("bad", isBad);
    },
  };
}

const key = (look, name) => h("span", { class: `key ${look}` }, name);

/** Shares of the answers as one bar, and in words. */
function answered() {
  const bar = h("div", { class: "bar", "aria-hidden": "true" });
  const list = h("dl", { class: "answers" });
  const parts = new Map();
  return {
    node: h("div", {}, bar, list),
    update({ statuses, total }) {
      const rows = statuses
        ? STATUSES.filter(([name]) => name !== "1xx" || statuses[name] > 0).map(([name, look]) => [name === "none" ? "none, tcp" : name, look, statuses[name] ?? 0])
        : CLASSES.map(([look, name]) => [
            name,
            look,
            { ok: total.rps - total.error_rps - total.client_error_rps, client: total.client_error_rps, error: total.error_rps }[look],
          ]);
      const sum = rows.reduce((all, row) => all + Math.max(row[2], 0), 0);
      const names = new Set(rows.map((row) => row[0]));
      for (const [name, part] of parts) {
        if (names.has(name)) continue;
        for (const node of part.nodes) node.remove();
        parts.delete(name);
      }
      for (const [name, look, value] of rows) {
        if (!parts.has(name)) {
          const piece = h("i", { class: look });
          const share = h("dd", { class: "number" });
          const number = h("dd", { class: "number quiet" });
          const nodes = [piece, h("dt", {}, h("span", { class: `key ${look}` }, name)), share, number];
          bar.append(piece);
          list.append(...nodes.slice(1));
          parts.set(name, { nodes, piece, share, number });
        }
        const part = parts.get(name);
        part.piece.style.flexGrow = sum > 0 ? String(Math.max(value, 0) / sum) : "0";
        text(part.share, sum > 0 ? percent(value / sum) : "–");
        text(part.number, `${short(value)}/s`);
      }
    },
  };
}
