/** The methods of Python's str, `format` excepted. */
import {
  isSpace,
  lengthOf,
  pointIndex,
  SPACE,
  splitLines,
  strip,
  unitIndex,
} from "./characters.ts";
import { builtin, indexIn, textIn } from "./builtin.ts";
import { typeError, valueError } from "./errors.ts";
import { iterate } from "./containers.ts";
import { typeName } from "./types.ts";
import { isString, type Keywords, lift, Tuple, type Value } from "./values.ts";

export type Method = (text: string, args: readonly Value[], keywords: Keywords) => Value;

// deno-lint-ignore no-explicit-any
type Run = (text: string, ...values: any[]) => Value;

const methods = new Map<string, Method>();

/** CPython takes the arguments of the others by position only. */
const WITH_KEYWORDS = ["split", "rsplit", "splitlines", "expandtabs"];

function define(name: string, signature: string, run: Run): void {
  const call = builtin(name, `self ${signature}`, run), named = WITH_KEYWORDS.includes(name);
  methods.set(name, (text, args, keywords) => {
    if (keywords.size > 0 && !named) throw typeError(`str.${name}() takes no keyword arguments`);
    return call([text, ...args], keywords);
  });
}

/** Undefined if str has no such method. */
export function textMethod(name: string): Method | undefined {
  return methods.get(name);
}

define("upper", "", (text) => text.toUpperCase());
define("lower", "", (text) => text.toLowerCase());
define("casefold", "", (text) => text.toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ"));
define("capitalize", "", capitalize);
define("title", "", (text) => text.replace(/\p{L}+/gu, titleCase));
define(
  "swapcase",
  "",
  (text) =>
    text.replace(
      /\p{Lu}|\p{Ll}/gu,
      (c) => c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase(),
    ),
);

function titleCase(word: string): string {
  const [first, ...rest] = Array.from(word);
  if (first === undefined) return "";
  const upper = first.toUpperCase();
  // ß begins a word as Ss, and the letter ǆ as ǅ, which stands behind its capital Ǆ.
  const start = "ǄǇǊǱ".includes(upper)
    ? String.fromCodePoint(upper.codePointAt(0)! + 1)
    : upper[0] + upper.slice(1).toLowerCase();
  return start + rest.join("").toLowerCase();
}

export function capitalize(text: string): string {
  return titleCase(text);
}

const optionalChars = (value: Value, name: string) =>
  value === undefined || value === null ? null : textIn(value, name);

define("strip", "chars?", (text, chars) => strip(text, optionalChars(chars, "strip"), "both"));
define("lstrip", "chars?", (text, chars) => strip(text, optionalChars(chars, "lstrip"), "left"));
define("rstrip", "chars?", (text, chars) => strip(text, optionalChars(chars, "rstrip"), "right"));
define("removeprefix", "prefix", (text, prefix) => {
  const head = textIn(prefix, "removeprefix");
  return text.startsWith(head) ? text.slice(head.length) : text;
});
define("removesuffix", "suffix", (text, suffix) => {
  const tail = textIn(suffix, "removesuffix");
  return tail !== "" && text.endsWith(tail) ? text.slice(0, -tail.length) : text;
});

const limitOf = (count: Value | undefined, name: string) => {
  const limit = count === undefined || count === null ? -1 : indexIn(count, name);
  return limit < 0 ? Infinity : limit;
};

define("split", "sep? maxsplit?", (text, sep, count) => {
  const limit = limitOf(count, "split");
  if (sep === undefined || sep === null) return splitSpace(text, limit);
  return cut(text, separatorIn(sep), limit);
});
define("rsplit", "sep? maxsplit?", (text, sep, count) => {
  const limit = limitOf(count, "rsplit");
  if (sep === undefined || sep === null) {
    return splitSpace(reversed(text), limit).map(reversed).reverse();
  }
  const separator = separatorIn(sep), parts: string[] = [];
  let end = text.length;
  while (parts.length < limit) {
    const at = end < separator.length ? -1 : text.lastIndexOf(separator, end - separator.length);
    if (at < 0) break;
    parts.unshift(text.slice(at + separator.length, end));
    end = at;
  }
  return [text.slice(0, end), ...parts];
});
define("splitlines", "keepends?", (text, keep) => splitLines(text, keep === true));
define("partition", "sep", (text, sep) => {
  const separator = separatorIn(sep), at = text.indexOf(separator);
  return new Tuple(at < 0 ? [text, "", ""] : around(text, at, separator));
});
define("rpartition", "sep", (text, sep) => {
  const separator = separatorIn(sep), at = text.lastIndexOf(separator);
  return new Tuple(at < 0 ? ["", "", text] : around(text, at, separator));
});

function around(text: string, at: number, separator: string): string[] {
  return [text.slice(0, at), separator, text.slice(at + separator.length)];
}

function separatorIn(value: Value): string {
  const separator = textIn(value, "sep");
  if (separator === "") throw valueError("empty separator");
  return separator;
}

function cut(text: string, separator: string, limit: number): string[] {
  const parts: string[] = [];
  let start = 0;
  while (parts.length < limit) {
    const at = text.indexOf(separator, start);
    if (at < 0) break;
    parts.push(text.slice(start, at));
    start = at + separator.length;
  }
  return [...parts, text.slice(start)];
}

const WORD = new RegExp(`[^${SPACE}]+`, "g");

function splitSpace(text: string, limit: number): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(WORD)) {
    if (words.length === limit) {
      // Only the white space between words is gone.
      words.push(limit === 0 ? strip(text, null, "left") : text.slice(match.index));
      return words;
    }
    words.push(match[0]);
  }
  return words;
}

const reversed = (text: string) => Array.from(text).reverse().join("");

define("replace", "old new count?", (text, old, fresh, count) => {
  const from = textIn(old, "replace"), to = textIn(fresh, "replace");
  return replaceText(text, from, to, limitOf(count, "replace"));
});

export function replaceText(text: string, from: string, to: string, limit: number): string {
  if (limit === Infinity && from !== "") return text.split(from).join(to);
  if (from !== "") return cut(text, from, limit).join(to);
  let output = "", left = limit;
  for (const char of text) {
    if (left-- > 0) output += to;
    output += char;
  }
  return left > 0 ? output + to : output;
}

define("join", "iterable", (text, items) => {
  return iterate(items).map((item, index) => {
    if (isString(item)) return textIn(item, "join");
    throw typeError(
      `sequence item ${index}: expected str instance, ${typeName(item)} found`,
    );
  }).join(text);
});

/** A part of the text from `start` to `end`, in code points; null if start lies beyond. */
function window(text: string, start: Value, end: Value): { part: string; from: number } | null {
  const size = lengthOf(text);
  const bound = (value: Value, fallback: number) => {
    if (value === undefined || value === null) return fallback;
    const index = indexIn(value, "slice indices");
    return index < 0 ? Math.max(0, size + index) : index;
  };
  const from = bound(start, 0), to = Math.min(size, bound(end, size));
  if (from > size || from > to) return null;
  return { part: text.slice(unitIndex(text, from), unitIndex(text, to)), from };
}

function affixes(value: Value, name: string): string[] {
  if (value instanceof Tuple) return value.items.map((each) => textIn(lift(each), name));
  if (isString(value)) return [textIn(value, name)];
  throw typeError(`${name} first arg must be str or a tuple of str, not ${typeName(value)}`);
}

define("startswith", "prefix start? end?", (text, prefix, start, end) => {
  const all = affixes(prefix, "startswith"), within = window(text, start, end);
  return within !== null && all.some((each) => within.part.startsWith(each));
});
define("endswith", "suffix start? end?", (text, suffix, start, end) => {
  const all = affixes(suffix, "endswith"), within = window(text, start, end);
  return within !== null && all.some((each) => within.part.endsWith(each));
});

const search = (last: boolean) => (text: string, sub: Value, start: Value, end: Value): number => {
  const wanted = textIn(sub, "find"), within = window(text, start, end);
  if (!within) return -1;
  const at = last ? within.part.lastIndexOf(wanted) : within.part.indexOf(wanted);
  return at < 0 ? -1 : within.from + pointIndex(within.part, at);
};
const found = (at: number): number => {
  if (at >= 0) return at;
  throw valueError("substring not found");
};
define("find", "sub start? end?", search(false));
define("rfind", "sub start? end?", search(true));
define(
  "index",
  "sub start? end?",
  (...args) => found(search(false)(...args as [string, Value, Value, Value])),
);
define(
  "rindex",
  "sub start? end?",
  (...args) => found(search(true)(...args as [string, Value, Value, Value])),
);
define("count", "sub start? end?", (text, sub, start, end) => {
  const wanted = textIn(sub, "count"), within = window(text, start, end);
  if (!within) return 0;
  return wanted === "" ? lengthOf(within.part) + 1 : within.part.split(wanted).length - 1;
});

const every = (rule: RegExp) => (text: string) => text !== "" && rule.test(text);
define("isalpha", "", every(/^\p{L}+$/u));
define("isalnum", "", every(/^[\p{L}\p{N}]+$/u));
define("isdecimal", "", every(/^\p{Nd}+$/u));
define("isdigit", "", every(/^[\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨]+$/u));
define("isnumeric", "", every(/^\p{N}+$/u));
define("isspace", "", (text) => text !== "" && Array.from(text).every(isSpace));
// deno-lint-ignore no-control-regex
define("isascii", "", (text) => /^[\x00-\x7f]*$/.test(text));
define("isidentifier", "", every(/^[\p{XIDS}_]\p{XIDC}*$/u));
define("isprintable", "", (text) => !/[\p{C}\p{Z}]/u.test(text.replaceAll(" ", "")));
define("islower", "", isLower);
define("isupper", "", isUpper);
define(
  "istitle",
  "",
  (text) => /\p{L}/u.test(text) && text === text.replace(/\p{L}+/gu, titleCase),
);

export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text);
}

export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text);
}

function padding(fill: Value, missing: number): string {
  const char = fill === undefined ? " " : textIn(fill, "fillchar");
  if (lengthOf(char) !== 1) {
    throw typeError("The fill character must be exactly one character long");
  }
  return char.repeat(Math.max(0, missing));
}

define("ljust", "width fillchar?", (text, width, fill) => {
  return text + padding(fill, indexIn(width, "ljust") - lengthOf(text));
});
define("rjust", "width fillchar?", (text, width, fill) => {
  return padding(fill, indexIn(width, "rjust") - lengthOf(text)) + text;
});
define("center", "width fillchar?", (text, width, fill) => {
  return center(text, indexIn(width, "center"), fill);
});

export function center(text: string, width: number, fill?: Value): string {
  const missing = Math.max(0, width - lengthOf(text));
  // CPython's rule for the odd one.
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return padding(fill, left) + text + padding(fill, missing - left);
}

define("zfill", "width", (text, width) => {
  const missing = "0".repeat(Math.max(0, indexIn(width, "zfill") - lengthOf(text)));
  return /^[+-]/.test(text) ? text[0] + missing + text.slice(1) : missing + text;
});
define("expandtabs", "tabsize?", (text, size = 8) => {
  const width = indexIn(size, "expandtabs");
  let column = 0, output = "";
  for (const char of text) {
    if (char !== "\t") {
      output += char;
      column = char === "\n" || char === "\r" ? 0 : column + 1;
      continue;
    }
    const gap = width > 0 ? width - column % width : 0;
    output += " ".repeat(gap);
    column += gap;
  }
  return output;
});
