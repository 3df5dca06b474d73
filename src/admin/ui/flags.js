// Response flags in words: what happened, what it comes from, what to look at.

import { attribute, h, keyed, shown, text } from "./dom.js";
import { short } from "./format.js";
import { flagsOf } from "./view.js";

const ROWS_MAX = 24;
const BLAME = { upstream: "the upstream, or the way to it", client: "the client", proxy: "the proxy", policy: "a rule that somebody set", nobody: "nobody" };

/** `only(flag)` shows the records with it. */
export function flags(root, only) {
  const known = new Map();
  const list = h("div", { class: "flags" });
  const none = h("p", { class: "quiet nothing" });
  root.append(h("div", { class: "head" }, h("h2", {}, "Response flags")), list, none);
  return {
    /** What the table of flags says of one. */
    explain: (flag) => known.get(flag),
    update(traffic, chosen) {
      for (const it of traffic.flags ?? []) if (known.size < 200) known.set(it.flag, it);
      const rates = flagsOf(traffic, chosen).slice(0, ROWS_MAX);
      const most = Math.max(...rates.map((it) => it[1]), 1e-9);
      keyed(list, rates, (it) => it[0], ([flag]) => flagPart(flag, known, only));
      for (const [flag, rps] of rates) list.kept.get(flag).show(rps, most);
      attribute(none, "hidden", rates.length > 0);
      text(none, traffic.totals?.total > 0 ? "None: Envoy had nothing to remark." : "");
    },
  };
}

function flagPart(flag, known, only) {
  const rate = h("span", { class: "number" });
  const meter = h("i", { class: "meter" });
  const it = known.get(flag);
  const failed = ["upstream", "proxy"].includes(it?.blame);
  const items = (title, rows) => (rows?.length > 0 ? [h("h4", {}, title), h("ul", {}, rows.map((row) => h("li", {}, shown(row, 600))))] : []);
  const node = h(
    "details",
    { class: failed ? "failed" : null },
    h("summary", {}, h("b", { class: "mono" }, shown(flag, 12)), h("span", { class: "what" }, shown(it?.what ?? "not one of Envoy's flags", 300)), rate, meter),
    it ? [h("p", { class: "quiet" }, `${shown(it.long, 80)}. To blame: ${BLAME[it.blame] ?? shown(it.blame, 40)}.`), items("It usually comes from", it.causes), items("Look at", it.check)] : null,
    h("button", { type: "button", class: "light", onclick: () => only(flag) }, "show the records"),
  );
  return {
    node,
    update() {},
    show(rps, most) {
      text(rate, `${short(rps)}/s`);
      meter.style.width = `${((rps / most) * 96).toFixed(1)}px`;
    },
  };
}
