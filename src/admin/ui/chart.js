// Curves of the last minutes. One path for a curve; an update sets its points and makes nothing.

import { attribute, h, s, text } from "./dom.js";

/** What a chart spans, in seconds. */
export const SPAN_S = 300;
/** Points nearer to each other are drawn as one: a curve, not a brush. */
const POINT_PX = 3;
const HEIGHT = 112;
const TOP = 8;
const BOTTOM = 16;

/**
 * A chart of `curves`: `[{key, look, isArea}]`. `scale` is `linear` or `log`; `label` writes a value of the axis;
 * `least` is the smallest that the top of the axis may be.
 */
export function chart({ curves, scale, label, least, onHover }) {
  const drawing = s("svg", { class: "chart", height: HEIGHT, "aria-hidden": "true" });
  const lines = [0, 1, 2, 3].map(() => s("line", { class: "grid" }));
  const values = [0, 1, 2, 3].map(() => s("text", { class: "axis" }));
  const minutes = [-4, -3, -2, -1].map((minute) => ({
    minute,
    line: s("line", { class: "grid minute" }),
    name: s("text", { class: "axis", "text-anchor": "middle" }),
  }));
  const now = s("text", { class: "axis", "text-anchor": "end" }, "now");
  const paths = curves.map(({ look, isArea }) => ({
    area: isArea ? s("path", { class: `area ${look}` }) : null,
    line: s("path", { class: `curve ${look}` }),
  }));
  const cross = s("line", { class: "cross", y1: 0, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  drawing.append(...minutes.map((it) => it.line), ...lines);
  drawing.append(...paths.flatMap((it) => [it.area, it.line]).filter(Boolean));
  drawing.append(...values, ...minutes.map((it) => it.name), now, cross);

  let width = 300;
  let top = least;
  let floor = 0;
  let last = null;
  const x = (secondsAgo) => width - (secondsAgo / SPAN_S) * width;
  const inner = HEIGHT - TOP - BOTTOM;
  const y = (value) => {
    const share = scale === "log" ? Math.log10(Math.max(value, floor) / floor) / Math.log10(top / floor) : value / top;
    return HEIGHT - BOTTOM - Math.min(Math.max(share, 0), 1) * inner;
  };

  function axis(most, fewest) {
    if (scale === "log") {
      top = Math.max(10 ** Math.ceil(Math.log10(Math.max(most, 0.1)) - 1e-9), least);
      floor = Math.min(10 ** Math.floor(Math.log10(Math.max(fewest, 0.1)) + 1e-9), top / 100);
    } else {
      top = nice(Math.max(most, least));
    }
    const marks = scale === "log" ? decades(floor, top) : [top / 2, top];
    lines.forEach((line, at) => {
      const mark = marks[at];
      attribute(line, "visibility", mark === undefined ? "hidden" : null);
      attribute(values[at], "visibility", mark === undefined ? "hidden" : null);
      if (mark === undefined) return;
      const height = y(mark).toFixed(1);
      for (const [name, value] of [["x1", 0], ["x2", width], ["y1", height], ["y2", height]]) attribute(line, name, value);
      attribute(values[at], "x", 0);
      attribute(values[at], "y", (y(mark) + 10.5).toFixed(1));
      text(values[at], label(mark).replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, ""));
    });
  }

  function draw() {
    if (!last) return;
    const { stepS, end, endAgoS } = last;
    const together = Math.max(Math.ceil(POINT_PX / ((width * stepS) / SPAN_S)), 1);
    const series = curves.map(({ key }) => thin(last.series[key], together, Math.round(end / 1000 / stepS)));
    let [most, fewest] = [0, Infinity];
    for (const { value } of series.flat()) {
      if (value > most) most = value;
      if (value !== null && value < fewest) fewest = value;
    }
    axis(most, fewest);
    for (const { minute, line, name } of minutes) {
      const at = x(-minute * 60).toFixed(1);
      for (const [key, value] of [["x1", at], ["x2", at], ["y1", TOP], ["y2", HEIGHT - BOTTOM]]) attribute(line, key, value);
      attribute(name, "x", at);
      attribute(name, "y", HEIGHT - 3);
      text(name, `−${-minute} min`);
      attribute(name, "visibility", width < 240 && minute % 2 !== 0 ? "hidden" : null);
    }
    attribute(now, "x", width);
    attribute(now, "y", HEIGHT - 3);
    series.forEach((points, at) => {
      const path = trace(points.map(({ ago, value }) => [x(endAgoS + ago * stepS), value === null ? null : y(value)]));
      attribute(paths[at].line, "d", path.line);
      if (paths[at].area) attribute(paths[at].area, "d", path.area(HEIGHT - BOTTOM));
    });
  }

  const frame = h("div", { class: "frame" }, drawing);
  new ResizeObserver(() => {
    width = Math.max(frame.clientWidth, 60);
    attribute(drawing, "width", width);
    draw();
  }).observe(frame);
  const pointAt = (event) => {
    const box = drawing.getBoundingClientRect();
    onHover((1 - (event.clientX - box.left) / box.width) * SPAN_S);
  };
  frame.addEventListener("pointermove", pointAt);
  frame.addEventListener("pointerleave", () => onHover(null));

  return {
    node: frame,
    /** `series` has an array for each key; points are `stepS` apart, and the last one ends at `end`, `endAgoS` seconds ago. */
    update(view) {
      last = view;
      draw();
    },
    /** Shows a line at so many seconds ago, or none. */
    mark(secondsAgo) {
      attribute(cross, "visibility", secondsAgo === null ? "hidden" : null);
      if (secondsAgo === null) return;
      attribute(cross, "x1", x(secondsAgo).toFixed(1));
      attribute(cross, "x2", x(secondsAgo).toFixed(1));
    },
  };
}

/**
 * So many values after each other as their mean, which ones by the clock: a value that comes moves those before, and
 * does not join others. `ago` is in values before the last.
 */
function thin(values, together, end) {
  const points = [];
  let group = null;
  values.forEach((value, at) => {
    const number = Math.floor((end - values.length + at) / together);
    if (group?.number !== number) points.push((group = { number, sum: 0, count: 0, first: at, last: at }));
    group.last = at;
    if (value !== null) {
      group.sum += value;
      group.count += 1;
    }
  });
  return points.map(({ sum, count, first, last }) => ({ ago: values.length - 1 - (first + last) / 2, value: count > 0 ? sum / count : null }));
}

/** A line through the points, with gaps where there is none; a point between gaps is a short dash. */
function trace(points) {
  const runs = [];
  let run = null;
  for (const [x, y] of points) {
    if (y === null) {
      run = null;
    } else {
      if (!run) runs.push((run = []));
      run.push(`${x.toFixed(1)} ${y.toFixed(1)}`);
    }
  }
  const ends = (it) => [it[0].split(" ")[0], it.at(-1).split(" ")[0]];
  return {
    line: runs.map((it) => (it.length > 1 ? `M${it.join("L")}` : `M${it[0]}h1.5`)).join(""),
    area: (floor) => runs.map((it) => `M${ends(it)[0]} ${floor}L${it.join("L")}L${ends(it)[1]} ${floor}Z`).join(""),
  };
}

/** The next of 1, 2, 5, 10, 20 and so on. */
function nice(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((it) => it * size).find((it) => it >= value * 0.999) ?? value;
}

/** At most four powers of ten above `floor`, up to `top`. */
function decades(floor, top) {
  const all = [];
  for (let value = top; value > floor * 1.01 && all.length < 4; value /= 10) all.push(value);
  return all;
}
