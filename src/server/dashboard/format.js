/** Human-readable numbers. */
import { serverNow } from "./clock.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `1.23 GiB`. @param {number | undefined | null} count */
export function bytes(count) {
  if (!isNumber(count)) return "–";
  let unit = 0;
  let value = count;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : significant(value)} ${UNITS[unit]}`;
}

/** Three significant digits: `1.23`, `12.3`, `123`. @param {number} value */
function significant(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** `12.3k`, `1.2M`; whole below a thousand. @param {number | undefined | null} value */
export function compact(value) {
  if (!isNumber(value)) return "–";
  for (
    const [size, letter] of /** @type {[number, string][]} */ ([[1e9, "B"], [1e6, "M"], [1e3, "k"]])
  ) {
    if (Math.abs(value) >= size) {
      return `${(value / size).toFixed(Math.abs(value) >= 100 * size ? 0 : 1)}${letter}`;
    }
  }
  return Math.abs(value) < 10 && !Number.isInteger(value)
    ? value.toFixed(1)
    : String(Math.round(value));
}

/** `12,345`. @param {number | undefined | null} value */
export function whole(value) {
  return isNumber(value) ? Math.round(value).toLocaleString("en") : "–";
}

/** A loss, in nats. @param {number | undefined | null} value @param {number} [digits] */
export function loss(value, digits = 4) {
  if (!isNumber(value)) return "–";
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(2) : value.toFixed(digits);
}

/** @param {number | undefined | null} value */
export function perplexity(value) {
  return !isNumber(value) ? "–" : value >= 10_000 ? value.toExponential(2) : value.toFixed(2);
}

/** A learning rate: `2.0e-5`. @param {number | undefined | null} value */
export function rate(value) {
  if (!isNumber(value)) return "–";
  return value === 0 ? "0" : value.toExponential(2).replace("e-", "e−");
}

/** A norm: `0.0312`, `1.74`, `2.1e+4`. @param {number | undefined | null} value */
export function norm(value) {
  if (!isNumber(value)) return "–";
  return value !== 0 && (value < 0.001 || value >= 10_000)
    ? value.toExponential(2).replace("e-", "e−")
    : value.toPrecision(3);
}

/** A tick, in as few digits as it takes: `0.01`, `5`, `2e−5`. @param {number} value */
export function shortest(value) {
  const text = value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 100_000)
    ? value.toExponential()
    : String(Number(value.toPrecision(6)));
  return text.replace("e-", "e−").replace("e+", "e");
}

/** `41%`. @param {number} share 0 to 1 */
export function percent(share) {
  if (!isNumber(share)) return "–";
  return `${Math.floor(Math.max(0, Math.min(1, share)) * 100)}%`;
}

/** `2 min 10 s`, the two largest units. @param {number | undefined | null} seconds */
export function duration(seconds) {
  if (!isNumber(seconds) || seconds < 0) return "–";
  if (seconds < 1) return "<1 s";
  const total = Math.round(seconds);
  /** @type {[string, number][]} */
  const parts = [
    ["d", Math.floor(total / 86400)],
    ["h", Math.floor(total / 3600) % 24],
    ["min", Math.floor(total / 60) % 60],
    ["s", total % 60],
  ];
  const first = parts.findIndex(([, count]) => count > 0);
  return parts.slice(first, first + 2).filter(([, count]) => count > 0)
    .map(([unit, count]) => `${count} ${unit}`).join(" ");
}

/**
 * `just now`, `5 min ago`, `3 Mar`; a date for a time to come, after a clock was set back.
 *
 * @param {number} unix seconds, as the server counts them
 * @param {number} [now] likewise
 */
export function ago(unix, now = serverNow()) {
  const seconds = now - unix;
  if (seconds < -45) return dateTime(unix);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  if (seconds < 7 * 86400) return `${Math.round(seconds / 86400)} d ago`;
  return new Date(unix * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/** `14:03:22`. @param {number} unix seconds */
export function clock(unix) {
  return new Date(unix * 1000).toLocaleTimeString("en-GB");
}

/** `3 Mar 2026, 14:03`. @param {number} unix seconds */
export function dateTime(unix) {
  return new Date(unix * 1000).toLocaleString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  });
}

/** A long name without its middle: names often differ only at their end. @param {string} name */
export function inTheMiddle(name, most = 56) {
  if (name.length <= most) return name;
  const half = (most - 1) >> 1;
  return `${name.slice(0, half)}…${name.slice(-half)}`;
}

/** With a capital at its start. @param {string} text */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * How many of a list to show before `n more`: all where that would hide only one, which takes no
 * more room than the words.
 *
 * @param {number} count of the list
 * @param {number} few
 */
export function shownOf(count, few) {
  return count <= few + 1 ? count : few;
}

/** `weights`, `optimizer state`. @param {string} name of a purpose or an option, in snake_case */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** @param {unknown} value @returns {value is number} */
export function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * Whose memory a plan is of, where a job has several processes.
 *
 * @param {Record<string, unknown>} hyperparameters
 */
export function eachOf({ ranks = 1 }) {
  return Number(ranks) > 1 ? `in each of ${ranks} processes` : "";
}
