/**
 * JSON that can be written back as it came. JavaScript's own values lose the spelling of numbers
 * (`1.0`, `1e-7`, integers beyond 2⁵³) and move keys that look like integers to the front; a chat
 * template prints both.
 */

/** A JSON value; Arrow's 64-bit integers are bigints. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonNumber
  | readonly JsonValue[]
  | JsonObject;

/** An object; {@link entriesOf} returns its entries in the order of the text. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** A number that a JavaScript number would spell differently. */
export class JsonNumber {
  constructor(
    /** As in the text: `1.0`. */
    readonly source: string,
  ) {}

  valueOf(): number {
    return Number(this.source);
  }

  toString(): string {
    return this.source;
  }
}

/** The order of keys, where it differs from JavaScript's. */
const ORDER = Symbol("order of keys");

/** Numbers and keys that may not survive JSON.parse; also found inside strings, harmlessly. */
const DELICATE = /(?:^|[[:,])\s*(?:-0|-?\d+[.eE]|-?\d{16})|"(?:\d|\\u)[^"]*"\s*:/;

/**
 * Parses JSON. A number is a {@link JsonNumber} unless `String(number)` is what the text says. Of
 * duplicate keys the last value counts, as in Python. Throws a SyntaxError as JSON.parse does.
 */
export function parseJson(text: string): JsonValue {
  const parsed: JsonValue = JSON.parse(text);
  return DELICATE.test(text) ? new ExactReader(text).value() : parsed;
}

/** Entries in the order of the text, whatever the keys look like. */
export function entriesOf<T>(object: Readonly<Record<string, T>>): [string, T][] {
  const order = (object as { [ORDER]?: readonly string[] })[ORDER];
  return order ? order.map((key) => [key, object[key]]) : Object.entries(object);
}

/** An object whose {@link entriesOf} are these; of duplicate keys, the last value at the first's place. */
export function objectOf<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const map = new Map(entries);
  const object = Object.fromEntries(map);
  const order = [...map.keys()];
  if (Object.keys(object).some((key, index) => key !== order[index])) {
    // Not enumerable: a copy that gains or loses keys must not keep the order.
    Object.defineProperty(object, ORDER, { value: order });
  }
  return object;
}

/**
 * Compact JSON, like JSON.stringify, with numbers and keys as they came. Takes any value: what JSON
 * has no notation for is written as JSON.stringify would.
 */
export function stringifyJson(value: unknown): string {
  return written(value) ?? "null";
}

function written(value: unknown): string | undefined {
  if (typeof value === "bigint") return String(value);
  if (value instanceof JsonNumber) return value.source;
  if (Array.isArray(value)) return `[${value.map(stringifyJson).join(",")}]`;
  if (!isPlainObject(value)) return JSON.stringify(value);
  const fields = entriesOf(value).flatMap(([key, each]) => {
    const text = written(each);
    return text === undefined ? [] : [`${JSON.stringify(key)}:${text}`];
  });
  return `{${fields.join(",")}}`;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Reads text that JSON.parse has accepted, and therefore checks nothing. */
class ExactReader {
  #at = 0;

  constructor(private readonly text: string) {}

  value(): JsonValue {
    switch (this.#peek()) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(): JsonObject {
    const entries: [string, JsonValue][] = [];
    this.#at++;
    while (this.#peek() !== "}") {
      if (this.text[this.#at] === ",") this.#at++;
      this.#peek();
      const key = this.#string();
      this.#peek();
      this.#at++; // the colon
      entries.push([key, this.value()]);
    }
    this.#at++;
    return objectOf(entries);
  }

  #array(): JsonValue[] {
    const values: JsonValue[] = [];
    this.#at++;
    while (this.#peek() !== "]") {
      if (this.text[this.#at] === ",") this.#at++;
      values.push(this.value());
    }
    this.#at++;
    return values;
  }

  #string(): string {
    const { text } = this, start = this.#at;
    let end = start + 1;
    while (text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    this.#at = end + 1;
    return JSON.parse(text.slice(start, this.#at));
  }

  #number(): number | JsonNumber {
    const start = this.#at;
    while (this.#at < this.text.length && "+-.eE0123456789".includes(this.text[this.#at])) {
      this.#at++;
    }
    const source = this.text.slice(start, this.#at), number = Number(source);
    return String(number) === source ? number : new JsonNumber(source);
  }

  #word<T>(word: string, value: T): T {
    this.#at += word.length;
    return value;
  }

  /** The next character that is not white space, which the reader then stands at. */
  #peek(): string {
    while (" \t\n\r".includes(this.text[this.#at])) this.#at++;
    return this.text[this.#at];
  }
}
