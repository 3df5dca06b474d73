// Questions to logboom. Reading only, to the same origin only.

const KEPT_AS = "logboom.token";
/** After so long a question counts as unanswered. */
const PATIENCE_MS = 8000;
/** A longer line of the tap is left out. */
const LINE_CHARS_MAX = 4 * 1024 * 1024;

/** An answer that is not 200: what it says, and what to do. */
export class Refused extends Error {
  constructor(status, said) {
    super(typeof said?.error === "string" ? said.error : `logboom answered ${status}`);
    this.status = status;
    this.help = typeof said?.help === "string" ? said.help : "";
  }
}

/** Kept until the tab is closed, and sent in a header: never in an address, never in a cookie. */
export const token = {
  get: () => sessionStorage.getItem(KEPT_AS),
  set: (value) => (value ? sessionStorage.setItem(KEPT_AS, value) : sessionStorage.removeItem(KEPT_AS)),
};

async function ask(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const headers = {};
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  const address = `${path}?${query}`.replace(/\?$/, "");
  const answer = await fetch(address, { headers, signal, cache: "no-store", credentials: "same-origin", redirect: "error" });
  if (!answer.ok) {
    const body = await answer.text().catch(() => "");
    let said = { error: body.trim().slice(0, 1000) || `logboom answered ${answer.status}` };
    try {
      said = JSON.parse(body);
    } catch {
      // Then the text is what it says.
    }
    throw new Refused(answer.status, said);
  }
  return answer;
}

/** The JSON of one page. */
export async function get(path, parameters) {
  const answer = await ask(path, parameters, AbortSignal.timeout(PATIENCE_MS));
  return answer.json();
}

/**
 * Lines of a stream, given to `onLines` as they come, until it ends or `signal` aborts. `onStart` is called when it
 * is accepted.
 */
export async function lines(path, parameters, signal, onStart, onLines) {
  const answer = await ask(path, parameters, signal);
  onStart();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let isTooLong = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const pieces = (rest + value).split("\n");
    rest = pieces.pop();
    if (isTooLong && pieces.length > 0) {
      pieces.shift();
      isTooLong = false;
    }
    if (isTooLong || rest.length > LINE_CHARS_MAX) {
      isTooLong = true;
      rest = "";
    }
    if (pieces.length > 0) onLines(pieces);
  }
}
