/**
 * Splits a template's source into text and tokens, with `trim_blocks` and `lstrip_blocks` as in
 * transformers: the newline after a block is dropped, and white space before one if nothing else
 * precedes it on its line. Follows the rules of Jinja 3.1's documentation.
 */
import { SPACE } from "./characters.ts";
import { TemplateSyntaxError } from "./errors.ts";
import { float, int, type Value } from "./values.ts";

export type TokenType =
  | "data" // text between tags
  | "variable_begin" // {{
  | "variable_end" // }}
  | "block_begin" // {%
  | "block_end" // %}
  | "name"
  | "string"
  | "integer"
  | "float"
  | "operator"
  | "end";

export interface Token {
  readonly type: TokenType;
  /** Of a name, operator or text, the text; of a literal, as in the source. */
  readonly text: string;
  /** Of a literal. */
  readonly value?: Value;
  /** From 1. */
  readonly line: number;
}

export function tokenize(source: string): Token[] {
  return new Lexer(source.replace(/\r\n|\r/g, "\n").replace(/\n$/, "")).run();
}

const S = `[${SPACE}]`;
const RAW_BEGIN = new RegExp(`\\{%([-+]?)${S}*raw${S}*(?:-%\\}${S}*|%\\})`, "y");
const RAW_END = new RegExp(`\\{%([-+]?)${S}*endraw${S}*(?:\\+%\\}|-%\\}${S}*|%\\}\\n?)`, "g");
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}${S}*|#\\}\\n?`, "g");
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}${S}*|%\\}\\n?`, "y");
const VARIABLE_END = new RegExp(`-\\}\\}${S}*|\\}\\}`, "y");
const WHITE = new RegExp(`${S}+`, "y");
const TRAILING_WHITE = new RegExp(`^${S}+$`);
const DIGITS = "(?:\\d+_)*\\d+";
const FLOAT = new RegExp(`${DIGITS}(?:(?:\\.${DIGITS})?e[+-]?${DIGITS}|\\.${DIGITS})`, "iy");
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{L}\p{Nl}_][\p{L}\p{N}\p{M}\p{Pc}]*/uy;
const STRING = /'[^'\\]*(?:\\[^][^'\\]*)*'|"[^"\\]*(?:\\[^][^"\\]*)*"/y;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}=<>.:|,;]/y;

const CLOSING: Record<string, string> = { "(": ")", "[": "]", "{": "}" };

class Lexer {
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Up to where the line is counted. */
  #counted = 0;

  constructor(private readonly source: string) {}

  run(): Token[] {
    while (this.#at < this.source.length) this.#text();
    this.#push("end", "");
    return this.#tokens;
  }

  /** Text up to the next tag, and the tag. */
  #text(): void {
    const { source } = this, start = this.#at;
    let tag = start;
    for (;; tag++) {
      tag = source.indexOf("{", tag);
      if (tag < 0) {
        this.#data(source.slice(start));
        this.#at = source.length;
        return;
      }
      if ("%{#".includes(source[tag + 1] || " ")) break;
    }
    const kind = source[tag + 1], sign = /[-+]/.test(source[tag + 2] ?? "") ? source[tag + 2] : "";
    this.#data(this.#before(start, tag, sign, kind === "{"));
    this.#at = tag;
    if (kind === "#") this.#comment(tag + 2 + sign.length);
    else if (kind === "%" && this.#take(RAW_BEGIN) !== null) this.#raw();
    else {
      this.#push(kind === "{" ? "variable_begin" : "block_begin", source.slice(tag, tag + 2));
      this.#at += 2 + sign.length;
      this.#expression(kind === "{");
    }
  }

  /** The text before a tag, without the white space that the tag takes away. */
  #before(start: number, tag: number, sign: string, isVariable: boolean): string {
    const text = this.source.slice(start, tag);
    if (sign === "-") return text.replace(new RegExp(`${S}+$`), "");
    if (sign === "+" || isVariable) return text;
    const line = text.lastIndexOf("\n") + 1;
    const startsLine = line > 0 || start === 0 || this.source[start - 1] === "\n";
    return startsLine && TRAILING_WHITE.test(text.slice(line)) ? text.slice(0, line) : text;
  }

  /** A comment or raw block that begins at the end of the source may lack its end. */
  #comment(start: number): void {
    this.#at = start;
    if (start === this.source.length) return;
    COMMENT_END.lastIndex = start;
    if (!COMMENT_END.test(this.source)) this.#fail("Missing end of comment tag");
    this.#at = COMMENT_END.lastIndex;
  }

  #raw(): void {
    const start = this.#at;
    if (start === this.source.length) return;
    RAW_END.lastIndex = start;
    const end = RAW_END.exec(this.source);
    if (!end) this.#fail("Missing end of raw directive");
    this.#data(this.#before(start, end!.index, end![1], false));
    this.#at = RAW_END.lastIndex;
  }

  /** Tokens up to the end of the tag. */
  #expression(isVariable: boolean): void {
    const open: string[] = [];
    for (;;) {
      this.#take(WHITE);
      if (this.#at >= this.source.length) {
        this.#fail(`unexpected end of template: ${isVariable ? "}}" : "%}"} is missing`);
      }
      if (open.length === 0) {
        const start = this.#at, end = this.#take(isVariable ? VARIABLE_END : BLOCK_END);
        if (end !== null) {
          this.#push(isVariable ? "variable_end" : "block_end", end, undefined, start);
          return;
        }
      }
      this.#token(open);
    }
  }

  #token(open: string[]): void {
    const start = this.#at, after = this.source[start - 1];
    const number = after === "." ? null : this.#take(FLOAT);
    if (number !== null) {
      return this.#push("float", number, float(Number(number.replaceAll("_", ""))), start);
    }
    const integer = this.#take(INTEGER);
    if (integer !== null) {
      return this.#push("integer", integer, int(BigInt(integer.replaceAll("_", ""))), start);
    }
    const name = this.#take(NAME);
    if (name !== null) return this.#push("name", name, undefined, start);
    const text = this.#take(STRING);
    if (text !== null) {
      return this.#push("string", text, unescape(text.slice(1, -1)), start);
    }
    const operator = this.#take(OPERATOR);
    if (operator === null) this.#fail(`unexpected char '${this.source[start]}'`);
    if (Object.hasOwn(CLOSING, operator!)) open.push(CLOSING[operator!]);
    else if (")]}".includes(operator!)) {
      const expected = open.pop();
      if (expected === undefined) this.#fail(`unexpected '${operator}'`);
      if (expected !== operator) this.#fail(`unexpected '${operator}', expected '${expected}'`);
    }
    this.#push("operator", operator!, undefined, start);
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.source);
    if (match === null || match[0] === "") return null;
    this.#at = pattern.lastIndex;
    return match[0];
  }

  #data(text: string): void {
    if (text !== "") this.#push("data", text);
  }

  #push(type: TokenType, text: string, value?: Value, at = this.#at): void {
    this.#tokens.push({ type, text, value, line: this.#lineOf(at) });
  }

  #lineOf(at: number): number {
    for (; this.#counted < at; this.#counted++) {
      if (this.source[this.#counted] === "\n") this.#line++;
    }
    return this.#line;
  }

  #fail(message: string): never {
    throw new TemplateSyntaxError(message, this.#lineOf(this.#at));
  }
}

const ESCAPES: Record<string, string> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};

/** Python's `unicode-escape`; an escape that it does not know stays. */
function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  const pattern = /\\(?:x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|([0-7]{1,3})|([^]))/gi;
  return text.replace(pattern, (whole, x, u, long, octal, char) => {
    if (octal !== undefined) return String.fromCodePoint(parseInt(octal, 8));
    const hex = x ?? u ?? long;
    // The letters are case sensitive, though the digits are not.
    if (hex !== undefined && "xuU".includes(whole[1])) {
      return whole[1] === "u"
        ? String.fromCharCode(parseInt(hex, 16))
        : String.fromCodePoint(parseInt(hex, 16));
    }
    return Object.hasOwn(ESCAPES, char ?? "") ? ESCAPES[char] : whole;
  });
}
