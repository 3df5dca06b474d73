// Asks once a second while somebody looks, and gives the answers to the parts of the page.

import { Refused, get } from "./api.js";
import { attribute, h, shown, text } from "./dom.js";
import { edges } from "./edges.js";
import { empty } from "./empty.js";
import { flags } from "./flags.js";
import { clock, percent, short, span } from "./format.js";
import { gate } from "./gate.js";
import { map } from "./map.js";
import { notices } from "./notices.js";
import { pipeline } from "./pipeline.js";
import { record } from "./record.js";
import { tail } from "./tail.js";
import { chartsOf, condition, edgeKey, nameOf } from "./view.js";
import { vitals } from "./vitals.js";

const EVERY_MS = 1000;
/** An answer that takes long to make is asked for less often: at most this share of the time goes into it. */
const SHARE_MAX = 0.1;
const LOST_MS = [1000, 2000, 5000, 10_000];
const WINDOWS = [
  [10, "10 s"],
  [60, "1 min"],
  [300, "5 min"],
];

const at = (id) => document.getElementById(id);
const now = { window: 60, chosen: null, search: "", traffic: null, health: null, own: null };

const parts = {
  vitals: vitals(at("vitals")),
  map: map(at("map"), choose),
  edges: edges(at("edges"), choose),
  flags: flags(at("flags"), (flag) => (live.narrow(`${JSON.stringify(flag)} in flags`, true), at("tail").scrollIntoView({ block: "nearest" }))),
  pipeline: pipeline(at("pipeline")),
  notices: notices(at("notices"), at("aloud")),
};
const drawer = record((it) => live.narrow(it), (flag) => parts.flags.explain(flag));
const door = gate(() => {
  wake();
  live.start();
});
const live = tail(at("tail"), drawer.show, door.open);

const search = h("input", { type: "search", placeholder: "service", "aria-label": "Search for a service", spellcheck: "false", autocomplete: "off", maxlength: 200, oninput: () => ((now.search = search.value.trim()), draw()) });
const windows = WINDOWS.map(([seconds, name]) => h("button", { type: "button", onclick: () => setWindow(seconds) }, name));
at("controls").append(search, h("div", { class: "switch", role: "group", "aria-label": "Averages over" }, windows));
const emptyState = h("div", { class: "empty", hidden: true });
at("map").after(emptyState);
at("foot").append(
  h("p", {}, keyName("/"), " search ", keyName("w"), " condition ", keyName("p"), " pause the tail ", keyName("Esc"), " back to everything"),
  h("p", {}, h("a", { href: "/metrics" }, "/metrics"), " · ", h("a", { href: "/status" }, "/status"), " · times are of this computer's clock"),
);

function keyName(name) {
  return h("kbd", {}, name);
}

function setWindow(seconds) {
  now.window = seconds;
  WINDOWS.forEach(([it], index) => attribute(windows[index], "aria-pressed", String(it === seconds)));
  wake();
}

/** Shows a part only; the same once more shows everything again. `null` does, too. */
function choose(wanted) {
  if (wanted?.kind === "edge") {
    const { edge } = wanted;
    wanted = { ...wanted, key: edgeKey(edge), line: JSON.stringify([nameOf(edge.source), nameOf(edge.destination)]) };
  }
  const same = wanted && now.chosen && wanted.kind === now.chosen.kind && wanted.key === now.chosen.key && wanted.name === now.chosen.name;
  now.chosen = same ? null : wanted;
  now.own = null;
  live.scope(condition(now.chosen), now.chosen ? nameOfChosen() : "");
  draw();
  wake();
}

function nameOfChosen() {
  const { chosen } = now;
  return chosen.kind === "service" ? shown(nameOf(chosen.name), 60) : `${shown(nameOf(chosen.edge.source), 40)} → ${shown(nameOf(chosen.edge.destination), 40)}`;
}

let timer = null;
let round = 0;
let failures = 0;
let lastAnswer = null;

/** Asks at once, and from then on again and again. */
function wake() {
  clearTimeout(timer);
  round += 1;
  ask(round);
}

async function ask(own) {
  if (document.hidden || door.isOpen()) return;
  const began = performance.now();
  let pause = EVERY_MS;
  try {
    const { chosen } = now;
    // A parameter that is absent is a name that is absent.
    const wanted = chosen?.kind === "edge" ? { mesh: chosen.edge.mesh, source: chosen.edge.source, destination: chosen.edge.destination, protocol: chosen.edge.protocol } : { service: chosen?.name };
    const [traffic, health, series] = await Promise.all([
      get("/api/traffic", { window: now.window }),
      get("/api/health"),
      chosen ? get("/api/edge", wanted).catch((error) => (error.status === 404 ? null : Promise.reject(error))) : null,
    ]);
    if (own !== round) return;
    Object.assign(now, { traffic, health });
    if (chosen === now.chosen) now.own = series;
    failures = 0;
    lastAnswer = Date.now();
    draw();
    pause = Math.max(EVERY_MS - (performance.now() - began), (performance.now() - began) * (1 / SHARE_MAX - 1), 200);
  } catch (error) {
    if (own !== round) return;
    if (error instanceof Refused && error.status === 401) {
      door.open();
      return;
    }
    pause = LOST_MS[Math.min(failures, LOST_MS.length - 1)];
    failures += 1;
    lose(error);
  }
  timer = setTimeout(() => ask(own), pause);
}

/** What is on the page stays, and it says that it is old. */
function lose(error) {
  const why = error instanceof Refused ? shown([error.message, error.help].filter(Boolean).join(" "), 400) : "No answer from logboom";
  parts.notices.update(now.health, `${why}. ${lastAnswer ? `What is shown is of ${clock(lastAnswer)}. ` : ""}Trying again.`);
  at("page").classList.add("lost");
  attribute(at("about"), "class", "lost");
}

function draw() {
  const { traffic, health, chosen } = now;
  if (!traffic || !health) return;
  at("page").classList.remove("lost");
  attribute(at("about"), "class", null);
  parts.notices.update(health, null);
  about(traffic, health);
  attribute(at("chosen"), "hidden", !chosen);
  at("chosen").replaceChildren(...(chosen ? [h("button", { type: "button", title: "show everything again", onclick: () => choose(null) }, nameOfChosen(), h("span", { "aria-hidden": "true" }, " ×"))] : []));
  const isTraffic = traffic.edges.length > 0;
  const kind = isTraffic ? "" : traffic.enabled === false ? "off" : traffic.records > 0 ? "unread" : health.ledger?.received_records > 0 ? "quiet" : "none";
  if (emptyState.dataset.kind !== kind) {
    emptyState.dataset.kind = kind;
    emptyState.replaceChildren(...(kind ? empty(kind, health).filter(Boolean) : []));
    attribute(emptyState, "hidden", !kind);
    for (const id of ["map", "edges"]) attribute(at(id), "hidden", Boolean(kind));
  }
  parts.vitals.update(chartsOf(traffic, chosen, now.own));
  if (isTraffic) {
    parts.map.update(traffic, chosen, now.search);
    parts.edges.update(traffic, chosen, now.search);
  }
  parts.flags.update(traffic, chosen);
  parts.pipeline.update(health);
}

function about(traffic, health) {
  const sinks = Object.values(health.sinks ?? {});
  const well = sinks.filter((it) => it.state === "healthy").length;
  const looked = traffic.sampled >= 0.9995 ? "every record counted" : `${percent(traffic.sampled)} of the records looked at, figures are scaled up`;
  text(
    at("about"),
    [
      `${health.version}`,
      health.readiness === "ready" ? "ready" : health.readiness.replace("_", " "),
      `up ${span(health.uptime_seconds)}`,
      `${short(traffic.records ?? 0)} records/s`,
      well === sinks.length ? (sinks.length === 1 ? "1 sink healthy" : `${sinks.length} sinks healthy`) : `${well} of ${sinks.length} sinks healthy`,
      looked,
    ].join(" · "),
  );
}

document.addEventListener("visibilitychange", () => {
  live.sleep(document.hidden);
  if (!document.hidden) wake();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (drawer.hide()) return;
    if (event.target === search && search.value) return;
    if (now.chosen) choose(null);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
  const action = { "/": () => search.focus(), w: live.focus, p: live.toggle }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

setWindow(now.window);
if (!document.hidden) live.start();
