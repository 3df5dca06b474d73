// A logboom that is not there: the page's own files and invented answers, to look at the page in every state.
//
//     node tests/web/mock.mjs [PORT]        then http://127.0.0.1:PORT/?scenario=mesh

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { answer, scenarios } from "./scenarios.mjs";

const UI = join(dirname(fileURLToPath(import.meta.url)), "../../src/admin/ui");
const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Serves a scenario until it is closed. */
export function serve(scenario, port = 0) {
  let current = scenario;
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://mock");
    if (url.searchParams.has("scenario")) current = url.searchParams.get("scenario");
    const file = url.pathname === "/" ? "index.html" : /^\/ui\/([a-z]+\.[a-z]+)$/.exec(url.pathname)?.[1];
    if (file) {
      try {
        const body = readFileSync(join(UI, file));
        response.writeHead(200, { "content-type": TYPES[file.split(".")[1]], "content-security-policy": POLICY, "cache-control": "no-store" });
        response.end(body);
      } catch {
        response.writeHead(404).end();
      }
      return;
    }
    answer(scenarios[current], url, response);
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await serve("mesh", Number(process.argv[2] ?? 9465));
  console.log(`http://127.0.0.1:${server.address().port}/`);
}
