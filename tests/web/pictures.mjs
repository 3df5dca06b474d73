// The pictures of the documentation: a real logboom, fed for five minutes with what a shop in a mesh would log.
//
//     PLAYWRIGHT=…/index.mjs CHROMIUM=/usr/bin/chromium node tests/web/pictures.mjs BINARY DIRECTORY [SECONDS]

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = await import(process.env.PLAYWRIGHT);
const [binary, pictures, seconds = "310"] = process.argv.slice(2);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** From, to, requests per second, usual milliseconds, share of errors, flag. */
const EDGES = [
  ["edge-gateway", "web", 210, 16], ["edge-gateway", "api", 315, 10],
  ["web", "catalog", 155, 4], ["web", "search", 78, 19], ["web", "users", 102, 2], ["web", "recommendations", 60, 9, 0.004, "UT"],
  ["api", "cart", 95, 3], ["api", "users", 130, 2], ["api", "catalog", 75, 4], ["api", "checkout", 32, 44, 0.021, "UF"],
  ["checkout", "payments", 30, 110, 0.074, "UF"], ["checkout", "inventory", 29, 6], ["checkout", "shipping", 11, 28, 0.012, "UC"],
  ["cart", "redis", 210, 1], ["catalog", "postgres", 170, 2], ["users", "postgres", 120, 2], ["inventory", "postgres", 15, 2],
  ["search", "index", 75, 11], ["recommendations", "catalog", 45, 5], ["payments", "ledger", 27, 8],
];
const TCP = new Set(["redis", "postgres"]);
const PATHS = ["/api/v1/products/1231735/reviews", "/api/v1/users/935355/orders", "/cart/88123/items", "/checkout/confirm", "/search?q=lamp", "/graphql", "/healthz"];
const any = (list) => list[Math.floor(Math.random() * list.length)];

function line([from, to, , usual, share = 0.0002, flag = "UC"], isBadTime) {
  const time = new Date().toISOString();
  const ms = Math.max(Math.round(usual * Math.exp(0.55 * (Math.random() + Math.random() + Math.random() - 1.5) * 2)), 0);
  if (TCP.has(to)) return `[${time}] - default 10.42.0.7(${from})->10.42.1.9:6379(${to}) took ${ms}ms, sent ${200 + ms * 90} bytes, received: 194 bytes\n`;
  const isBad = Math.random() < share * (isBadTime ? 3 : 1);
  const status = isBad ? 503 : Math.random() < 0.006 ? 404 : Math.random() < 0.02 ? 302 : 200;
  return `[${time}] default "${any(["GET", "GET", "GET", "POST"])} ${any(PATHS)} HTTP/1.1" ${status} ${isBad ? flag : "-"} 120 2900 ${isBad ? ms * 8 : ms} ${ms} "-" "Go-http-client/2.0" "-" "4d170249-4497-4d24-ab6f-35eeeccdc679" "${to}.mesh:9090" "${from}" "${to}" "10.42.0.7" "10.42.127.74:9090"\n`;
}

const directory = mkdtempSync(join(tmpdir(), "logboom-pictures-"));
writeFileSync(join(directory, "logboom.yaml"), "sources:\n  mesh: {type: lines, listen: 127.0.0.1:5000}\n  otlp: {type: otlp, grpc: 127.0.0.1:4317}\nsinks:\n  files: {type: file, path: logs/access.log}\n  errors: {type: file, path: logs/errors.log, when: status >= 500}\ncontrol: {socket: off}\n");
const child = spawn(binary, ["run", "-c", "logboom.yaml"], { cwd: directory, stdio: "ignore" });
let socket = null;
while (!socket) {
  await sleep(200);
  socket = await new Promise((resolve) => { const it = connect(5000, "127.0.0.1", () => resolve(it)).on("error", () => resolve(null)); });
}
const began = Date.now();
let last = began;
const timer = setInterval(() => {
  const at = (Date.now() - began) / 1000;
  const passed = (Date.now() - last) / 1000;
  last = Date.now();
  const wave = 1 + 0.13 * Math.sin(at / 41) + 0.05 * Math.sin(at / 6);
  const isBadTime = at > Number(seconds) - 150 && at < Number(seconds) - 100;
  const lines = [];
  for (const edge of EDGES) for (let owed = edge[2] * wave * passed; owed > 0; owed -= 1) if (owed >= 1 || Math.random() < owed) lines.push([Math.random(), line(edge, isBadTime)]);
  socket.write(lines.sort((a, b) => a[0] - b[0]).map((it) => it[1]).join(""));
}, 100);
await sleep(Number(seconds) * 1000);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
for (const [name, colorScheme] of [["web", "light"], ["web-dark", "dark"]]) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 940 }, colorScheme })).newPage();
  await page.goto("http://127.0.0.1:9464/");
  await sleep(4000);
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}
await browser.close();
clearInterval(timer);
socket.destroy();
child.kill("SIGTERM");
await new Promise((resolve) => child.on("exit", resolve));
rmSync(directory, { recursive: true, force: true });
