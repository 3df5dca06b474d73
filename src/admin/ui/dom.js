// Elements out of values. The only way in which this page makes elements: text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((it) => it !== null && it !== undefined && it !== false));
  return element;
}

/** An element with attributes; members that begin with `on` are listeners. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for drawings. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Sets text only where it differs: an unchanged node is neither laid out again nor read out again. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
  return node;
}

/** The same for an attribute; `null` removes it. */
export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const written = value === true ? "" : String(value);
  if (node.getAttribute(name) !== written) node.setAttribute(name, written);
}

/**
 * Makes the children of `parent` those of `items`, one for each, in order, and keeps those that are there.
 * `make` gives an object with `node` and `update(item)`. No more than `items` are ever in the page.
 */
export function keyed(parent, items, keyOf, make) {
  const before = (parent.kept ??= new Map());
  const after = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (after.has(key)) continue;
    const part = before.get(key) ?? make(item);
    before.delete(key);
    after.set(key, part);
    part.update(item);
    if (part.node === place) place = place.nextSibling;
    else parent.insertBefore(part.node, place);
  }
  for (const part of before.values()) part.node.remove();
  parent.kept = after;
}

// What changes how the text around it looks, or does not show at all: controls, marks of direction,
// separators of lines, invisible characters, halves of pairs.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Cs}/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A name cut in its middle: both its ends tell it from others. */
export function middle(name, longest) {
  const letters = [...name];
  if (letters.length <= longest) return name;
  const end = Math.floor(longest * 0.4);
  return `${letters.slice(0, longest - 1 - end).join("")}…${letters.slice(letters.length - end).join("")}`;
}

/** Text of a log as it may be shown: what cannot be seen is written out, what is long is cut. */
export function shown(value, longest = 400) {
  const whole = String(value);
  // A cut between the halves of a pair leaves a half, which is written out.
  const cut = whole.length > longest ? `${whole.slice(0, longest)}…` : whole;
  return cut.replace(UNSEEN, (it) => SHORT[it] ?? `\\u{${it.codePointAt(0).toString(16)}}`);
}
