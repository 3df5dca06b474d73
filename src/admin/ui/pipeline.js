// Where records come from, where they wait, and where they go: sources, journal, sinks, and the account of all.

import { attribute, h, keyed, shown, text } from "./dom.js";
import { bytes, count, short, span, whole } from "./format.js";

const ROWS_MAX = 64;

/** Makes the section; `update(health)` shows an answer of /api/health. */
export function pipeline(root) {
  const sources = table(["Source", "Listens on", "Records/s", "Bytes/s", "Connections", "Refused", "Received"]);
  const sinks = table(["Sink", "State", "Delivered/s", "Inbox", "Behind", "Missed", "Failed", "Left out", "Delivered"]);
  const journal = h("dl", { class: "facts" });
  const memory = h("dl", { class: "facts" });
  const account = h("dl", { class: "facts" });
  const line = h("p", { class: "quiet account" });
  root.append(
    h("div", { class: "head" }, h("h2", {}, "Sources")),
    sources.node,
    h("div", { class: "head" }, h("h2", {}, "Sinks")),
    sinks.node,
    h(
      "div",
      { class: "columns" },
      h("div", {}, h("h2", {}, "Journal"), journal),
      h("div", {}, h("h2", {}, "Memory"), memory),
      h("div", {}, h("h2", {}, "Account"), account, line),
    ),
  );
  return {
    update(health) {
      const rates = health.rates ?? {};
      const named = (members) => Object.entries(members ?? {}).slice(0, ROWS_MAX);
      sources.update(
        named(health.sources).map(([name, it]) => {
          const rate = rates.sources?.[name] ?? {};
          return {
            name,
            cells: [
              { text: `${shown(name, 60)}`, note: it.type },
              { text: (it.listen ?? []).map((address) => shown(address, 80)).join(", ") || "–", isMono: true },
              { text: short(rate.records_s ?? NaN) },
              { text: bytes(rate.bytes_s ?? NaN) },
              { text: count(it.connections) },
              { text: count(it.rejected_records), look: rate.rejected_s > 0 ? "error" : null, note: rate.rejected_s > 0 ? `${short(rate.rejected_s)}/s` : "" },
              { text: count(it.received_records) },
            ],
          };
        }),
      );
      sinks.update(
        named(health.sinks).map(([name, it]) => {
          const rate = rates.sinks?.[name] ?? {};
          const missed = it.shed_full_records + it.shed_hold_records + it.shed_stopped_records + (it.expired_records ?? 0);
          return {
            name,
            cells: [
              { text: shown(name, 60), note: it.type },
              { text: STATE[it.state] ?? shown(it.state, 40), look: LOOK[it.state], title: it.error ? shown(it.error, 1000) : null },
              { text: short(rate.delivered_s ?? NaN) },
              { text: `${bytes(it.inbox_bytes)} of ${bytes(it.inbox_capacity_bytes)}`, gauge: it.inbox_bytes / Math.max(it.inbox_capacity_bytes, 1) },
              { text: count(it.deferred_records ?? 0), look: it.deferred_records > 0 ? "warn" : null },
              { text: count(missed), look: rate.shed_s > 0 ? "error" : null },
              { text: count(it.failed_records + it.abandoned_records), look: rate.failed_s > 0 ? "error" : null },
              { text: count(it.filtered_records) },
              { text: count(it.delivered_records) },
            ],
          };
        }),
      );
      facts(journal, journalFacts(health.journal, rates.journal));
      facts(memory, [
        ["in flight", `${bytes(health.memory_reserved_bytes)} of ${bytes(health.memory_budget_bytes)}`, null, health.memory_reserved_bytes / Math.max(health.memory_budget_bytes, 1)],
        ["most the process can need", bytes(health.memory_bound_bytes)],
        ["up", span(health.uptime_seconds)],
        ["configuration read again", `${count(health.reloads?.ok ?? 0)} times${health.reloads?.failed > 0 ? `, refused ${count(health.reloads.failed)} times` : ""}`, health.reloads?.failed > 0 ? "warn" : null],
      ]);
      const ledger = health.ledger ?? {};
      facts(account, [
        ["received", whole(ledger.received_records)],
        ["refused, and the sender was told", whole(ledger.rejected_records), ledger.rejected_records > 0 ? "warn" : null],
        ["under way", whole((ledger.in_intake_records ?? 0) + (ledger.undelivered_records ?? 0))],
        ["unaccounted for", whole(ledger.imbalance_records), ledger.imbalance_records !== 0 ? "error" : null],
      ]);
      text(line, ledger.imbalance_records === 0 ? "Every record is accounted for." : "The account does not balance: this is a bug, please report it.");
    },
  };
}

const STATE = { healthy: "healthy", full: "full", failing: "failing" };
const LOOK = { full: "warn", failing: "error" };

function journalFacts(it, rate) {
  if (!it) return [["none", "what is in memory is lost when the process is killed"]];
  const rows = [
    ["on disk", `${bytes(it.bytes)} of ${bytes(it.max_bytes)}`, it.full ? "error" : null, it.bytes / Math.max(it.max_bytes, 1)],
    ["entries", `${short(rate?.entries_s ?? NaN)}/s`],
    ["disk", it.healthy ? "writes" : "refuses to write", it.healthy ? null : "error"],
  ];
  if (it.full) rows.push(["full", it.full === "max" ? "max is used up" : "the disk is full", "error"]);
  if (it.last_error) rows.push(["last trouble", shown(it.last_error, 300)]);
  if (it.corrupt_ranges + it.missing_entries > 0) rows.push(["damage", `${whole(it.corrupt_ranges)} ranges, ${whole(it.missing_entries)} entries missing`, "error"]);
  return rows;
}

function facts(list, rows) {
  keyed(list, rows, (it) => it[0], ([name]) => {
    const value = h("span", {});
    const bar = h("i", { class: "gauge", hidden: true });
    const node = h("div", {}, h("dt", {}, name), h("dd", { class: "number" }, value, bar));
    return {
      node,
      update([, said, look, share]) {
        text(value, said);
        attribute(value, "class", look ?? null);
        attribute(bar, "hidden", share === undefined);
        if (share !== undefined) bar.style.setProperty("--share", String(Math.min(Math.max(share, 0), 1)));
      },
    };
  });
}

function table(heads) {
  const body = h("tbody", {});
  return {
    node: h("div", { class: "scroll" }, h("table", { class: "facts-table" }, h("thead", {}, h("tr", {}, heads.map((it, at) => h("th", { scope: "col", class: at > 1 ? "number" : null }, it)))), body)),
    update(rows) {
      keyed(body, rows, (it) => it.name, ({ cells }) => {
        const made = cells.map((_, at) => {
          const value = h("span", {});
          const note = h("small", { class: "quiet" });
          const gauge = h("i", { class: "gauge", hidden: true });
          return { value, note, gauge, node: h("td", { class: at > 1 ? "number" : null }, value, " ", note, gauge) };
        });
        return {
          node: h("tr", {}, made.map((it) => it.node)),
          update({ cells: now }) {
            now.forEach((cell, at) => {
              text(made[at].value, cell.text);
              text(made[at].note, cell.note ?? "");
              attribute(made[at].value, "class", [cell.look, cell.isMono ? "mono" : null].filter(Boolean).join(" ") || null);
              attribute(made[at].node, "title", cell.title ?? null);
              attribute(made[at].gauge, "hidden", cell.gauge === undefined);
              if (cell.gauge !== undefined) made[at].gauge.style.setProperty("--share", String(Math.min(Math.max(cell.gauge, 0), 1)));
            });
          },
        };
      });
    },
  };
}
