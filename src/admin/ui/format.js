// Numbers and times as people read them. Figures of one kind have one width, so that they can be compared.

const THIN = "\u202f";
const UNITS = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

function digits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 || value === 0 ? 0 : size >= 9.995 ? 1 : 2);
}

/** `1.23 k`: at most three digits. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  for (const [unit, name] of UNITS) {
    if (Math.abs(value) >= unit * 0.9995) return `${digits(value / unit)}${THIN}${name}`;
  }
  if (value !== 0 && Math.abs(value) < 0.01) return "<0.01";
  return digits(value);
}

/** `1 234 567`: every digit. */
export function whole(value) {
  if (!Number.isFinite(value)) return "–";
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** Whole numbers in full while they are short enough to read. */
export const count = (value) => (Math.abs(value) < 1e6 ? whole(value) : short(value));

/** `12.5 MiB`. */
export function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < names.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : digits(value)}${THIN}${names[unit]}`;
}

/** Milliseconds, as `3.1 ms`, `1.25 s`, `2.0 min`. */
export function millis(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value < 1000) return `${digits(value)}${THIN}ms`;
  if (value < 120_000) return `${digits(value / 1000)}${THIN}s`;
  return `${digits(value / 60_000)}${THIN}min`;
}

/** A share, as `0.42 %`. */
export function percent(share) {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  if (value === 0) return `0${THIN}%`;
  if (value < 0.01) return `<0.01${THIN}%`;
  if (value >= 99.5 && value < 100) return `${Math.min(value, 99.9).toFixed(1)}${THIN}%`;
  return `${value.toFixed(value >= 9.95 ? 0 : value >= 0.995 ? 1 : 2)}${THIN}%`;
}

/** How long something takes: `3 h 12 min`. */
export function span(seconds) {
  const parts = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return `0${THIN}s`;
  let rest = Math.floor(seconds);
  const said = [];
  for (const [size, name] of parts.slice(first, first + 2)) {
    const number = Math.floor(rest / size);
    if (number > 0) said.push(`${number}${THIN}${name}`);
    rest -= number * size;
  }
  return said.join(" ");
}

const two = (value) => String(value).padStart(2, "0");

/** Of a unix time in milliseconds, in the time zone of the reader: `13:45:29`. */
export function clock(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "–";
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The same with milliseconds. */
export function clockMillis(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "–";
  return `${clock(ms)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
