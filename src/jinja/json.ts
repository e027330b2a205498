/** Python's `json.dumps`, which transformers uses for `tojson`. */
import { compare } from "./compare.ts";
import { typeError } from "./errors.ts";
import { repr, reprFloat } from "./repr.ts";
import { asNumber } from "./arithmetic.ts";
import { dictEntries, isDict } from "./dict.ts";
import { typeName } from "./types.ts";
import { isFloat, isInt, isString, lift, sequenceOf, textOf, type Value } from "./values.ts";

export interface JsonStyle {
  readonly ensureAscii: boolean;
  /** Of one level; null for a single line. */
  readonly indent: string | null;
  /** Between items, and between a key and its value. */
  readonly separators: readonly [item: string, key: string];
  readonly sortKeys: boolean;
}

export function toJson(value: Value, style: JsonStyle): string {
  return new Writer(style).write(value, "\n");
}

class Writer {
  readonly #separators: readonly [string, string];
  constructor(readonly style: JsonStyle) {
    this.#separators = style.separators;
  }

  /** `line` is a line break with the indentation of the value. */
  write(value: Value, line: string): string {
    if (value === null) return "null";
    if (typeof value === "boolean") return value ? "true" : "false";
    if (isInt(value)) return String(value);
    if (isFloat(value)) return number(asNumber(value));
    if (isString(value)) return this.#text(textOf(value));
    const items = sequenceOf(value);
    if (items) return this.#block("[", "]", items, line, (each, at) => this.write(lift(each), at));
    if (isDict(value)) {
      let entries = dictEntries(value);
      if (this.style.sortKeys) entries = [...entries].sort(([a], [b]) => compare(a, b));
      return this.#block("{", "}", entries, line, ([key, each], at) => {
        return this.#text(keyText(key)) + this.#separators[1] + this.write(each, at);
      });
    }
    throw typeError(`Object of type ${typeName(value)} is not JSON serializable`);
  }

  #block<T>(
    open: string,
    close: string,
    items: readonly T[],
    line: string,
    write: (item: T, line: string) => string,
  ): string {
    if (items.length === 0) return open + close;
    const { indent } = this.style, inner = indent === null ? "" : line + indent;
    const written = items.map((each) => write(each, inner));
    return open + inner + written.join(this.#separators[0] + inner) +
      (indent === null ? "" : line) + close;
  }

  #text(text: string): string {
    // deno-lint-ignore no-control-regex
    let escaped = text.replace(/["\\\x00-\x1f]/g, escapeControl);
    if (this.style.ensureAscii) escaped = escaped.replace(/[^\0-\x7e]/g, escapeUnit);
    return `"${escaped}"`;
  }
}

const SHORT: Record<string, string> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};
const escapeUnit = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
const escapeControl = (char: string) => SHORT[char] ?? escapeUnit(char);

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  return reprFloat(value);
}

function keyText(key: Value): string {
  if (isString(key)) return textOf(key);
  if (key === null) return "null";
  if (typeof key === "boolean") return key ? "true" : "false";
  if (isFloat(key)) return number(asNumber(key));
  if (isInt(key)) return repr(key);
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}
