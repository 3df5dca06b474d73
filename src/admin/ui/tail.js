// The live tail: records as they come, with a condition, as many as a person can look at.

import { Refused, lines } from "./api.js";
import { attribute, h, shown, text } from "./dom.js";
import { clock, clockMillis, count, millis, short } from "./format.js";
import { both, parsed, rowOf } from "./row.js";

/** Records per second that are asked for. Nobody reads more, and the page stays light at any rate of traffic. */
const RATE = 30;
const ROWS_MAX = 250;
/** Characters of all records that are kept to be looked at. */
const KEPT_MAX = 8_000_000;
const DRAW_MS = 200;
const AGAIN_MS = [1000, 2000, 5000, 10_000];

/** `open(line)` shows one record; `onDenied` is told when a token is missing. */
export function tail(root, open, onDenied) {
  const state = h("p", { class: "quiet" });
  const where = h("input", { type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", maxlength: 4000, "aria-label": "Condition in CEL", placeholder: 'all records; or a condition: status >= 500 || flags != ""', class: "mono" });
  const scope = h("span", { class: "scope mono", hidden: true });
  const complaint = h("p", { class: "complaint", hidden: true, role: "alert" });
  const hold = h("button", { type: "button", onclick: () => setHeld(!isHeld) }, "Pause");
  const preset = (name, condition) => h("button", { type: "button", class: "light", onclick: () => api.narrow(condition, true) }, name);
  const form = h(
    "form",
    { class: "where" },
    h("label", { class: "quiet" }, "where"),
    scope,
    where,
    preset("errors", 'status >= 500 || flags != "" || severity_number >= 17'),
    preset("slow", "duration_ms >= 1000"),
    preset("all", ""),
    hold,
  );
  const list = h("div", { class: "records mono", role: "log", "aria-live": "off", tabindex: 0, "aria-label": "Records" });
  const more = h("button", { type: "button", class: "more", hidden: true, onclick: () => follow() });
  const none = h("p", { class: "quiet nothing" });
  root.append(h("div", { class: "head" }, h("h2", {}, "Live tail"), state), form, complaint, h("div", { class: "pane" }, list, none, more));

  let isHeld = false;
  let isFollowing = true;
  let isAsleep = false;
  let chosenCondition = "";
  /** Of what is in the list. */
  let shownCondition = "";
  let pending = [];
  let rows = [];
  let keptChars = 0;
  let [seen, skipped, failures, lastSeen, rate] = [0, 0, 0, 0, 0];
  let connection = null;
  let said = "";
  let timer = null;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    restart();
  });
  list.addEventListener("scroll", () => {
    isFollowing = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    if (isFollowing) draw();
  });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".record");
    if (row) open(row.line, row);
  });
  list.addEventListener("keydown", (event) => {
    const row = event.target.closest(".record");
    const to = { ArrowDown: row ? row.nextElementSibling : list.lastElementChild, ArrowUp: row ? row.previousElementSibling : list.lastElementChild }[event.key];
    if (to) {
      event.preventDefault();
      to.focus();
    }
    if (row && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      open(row.line, row);
    }
  });
  setInterval(() => {
    rate = Math.max(seen - lastSeen, 0);
    lastSeen = seen;
    tell();
  }, 1000);
  setInterval(draw, DRAW_MS);

  function stop() {
    clearTimeout(timer);
    connection?.abort();
    connection = null;
  }

  function restart() {
    stop();
    failures = 0;
    if (!isHeld && !isAsleep) connect();
    tell();
  }

  async function connect() {
    const own = (connection = new AbortController());
    const isOwn = () => connection === own;
    const condition = both(chosenCondition, where.value.trim());
    said = "connecting";
    try {
      await lines(
        "/api/tap",
        { where: condition, rate: RATE },
        own.signal,
        () => {
          failures = 0;
          said = "";
          complain(null);
          if (condition !== shownCondition) clear();
          shownCondition = condition;
          tell();
        },
        (pieces) => isOwn() && pieces.forEach(take),
      );
      if (isOwn()) again("the stream has ended");
    } catch (error) {
      if (!isOwn()) return;
      if (error instanceof Refused && [400, 403, 404].includes(error.status)) {
        said = "not running";
        complain(error);
      } else if (error instanceof Refused && error.status === 401) {
        said = "not running";
        onDenied();
      } else if (error instanceof Refused) {
        again(error.message);
      } else {
        again("no answer");
      }
    }
    tell();
  }

  function again(why) {
    const pause = AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)];
    failures += 1;
    said = `${shown(why, 200)}, trying again`;
    timer = setTimeout(() => !isHeld && !isAsleep && connect(), pause);
  }

  function take(line) {
    if (line === "") return;
    if (line.startsWith('{"skipped":')) {
      skipped += Number(parsed(line)?.skipped) || 0;
      return;
    }
    seen += 1;
    pending.push(line);
    if (pending.length > ROWS_MAX) pending.shift();
  }

  function draw() {
    const isThere = pending.length > 0;
    attribute(more, "hidden", isFollowing || !isThere);
    if (!isThere) return;
    if (!isFollowing) {
      text(more, pending.length >= ROWS_MAX ? `${ROWS_MAX} and more below` : `${pending.length} more below`);
      return;
    }
    const made = document.createDocumentFragment();
    for (const line of pending) {
      const row = rowPart(line);
      rows.push(row);
      keptChars += line.length;
      made.append(row);
    }
    pending = [];
    list.append(made);
    trim();
    list.scrollTop = list.scrollHeight;
    attribute(none, "hidden", true);
  }

  /** What was there is no answer to what is asked now. */
  function clear() {
    for (const row of rows) row.remove();
    [rows, pending, keptChars, skipped] = [[], [], 0, 0];
    isFollowing = true;
  }

  function trim() {
    let gone = 0;
    while (rows.length - gone > ROWS_MAX || (keptChars > KEPT_MAX && rows.length - gone > 1)) {
      keptChars -= rows[gone].line?.length ?? 0;
      rows[gone].remove();
      gone += 1;
    }
    if (gone > 0) rows = rows.slice(gone);
  }

  function follow() {
    isFollowing = true;
    draw();
    list.scrollTop = list.scrollHeight;
  }

  function setHeld(held) {
    isHeld = held;
    text(hold, isHeld ? "Go on" : "Pause");
    attribute(hold, "aria-pressed", String(isHeld));
    if (isHeld) {
      stop();
      draw();
    } else {
      divide(`paused until ${clock(Date.now())}`);
      restart();
    }
    tell();
  }

  function divide(words) {
    if (rows.length === 0) return;
    const row = h("div", { class: "divider" }, words);
    rows.push(row);
    list.append(row);
    trim();
  }

  function complain(error) {
    attribute(complaint, "hidden", !error);
    attribute(where, "aria-invalid", error ? "true" : null);
    text(complaint, error ? [error.message, error.help].filter(Boolean).map((it) => shown(it, 600)).join(" — ") : "");
  }

  function tell() {
    const left = skipped > 0 ? ` · ${count(skipped)} skipped: at most ${RATE} a second are shown` : "";
    text(state, isHeld ? "paused; nothing is fetched" : isAsleep ? "asleep" : said || `${short(rate)}/s${left}`);
    if (rows.length === 0) {
      attribute(none, "hidden", false);
      text(none, isHeld || said ? "" : both(chosenCondition, where.value.trim()) ? "No record has met the condition yet." : "No record has come yet.");
    }
  }

  const api = {
    start: restart,
    /** Stops while nobody looks, and goes on after that. */
    sleep(asleep) {
      isAsleep = asleep;
      if (asleep) stop();
      else restart();
    },
    /** The page shows a part only: so does the tail. */
    scope(condition, name) {
      if (condition === chosenCondition) return;
      chosenCondition = condition;
      attribute(scope, "hidden", !condition);
      text(scope, condition ? `${name} and` : "");
      attribute(scope, "title", condition || null);
      restart();
    },
    /** Adds a condition, or replaces what is there. */
    narrow(condition, isInstead = false) {
      where.value = isInstead ? condition : both(where.value.trim(), condition);
      restart();
    },
    toggle: () => setHeld(!isHeld),
    focus: () => where.focus(),
  };
  return api;
}

function rowPart(line) {
  const it = rowOf(line);
  const cell = (look, value, longest) => h("span", { class: look }, value === "" ? "" : h("bdi", {}, shown(value, longest)));
  const row = h(
    "div",
    { class: `record ${it.level}`, tabindex: -1 },
    cell("time", it.time === null || Number.isNaN(it.time) ? "" : clockMillis(it.time), 20),
    cell("status", it.status, 8),
    cell("method", it.method, 10),
    cell("way", it.way, 120),
    cell("what", it.what, 300),
    cell("flag", it.flags, 24),
    cell("duration", it.duration === null ? "" : millis(it.duration), 20),
  );
  row.line = line;
  return row;
}
