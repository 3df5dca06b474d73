// Before any traffic: what to do so that there is some.

import { h, shown } from "./dom.js";

/** What stands in place of the map; `kind` is `none`, `quiet` (not now), `unread` (no access logs) or `off`. */
export function empty(kind, health) {
  if (kind === "off") {
    return [h("h3", {}, "Traffic is not watched"), h("p", {}, "The configuration has ", h("code", {}, "admin: {traffic: false}"), ". Health and the live tail work all the same.")];
  }
  if (kind === "quiet") {
    return [h("h3", {}, "No traffic just now"), h("p", {}, "Records have come before, and none lately. Proxies write their logs about every ten seconds: a longer average may have some.")];
  }
  if (kind === "unread") {
    return [
      h("h3", {}, "Records come, but none is an access log with services"),
      h("p", {}, "The map is made of access logs that name a source and a destination. A look at the live tail shows what comes. If it is an access log in a format of your own, give logboom the format string of your policy: ", h("code", {}, "logboom from-policy meshaccesslog.yaml"), ", or let ", h("code", {}, "logboom learn FILE"), " propose one."),
    ];
  }
  const sources = Object.entries(health?.sources ?? {});
  const address = (type) => sources.find(([, it]) => it.type === type)?.[1].listen?.[0];
  const lines = address("lines");
  const otlp = address("otlp");
  return [
    h("h3", {}, "No traffic yet"),
    h("p", {}, "logboom is ready. Point your mesh here:"),
    h("dl", { class: "addresses" }, sources.slice(0, 12).flatMap(([name, it]) => (it.listen ?? []).flatMap((address) => [h("dt", {}, h("code", {}, shown(address, 80))), h("dd", {}, `${SPEAKS[it.type] ?? shown(it.type, 20)}, source ${shown(name, 40)}`)]))),
    lines || otlp ? h("pre", { class: "mono" }, policy(lines, otlp)) : null,
    h("p", { class: "quiet" }, "To see the page at work now: ", h("code", {}, `logboom gen --rate 200${lines && !lines.startsWith("unix:") ? ` --to lines://${lines}` : ""}`)),
  ];
}

const SPEAKS = { lines: "access-log lines", otlp: "OTLP" };

function policy(lines, otlp) {
  const backend = lines && !lines.startsWith("unix:") ? ["- type: Tcp", `  tcp: {address: "${shown(lines, 80)}"}`] : ["- type: OpenTelemetry", `  openTelemetry: {endpoint: "${shown(otlp ?? lines, 80)}"}`];
  return ["type: MeshAccessLog", "mesh: default", "name: logboom", "spec:", "  targetRef: {kind: Mesh}", "  to:", "    - targetRef: {kind: Mesh}", "      default:", "        backends:", ...backend.map((it) => `          ${it}`)].join("\n");
}
