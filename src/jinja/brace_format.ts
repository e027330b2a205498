/** Python's `'{} is {0.name!r:>8}'.format(…)`. */
import { lengthOf, pointsOf } from "./characters.ts";
import { RenderError, typeError, valueError } from "./errors.ts";
import { formatFloat } from "./number_format.ts";
import { repr, str } from "./repr.ts";
import { typeName } from "./types.ts";
import { Float, isFloat, isInt, isNumber, isString, type Keywords, type Value } from "./values.ts";

/** How a template reaches into values: the sandbox's rules hold in formats as well. */
export interface Access {
  attribute(value: Value, name: string): Value;
  item(value: Value, key: Value): Value;
}

export function braceFormat(
  format: string,
  args: readonly Value[],
  keywords: Keywords,
  access: Access,
): string {
  return new Formatter(args, keywords, access).format(format, 2);
}

class Formatter {
  /** The next automatic number; -1 once numbers are written out. */
  #next = 0;

  constructor(
    readonly args: readonly Value[],
    readonly keywords: Keywords,
    readonly access: Access,
  ) {}

  format(text: string, depth: number): string {
    if (depth < 0) throw valueError("Max string recursion exceeded");
    let output = "";
    for (let at = 0; at < text.length;) {
      const char = text[at];
      if (char !== "{" && char !== "}") {
        output += char;
        at++;
      } else if (text[at + 1] === char) {
        output += char;
        at += 2;
      } else if (char === "}") {
        throw valueError("Single '}' encountered in format string");
      } else {
        const end = closing(text, at);
        output += this.#field(text.slice(at + 1, end), depth);
        at = end + 1;
      }
    }
    return output;
  }

  #field(field: string, depth: number): string {
    const [, name, conversion, spec = ""] = /^((?:[^!:[]|\[[^\]]*\])*)(?:!([^:]*))?(?::([^]*))?$/
      .exec(field) ?? [, field];
    let value = this.#value(name!);
    if (conversion === "r" || conversion === "a") value = repr(value);
    else if (conversion === "s") value = str(value);
    else if (conversion !== undefined) {
      throw valueError(`Unknown conversion specifier ${conversion}`);
    }
    return formatValue(value, this.format(spec, depth - 1));
  }

  #value(path: string): Value {
    const [first] = /^[^.[]*/.exec(path)!;
    let value = this.#argument(first);
    for (const [, name, key] of path.slice(first.length).matchAll(/\.([^.[]+)|\[([^\]]*)\]/g)) {
      value = name !== undefined
        ? this.access.attribute(value, name)
        : this.access.item(value, /^\d+$/.test(key) ? Number(key) : key);
    }
    return value;
  }

  #argument(name: string): Value {
    if (name === "" || /^\d+$/.test(name)) {
      const automatic = name === "";
      if (automatic ? this.#next < 0 : this.#next > 0) {
        throw valueError(
          "cannot switch between manual field specification and automatic field numbering",
        );
      }
      const index = automatic ? this.#next++ : Number(name);
      if (!automatic) this.#next = -1;
      if (index < this.args.length) return this.args[index];
      throw new RenderError(
        "IndexError",
        `Replacement index ${index} out of range for positional args tuple`,
      );
    }
    const value = this.keywords.get(name);
    if (value !== undefined) return value;
    throw new RenderError("KeyError", repr(name));
  }
}

/** The index of the brace that closes the field. */
function closing(text: string, start: number): number {
  for (let at = start, depth = 0; at < text.length; at++) {
    if (text[at] === "{") depth += 1;
    else if (text[at] === "}") depth -= 1;
    if (depth === 0) return at;
  }
  throw valueError("expected '}' before end of string");
}

const SPEC =
  /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su;

/** Python's `format(value, spec)`. */
function formatValue(value: Value, spec: string): string {
  if (spec === "") return str(value);
  const match = SPEC.exec(spec);
  if (!match || !(isString(value) || isNumber(value))) {
    throw (match ? typeError : valueError)(
      match
        ? `unsupported format string passed to ${typeName(value)}.__format__`
        : `Invalid format specifier '${spec}' for object of type '${typeName(value)}'`,
    );
  }
  const [, given, align, plus, , alternate, zero, width, group, precision, type] = match;
  const style = {
    plus,
    group,
    type,
    alternate: alternate !== undefined,
    precision: precision === undefined ? undefined : Number(precision),
  };
  const text = isString(value);
  const [sign, body] = text ? ["", formatText(str(value), style)] : formatNumber(value, style);
  const missing = Math.max(0, Number(width ?? 0) - lengthOf(sign + body));
  const fill = (given ?? (zero ? "0" : " ")).repeat(missing);
  const side = align ?? (zero && !text ? "=" : text ? "<" : ">");
  switch (side) {
    case "<":
      return sign + body + fill;
    case ">":
      return fill + sign + body;
    case "=":
      if (text) throw valueError("'=' alignment not allowed in string format specifier");
      return sign + fill + body;
  }
  const half = Math.floor(missing / 2), char = given ?? (zero ? "0" : " ");
  return char.repeat(half) + sign + body + char.repeat(missing - half);
}

interface Style {
  readonly plus?: string;
  readonly group?: string;
  readonly type?: string;
  readonly alternate: boolean;
  readonly precision?: number;
}

function formatText(text: string, { type, precision }: Style): string {
  if (type !== undefined && type !== "s") {
    throw valueError(`Unknown format code '${type}' for object of type 'str'`);
  }
  return precision === undefined ? text : [...pointsOf(text).slice(0, precision)].join("");
}

function formatNumber(value: Value, style: Style): [sign: string, body: string] {
  const { type = "", plus, group } = style;
  const whole = typeof value === "boolean" || isInt(value);
  let negative: boolean, body: string;
  if (whole && (type === "" || "bcdnoxX".includes(type))) {
    const number = BigInt(value as number | bigint | boolean);
    negative = number < 0n;
    body = formatWhole(negative ? -number : number, type, style.alternate);
  } else if (type === "" || "eEfFgGn%".includes(type)) {
    const number = value instanceof Float ? value.value : Number(value);
    negative = number < 0 || Object.is(number, -0);
    body = formatFloat(number, { ...style, type: type === "n" ? "g" : type });
  } else {
    const name = isFloat(value) ? "float" : "int";
    throw valueError(`Unknown format code '${type}' for object of type '${name}'`);
  }
  if (group) body = body.replace(/^\d+/, (digits) => digits.replace(/\B(?=(\d{3})+$)/g, group));
  return [negative ? "-" : plus === "+" || plus === " " ? plus : "", body];
}

function formatWhole(value: bigint, type: string, prefixed: boolean): string {
  switch (type) {
    case "b":
      return (prefixed ? "0b" : "") + value.toString(2);
    case "o":
      return (prefixed ? "0o" : "") + value.toString(8);
    case "x":
      return (prefixed ? "0x" : "") + value.toString(16);
    case "X":
      return (prefixed ? "0X" : "") + value.toString(16).toUpperCase();
    case "c":
      return String.fromCodePoint(Number(value));
  }
  return value.toString();
}
