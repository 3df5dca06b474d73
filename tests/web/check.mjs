// What the page must do and must never do. See run.sh.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "./mock.mjs";

const { chromium } = await import(process.env.PLAYWRIGHT);
const [binary, ...flags] = process.argv.slice(2);
const isSmoke = flags.includes("--smoke");
const pictures = flags.includes("--pictures") ? flags[flags.indexOf("--pictures") + 1] : null;
const LOAD_MS = isSmoke ? 12_000 : 120_000;
/** Elements of the page at most, whatever comes. */
const ELEMENTS_MAX = 6000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const directory = mkdtempSync(join(tmpdir(), "logboom-web-"));
const children = [];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const port = () => new Promise((resolve) => { const it = createServer().listen(0, "127.0.0.1", () => { const { port } = it.address(); it.close(() => resolve(port)); }); });

async function eventually(what, holds, patience = 30_000) {
  const until = Date.now() + patience;
  for (;;) {
    const last = await holds();
    if (last) return last;
    assert.ok(Date.now() < until, `never happened: ${what}`);
    await sleep(100);
  }
}

function run(args) {
  const child = spawn(binary, args, { cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
  child.log = "";
  child.stderr.on("data", (text) => (child.log = (child.log + text).slice(-100_000)));
  children.push(child);
  return child;
}

function end(child) {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on("exit", resolve);
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 15_000).unref();
  });
}

/** A logboom of its own, ready. `admin` is added to its settings. */
async function start(sinks = "  null: {type: 'null'}", admin = "", more = "") {
  const [lines, otlp, page] = [await port(), await port(), await port()];
  const [file, socket] = [join(directory, `${page}.yaml`), join(directory, `${page}.sock`)];
  writeFileSync(file, `sources:\n  mesh: {type: lines, listen: 127.0.0.1:${lines}}\n  otlp: {type: otlp, grpc: 127.0.0.1:${otlp}}\nsinks:\n${sinks}\nadmin: {listen: 127.0.0.1:${page}${admin}}\ncontrol: {socket: ${socket}}\n${more}`);
  const child = run(["run", "-c", file]);
  await eventually(`it is ready: ${child.log}`, () => child.log.includes(" ready: "));
  const url = `http://127.0.0.1:${page}`;
  return { child, lines, otlp, url, socket, metric: async (series) => metric(await (await fetch(`${url}/metrics`)).text(), series) };
}

function metric(text, series) {
  const line = text.split("\n").find((it) => it.startsWith(`${series} `));
  assert.ok(line, `there is no ${series}`);
  return Number(line.slice(series.length + 1));
}

const load = (server, ...args) => run(["gen", "--to", `lines://127.0.0.1:${server.lines}`, ...args]);

/** A tab that notices everything that must not happen. */
async function open(url, settings = {}, allowed = () => false) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...settings });
  const page = await context.newPage();
  const wrong = [];
  page.on("dialog", (it) => (wrong.push(`dialog: ${it.message()}`), it.dismiss()));
  page.on("pageerror", (it) => wrong.push(`error: ${it.stack}`));
  page.on("console", (it) => ["error", "warning"].includes(it.type()) && !allowed(it.text()) && wrong.push(`console: ${it.text()}`));
  page.on("popup", () => wrong.push("a window was opened"));
  page.on("download", () => wrong.push("a download"));
  page.on("request", (it) => !it.url().startsWith(url) && !it.url().startsWith("data:") && wrong.push(`asked outside: ${it.url()}`));
  page.on("framenavigated", (it) => it === page.mainFrame() && !it.url().startsWith(url) && it.url() !== "about:blank" && wrong.push(`went to ${it.url()}`));
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (it) => window.violations.push(`${it.violatedDirective} ${it.blockedURI}`));
  });
  await page.goto(`${url}/`);
  return {
    page,
    close: () => context.close(),
    /** Nothing ran, nothing was asked of others, nothing was forbidden and tried. */
    async isClean() {
      assert.deepEqual(wrong, []);
      const state = await page.evaluate(() => ({
        pwned: window.__pwned,
        violations: window.violations,
        // What the page itself makes; anything else came out of a log.
        foreign: [...document.querySelectorAll("script, img, iframe, object, embed, link, style, base, meta, audio, video")].map((it) => it.outerHTML).filter((it) => !/\/ui\/|viewport|color-scheme|charset/.test(it)),
        handlers: [...document.querySelectorAll("*")].filter((it) => [...it.attributes].some((at) => at.name.startsWith("on"))).length,
        title: document.title,
      }));
      assert.deepEqual(state, { pwned: undefined, violations: [], foreign: [], handlers: 0, title: "logboom" });
    },
    text: (selector) => page.locator(selector).innerText(),
    size: () => page.evaluate(() => ({ elements: document.getElementsByTagName("*").length, records: document.querySelectorAll(".record").length, rows: document.querySelectorAll("#edges tbody tr").length })),
  };
}

/** The number that a figure shows: `12.5 k` is 12500. */
function number(text) {
  const [, digits, unit] = /([\d.]+)\s*([kMGT]?)/.exec(text.replaceAll("\u202f", "")) ?? [];
  assert.ok(digits, `no number in ${JSON.stringify(text)}`);
  return Number(digits) * { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 }[unit];
}

function near(what, shown, real, share) {
  assert.ok(Math.abs(shown - real) <= Math.max(Math.abs(real) * share, 1), `${what}: the page shows ${shown}, it is ${real}`);
}

/** Watched from everywhere at 100,000 records a second: not one of the checks, because it wants a machine of its own. */
const watched = {
  async "the page, top, a tap and hostile lines take nothing of 100,000 records/s, and no memory"() {
    const seconds = LOAD_MS / 1000;
    const server = await start(`  files: {type: file, path: ${join(directory, "all.log")}, encoding: json, rotate: {size: 256MiB}, keep: {files: 1}}`);
    const sender = load(server, "--rate", "100k", "--format", "mixed");
    /** Records and CPU seconds of a stretch of time, and resident MiB at its end. */
    const measure = async () => {
      const look = async () => {
        const stat = readFileSync(`/proc/${server.child.pid}/stat`, "utf8").split(") ")[1].split(" ");
        const records = await server.metric('logboom_received_records_total{source="mesh"}');
        return { at: Date.now() / 1000, records, cpu: (Number(stat[11]) + Number(stat[12])) / 100 };
      };
      const before = await look();
      await sleep(seconds * 500);
      const after = await look();
      const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, "utf8"))[1]) / 1024;
      return { rate: (after.records - before.records) / (after.at - before.at), us: ((after.cpu - before.cpu) * 1e6) / (after.records - before.records), rss };
    };
    const say = (what, it) => console.log(`      ${what}: ${it.rate.toFixed(0)} records/s, ${it.us.toFixed(2)} us of CPU a record, ${it.rss.toFixed(1)} MiB resident`);
    await sleep(5000);
    const plain = await measure();
    say("nobody looks", plain);
    const tab = await open(server.url);
    const top = spawn("script", ["-qfc", `${binary} top --socket ${server.socket}`, "/dev/null"], { stdio: "ignore" });
    const tap = spawn(binary, ["tap", "--socket", server.socket], { stdio: "ignore" });
    await eventually("records", async () => (await tab.size()).records > 50);
    const first = await measure();
    say("page, top and tap", first);
    const hostile = load(server, "--rate", "300", "--format", "mixed", "--hostile");
    const own = await lines(server.lines);
    const writing = setInterval(() => own.write(HOSTILE.join("")), 200);
    const last = await measure();
    say("hostile lines among it", last);
    clearInterval(writing);
    for (const it of [first, last]) assert.ok(it.rate >= 0.97 * plain.rate, `${it.rate} of ${plain.rate} records/s`);
    assert.ok(last.rss <= first.rss + 8, `${first.rss} MiB, later ${last.rss}`);
    const size = await tab.size();
    assert.ok(size.elements < ELEMENTS_MAX && size.records <= 250 && size.rows <= 120, JSON.stringify(size));
    await tab.isClean();
    own.destroy();
    top.kill();
    tap.kill();
    await tab.close();
    await Promise.all([end(sender), end(hostile)]);
    await end(server.child);
    assert.match(server.child.log, /ledger: .*files: delivered \d+, shed 0, failed 0, undelivered 0/);
  },
};

const checks = flags.includes("--watched") ? watched : {
  async "before there is traffic it says where to send it"() {
    const server = await start();
    const tab = await open(server.url);
    await eventually("the empty page", async () => (await tab.text(".empty")).includes(`127.0.0.1:${server.lines}`));
    const said = await tab.text(".empty");
    assert.ok(said.includes("No traffic yet") && said.includes(`127.0.0.1:${server.otlp}`) && said.includes("MeshAccessLog"), said);
    await tab.isClean();
    await tab.close();
    await end(server.child);
  },

  async "under load, hostile lines among it: figures agree, the page stays small, nothing runs"() {
    const server = await start();
    const rate = 4000;
    const calm = load(server, "--rate", "4k", "--format", "kuma-http");
    const tab = await open(server.url);
    await eventually("edges", async () => (await tab.size()).rows > 3);
    await eventually("records", async () => (await tab.size()).records > 50);
    await sleep(LOAD_MS / 2);
    const before = [await server.metric('logboom_received_records_total{source="mesh"}'), Date.now()];
    await sleep(5000);
    const received = ((await server.metric('logboom_received_records_total{source="mesh"}')) - before[0]) / ((Date.now() - before[1]) / 1000);
    near("requests", number(await tab.page.locator("#vitals .figure").first().innerText()), received, 0.15);
    near("requests, as asked for", received, rate, 0.2);
    const edges = await tab.page.locator("#edges tbody td.c-rps").allInnerTexts();
    near("the sum of the edges", edges.reduce((sum, it) => sum + number(it), 0), received, 0.15);
    assert.match(await tab.text("#tail .head"), /skipped/);
    await tab.isClean();

    const hostile = load(server, "--rate", "300", "--format", "mixed", "--hostile");
    const own = await lines(server.lines);
    const until = Date.now() + LOAD_MS / 2;
    while (Date.now() < until) {
      own.write(HOSTILE.join(""));
      await sleep(200);
      const size = await tab.size();
      assert.ok(size.elements < ELEMENTS_MAX && size.records <= 250 && size.rows <= 120, JSON.stringify(size));
    }
    await eventually("the hostile names", async () => (await tab.page.locator("#edges td[title*='<img src=x']").count()) > 0);
    // Their records, and all that one has.
    await tab.page.fill("#tail input", 'source.contains("img") || method == "PWN"');
    await tab.page.keyboard.press("Enter");
    await eventually("hostile records alone", async () => {
      own.write(HOSTILE.join(""));
      return (await tab.text("#tail .records")).includes("<img");
    });
    await tab.page.keyboard.press("Escape");
    await tab.page.locator("#tail button", { hasText: "Pause" }).click();
    await tab.page.locator(".record", { hasText: "<img" }).last().click();
    await eventually("all of a record", async () => (await tab.text(".drawer")).includes("kuma.source.service"));
    assert.ok((await tab.text(".drawer")).includes("<img src=x onerror="));
    await tab.page.keyboard.press("Escape");
    // A name that turns the direction of text is written out.
    await tab.page.fill("#controls input", "gnp.exe");
    await eventually("the search", async () => (await tab.page.locator("#edges td[title*='u{202e}gnp.exe']").count()) > 0);
    assert.ok(!/[\u202a-\u202e\u2066-\u2069\u0000-\u0008\u001b]/.test(await tab.text("body")));
    await tab.isClean();
    own.destroy();
    await tab.close();
    await Promise.all([end(calm), end(hostile)]);
    await end(server.child);
    assert.ok(server.child.log.includes("ledger: "), server.child.log);
  },

  async "what is chosen is what is shown, by pointer and by keys"() {
    const server = await start();
    const sender = load(server, "--rate", "400");
    const tab = await open(server.url);
    await eventually("edges", async () => (await tab.size()).rows > 6);
    const all = (await tab.size()).rows;
    const first = tab.page.locator("#map .service").first();
    const name = (await first.getAttribute("aria-label")).split(":")[0];
    await first.focus();
    await tab.page.keyboard.press("Enter");
    await eventually("fewer rows", async () => (await tab.size()).rows < all);
    for (const row of await tab.page.locator("#edges tbody td.c-name").all()) assert.ok((await row.getAttribute("title")).includes(name));
    await eventually("records of it alone", async () => {
      const ways = await tab.page.locator(".record .way").allInnerTexts();
      return ways.length > 0 && ways.slice(-5).every((it) => it.includes(name));
    });
    await tab.page.keyboard.press("Escape");
    await eventually("all rows again", async () => (await tab.size()).rows >= all);
    const row = tab.page.locator("#edges tbody tr").first();
    await row.focus();
    await tab.page.keyboard.press("ArrowDown");
    await tab.page.keyboard.press("Enter");
    await eventually("an edge is chosen", async () => (await tab.text("#chosen")).includes("→"));
    await tab.page.keyboard.press("Escape");
    await tab.page.locator("#edges th button", { hasText: "p99" }).click();
    assert.equal(await tab.page.locator("#edges th.c-p99").getAttribute("aria-sort"), "descending");
    await tab.page.keyboard.press("w");
    await tab.page.keyboard.type("statuss >= 500");
    await tab.page.keyboard.press("Enter");
    await eventually("the mistake is told", async () => (await tab.text("#tail .complaint")).includes("statuss"));
    await tab.close();
    await end(sender);
    await end(server.child);
  },

  async "nobody looks: nothing is asked; logboom is away: it says so, and comes back"() {
    const server = await start();
    const tab = await open(server.url, {}, (text) => text.includes("Failed to load resource"));
    let asked = 0;
    tab.page.on("request", () => (asked += 1));
    await eventually("it asks", () => asked > 3);
    await tab.page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await sleep(1500);
    asked = 0;
    await sleep(3000);
    assert.equal(asked, 0, "it asks while hidden");
    await tab.page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: false, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await eventually("it asks again", () => asked > 2);
    await end(server.child);
    await eventually("it is lost", async () => (await tab.text("#notices")).includes("No answer from logboom"));
    run(server.child.spawnargs.slice(1));
    await eventually("it is back", async () => (await tab.text("#notices")) === "", 40_000);
    await tab.close();
    await Promise.all(children.map(end));
  },

  async "an upstream that is away, and a journal that grows, are told in words"() {
    const dead = await port();
    const server = await start(`  upstream: {type: otlp, endpoint: 'http://127.0.0.1:${dead}', inbox: 1MiB}`, "", `journal: {dir: ${join(directory, "journal")}, max: 256MiB, mode: buffered}\n`);
    const sender = load(server, "--rate", "20k");
    const tab = await open(server.url);
    await eventually("the trouble", async () => /Sink upstream fails: [\s\S]*wait for it in the journal/.test(await tab.text("#notices")), 60_000);
    assert.match(await tab.text("#pipeline"), /failing/);
    await tab.isClean();
    if (pictures) await tab.page.screenshot({ path: join(pictures, "trouble.png") });
    await tab.close();
    await end(sender);
    await end(server.child);
  },

  async "every state of the mock, on large and small screens, light and dark"() {
    if (pictures) mkdirSync(pictures, { recursive: true });
    const screens = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
    for (const scenario of ["none", "quiet", "unread", "few", "mesh", "many", "hostile", "trouble", "locked"]) {
      const mock = await serve(scenario);
      const url = `http://127.0.0.1:${mock.address().port}`;
      for (const [screen, viewport] of Object.entries(screens)) {
        for (const colorScheme of isSmoke && !pictures ? ["dark"] : ["light", "dark"]) {
          const tab = await open(url, { viewport, colorScheme }, (text) => text.includes("401"));
          if (scenario === "locked") {
            await tab.page.fill("#token", "secret");
            await tab.page.keyboard.press("Enter");
          }
          await eventually(`${scenario} is shown`, async () => (await tab.text("#about")).includes("records/s"));
          await sleep(pictures ? 2500 : 700);
          const size = await tab.size();
          assert.ok(size.elements < ELEMENTS_MAX && size.rows <= 120, `${scenario}: ${JSON.stringify(size)}`);
          const { wide, view } = await tab.page.evaluate(() => ({ wide: document.documentElement.scrollWidth, view: innerWidth }));
          assert.ok(wide <= view, `${scenario} on ${screen}: ${wide} in ${view}`);
          await tab.isClean();
          if (pictures) await tab.page.screenshot({ path: join(pictures, `${scenario}-${screen}-${colorScheme}.png`) });
          await tab.close();
        }
      }
      mock.closeAllConnections();
      mock.close();
    }
  },
};

/** Access logs whose values are what an attacker would write. */
const HOSTILE = ["<img src=x onerror=window.__pwned=1>", "</script><script>window.__pwned=2</script>", "\u202egnp.exe", "javascript:window.__pwned=3", "__proto__", "x".repeat(200)].map(
  (it) => `${JSON.stringify({ start_time: "2026-11-20T11:48:37.057Z", method: "PWN", path: `/${it}`, response_code: 503, response_flags: "UF", duration: 12, kuma_mesh: "default", kuma_source_service: it, kuma_destination_service: `to ${it}`, [it]: it })}\n`,
);

/** A connection to a source of lines. */
async function lines(at) {
  const { connect } = await import("node:net");
  const socket = connect(at, "127.0.0.1");
  socket.on("error", () => {});
  await new Promise((resolve) => socket.on("connect", resolve));
  return socket;
}

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const began = Date.now();
  try {
    await check();
    console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(0)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}\n${error.stack}`);
    for (const child of children) await end(child);
  }
}
await browser.close();
rmSync(directory, { recursive: true, force: true });
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
