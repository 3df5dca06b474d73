// One record with all it has, in a drawer; each value can become a condition of the tail.

import { attribute, h, shown, text } from "./dom.js";
import { conditionOf, parsed } from "./row.js";

/** Of one value, until more is asked for. */
const VALUE_CHARS = 2000;
const ROWS_MAX = 300;

/** `narrow(condition)` adds to the tail; `explain(flag)` gives what is known of a response flag, or nothing. */
export function record(narrow, explain) {
  const body = h("div", { class: "content" });
  const close = h("button", { type: "button", class: "light", onclick: () => hide() }, "Close");
  const copy = h("button", { type: "button", class: "light", onclick: () => write() }, "Copy as JSON");
  const node = h("aside", { class: "drawer", role: "dialog", "aria-label": "Record", hidden: true, tabindex: -1 }, h("div", { class: "head" }, h("h2", {}, "Record"), copy, close), body);
  document.body.append(node);
  let line = "";
  let opener = null;

  async function write() {
    try {
      await navigator.clipboard.writeText(line);
      text(copy, "Copied");
    } catch {
      text(copy, "The browser does not allow it");
    }
  }

  function hide() {
    if (node.hidden) return false;
    attribute(node, "hidden", true);
    body.replaceChildren();
    opener?.isConnected && opener.focus();
    return true;
  }

  function show(shownLine, from) {
    line = shownLine;
    opener = from;
    text(copy, "Copy as JSON");
    body.replaceChildren(...parts(parsed(line) ?? { line }, narrow, explain));
    attribute(node, "hidden", false);
    node.focus();
  }

  return { show, hide };
}

function parts(whole, narrow, explain) {
  const made = [];
  const own = [];
  let left = ROWS_MAX;
  const flags = whole.attributes?.["envoy.response_flags"];
  for (const flag of Array.isArray(flags) ? flags.slice(0, 8) : []) {
    const known = explain(flag);
    if (known) made.push(h("p", { class: "explained" }, h("b", {}, shown(flag, 12)), ` ${shown(known.what)}`));
  }
  const table = (part, members) => {
    const rows = members.slice(0, left);
    left -= rows.length;
    return h("dl", { class: "members mono" }, rows.flatMap(([key, value]) => member(part, key, value, narrow)));
  };
  for (const [key, value] of Object.entries(whole)) {
    const isGroup = ["attributes", "resource", "scope"].includes(key) && value && typeof value === "object";
    if (isGroup) made.push(h("h3", {}, key), table(key, Object.entries(value)));
    else own.push([key, value]);
  }
  const first = made.findIndex((it) => it.tagName === "H3");
  made.splice(first < 0 ? made.length : first, 0, table("", own));
  if (left <= 0) made.push(h("p", { class: "quiet" }, `Only ${ROWS_MAX} members are shown. Copy it to see all.`));
  return made;
}

function member(part, key, value, narrow) {
  const whole = typeof value === "string" ? value : JSON.stringify(value);
  const said = h("bdi", {}, shown(whole, VALUE_CHARS));
  const condition = conditionOf(part, key, value);
  const rest = whole.length - VALUE_CHARS;
  const more = rest > 0 ? h("button", { type: "button", class: "light", onclick: (event) => (text(said, shown(whole, 100_000)), event.currentTarget.remove()) }, `${rest} more characters`) : null;
  const only = condition ? h("button", { type: "button", class: "light only", title: condition, onclick: () => narrow(condition) }, "only these") : null;
  return [h("dt", {}, h("bdi", {}, shown(key, 200))), h("dd", { class: typeof value }, said, more, only)];
}
