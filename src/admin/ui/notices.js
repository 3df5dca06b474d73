// What is not as it should be, in sentences, above everything else. No elements are made for what is well.

import { h, keyed, shown, text } from "./dom.js";
import { count, short, whole } from "./format.js";

const NOTICES_MAX = 6;

const READINESS = {
  starting: "logboom is starting.",
  stopping: "logboom is stopping: what was received is delivered, nothing new is taken.",
  no_sink: "No sink takes records.",
  no_journal: "The journal cannot be written.",
};

/** `[look, sentence]`, the worst first; `error` for what is lost or fails, `warn` for what waits. */
export function troubles(health) {
  const found = [];
  const rates = health.rates ?? {};
  if (health.ledger?.imbalance_records !== 0 && health.ledger) found.push(["error", `${whole(health.ledger.imbalance_records)} records are unaccounted for. This is a bug, please report it.`]);
  if (READINESS[health.readiness]) found.push([health.readiness === "starting" ? "warn" : "error", READINESS[health.readiness]]);
  if (health.journal?.full) found.push(["error", `The journal is full (${health.journal.full === "max" ? "max is used up" : "the disk is full"}): sources wait until the sink that is furthest behind has caught up.`]);
  if (health.journal && !health.journal.healthy && health.readiness !== "no_journal") found.push(["error", `The journal's disk refuses: ${shown(health.journal.last_error ?? "no reason was given", 300)}`]);
  for (const [name, sink] of Object.entries(health.sinks ?? {})) {
    const rate = rates.sinks?.[name] ?? {};
    const who = `Sink ${shown(name, 60)}`;
    const behind = sink.deferred_records > 0 ? ` ${count(sink.deferred_records)} records wait for it in the journal.` : "";
    if (sink.state === "failing") found.push(["error", `${who} fails: ${shown(sink.error ?? "no reason was given", 300)}.${behind}`]);
    else if (sink.deferred_records > 0) found.push(["warn", `${who} is behind.${behind}`]);
    else if (sink.state === "full") found.push(["warn", `${who} is full: it is slower than what comes.`]);
    if (rate.shed_s > 0) found.push(["error", `${who} misses ${short(rate.shed_s)} records/s: it has no room.`]);
    if (rate.failed_s > 0) found.push(["error", `${who} gave up ${short(rate.failed_s)} records/s: they were refused.`]);
  }
  for (const [name, rate] of Object.entries(rates.sources ?? {})) {
    if (rate.rejected_s > 0) found.push(["error", `Source ${shown(name, 60)} refuses ${short(rate.rejected_s)} records/s.`]);
  }
  const rank = { error: 0, warn: 1 };
  return found.sort((a, b) => rank[a[0]] - rank[b[0]]);
}

/**
 * Makes the strip; `update(health, lost)` where `lost` is a sentence about the connection, or nothing. What is new is
 * written to `aloud`, too, which is read out: not each figure that changes.
 */
export function notices(root, aloud) {
  let known = "";
  return {
    update(health, lost) {
      const all = [...(lost ? [["error", lost]] : []), ...(health && !lost ? troubles(health) : [])];
      const rows = all.slice(0, NOTICES_MAX);
      if (all.length > rows.length) rows.push(["warn", `and ${all.length - rows.length} more`]);
      const kinds = rows.map((it) => it[1].replace(/[\d.:]+/g, "")).join("\n");
      if (kinds !== known) text(aloud, rows.map((it) => it[1]).join(" "));
      known = kinds;
      keyed(root, rows.map((it, at) => [...it, at]), (it) => it[2], () => {
        const node = h("p", {});
        return {
          node,
          update([look, sentence]) {
            node.className = look;
            text(node, sentence);
          },
        };
      });
    },
  };
}
