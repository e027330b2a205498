/**
 * Python's strings are sequences of code points, JavaScript's of UTF-16 units. They differ only in
 * strings with surrogates, which every function here looks for first.
 */

const SURROGATE = /[\ud800-\udfff]/;

/** Python's white space, for a class of a regular expression: not JavaScript's `\s`. */
export const SPACE =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** The code points of a string; those without surrogates are their own. */
export function pointsOf(text: string): string | string[] {
  return SURROGATE.test(text) ? Array.from(text) : text;
}

export function lengthOf(text: string): number {
  return pointsOf(text).length;
}

/** The index in code points of an index in UTF-16 units. */
export function pointIndex(text: string, at: number): number {
  return at < 0 ? at : lengthOf(text.slice(0, at));
}

/** The index in UTF-16 units of an index in code points. */
export function unitIndex(text: string, point: number): number {
  if (!SURROGATE.test(text)) return Math.min(point, text.length);
  return Array.from(text).slice(0, point).join("").length;
}

/** Negative, zero or positive, by code points. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const limit = Math.min(a.length, b.length);
  for (let i = 0; i < limit; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate stands for a code point above all others.
    const above = (unit: number) => unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
    return above(x) - above(y);
  }
  return a.length - b.length;
}

const LEADING = new RegExp(`^[${SPACE}]+`), ONE_SPACE = new RegExp(`[${SPACE}]`);

/** Python's `strip`, `lstrip` and `rstrip`: of white space, or of any of `chars`. */
export function strip(text: string, chars: string | null, side: "both" | "left" | "right"): string {
  if (chars === null) {
    if (side !== "right") text = text.replace(LEADING, "");
    return side === "left" ? text : stripEnd(text);
  }
  const points = pointsOf(text), set = new Set(pointsOf(chars));
  let start = 0, end = points.length;
  if (side !== "right") { while (start < end && set.has(points[start])) start++; }
  if (side !== "left") { while (end > start && set.has(points[end - 1])) end--; }
  return typeof points === "string" ? points.slice(start, end) : points.slice(start, end).join("");
}

/** A loop: the expression would try every white space of the text as a beginning of its end. */
function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && ONE_SPACE.test(text[end - 1])) end--;
  return end === text.length ? text : text.slice(0, end);
}

export function isSpace(char: string): boolean {
  return ONE_SPACE.test(char);
}

/** Python's `str.splitlines`. */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = [];
  // deno-lint-ignore no-control-regex
  const ends = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/g;
  let start = 0;
  for (let match = ends.exec(text); match; match = ends.exec(text)) {
    lines.push(text.slice(start, keepEnds ? ends.lastIndex : match.index));
    start = ends.lastIndex;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}
