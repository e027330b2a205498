/** Python's `'%s is %d' % values`. */
import { lengthOf, pointsOf } from "./characters.ts";
import { typeError, valueError } from "./errors.ts";
import { formatFloat } from "./number_format.ts";
import { repr } from "./repr.ts";
import { dictGet, isDict } from "./dict.ts";
import { typeName } from "./types.ts";
import {
  Float,
  int,
  isFloat,
  isInt,
  isNumber,
  lift,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

const DIRECTIVE = /%(?:\(([^)]*)\))?([#0\- +]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?([^])?/g;

/** `text` is what `%s` writes of a value. */
export function percentFormat(
  format: string,
  values: Value,
  text: (value: Value) => string,
): string {
  const list = values instanceof Tuple ? values.items : null;
  let next = 0;
  const take = (): Value => {
    if (next >= (list ? list.length : 1)) {
      throw typeError("not enough arguments for format string");
    }
    return lift(list ? list[next++] : (next++, values));
  };
  const size = (given: string | undefined): number | undefined => {
    if (given === undefined) return undefined;
    if (given !== "*") return Number(given);
    const value = take();
    if (isInt(value)) return Number(value);
    throw typeError("* wants int");
  };
  let named = false;
  const output = format.replace(DIRECTIVE, (_, name, flags, width, precision, type) => {
    if (type === undefined) throw valueError("incomplete format");
    const options = { flags: flags as string, width: size(width), precision: size(precision) };
    if (type === "%") return "%";
    let value: Value;
    if (name === undefined) value = take();
    else {
      if (!isDict(values)) throw typeError("format requires a mapping");
      const found = dictGet(values, name);
      if (found === undefined) throw typeError(`KeyError: ${repr(name)}`);
      [value, named] = [found, true];
    }
    return directive(type, value, options, text);
  });
  // Whatever has items counts as a mapping, and need not be used.
  const isMapping = isDict(values) || Array.isArray(values) || values instanceof Undefined;
  const used = list ? next === list.length : next === 1 || isMapping;
  if (!used && !named) throw typeError("not all arguments converted during string formatting");
  return output;
}

interface DirectiveOptions {
  readonly flags: string;
  readonly width?: number;
  readonly precision?: number;
}

function directive(
  type: string,
  value: Value,
  { flags, width = 0, precision }: DirectiveOptions,
  text: (value: Value) => string,
): string {
  let sign = "", body: string;
  const signOf = (negative: boolean) =>
    negative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  switch (type) {
    case "s":
    case "r":
    case "a": {
      const all = type === "s" ? text(value) : repr(value), points = pointsOf(all);
      body = precision === undefined ? all : [...points.slice(0, precision)].join("");
      break;
    }
    case "c":
      body = isInt(value) ? String.fromCodePoint(Number(value)) : text(value);
      if (lengthOf(body) !== 1) throw typeError("%c requires int or char");
      break;
    case "d":
    case "i":
    case "u":
    case "x":
    case "X":
    case "o": {
      const whole = wholeOf(value, type);
      sign = signOf(whole < 0n);
      body = digits(whole < 0n ? -whole : whole, type, flags.includes("#"));
      body = body.padStart(precision ?? 0, "0");
      break;
    }
    case "e":
    case "E":
    case "f":
    case "F":
    case "g":
    case "G": {
      if (!isNumber(value)) throw typeError(`must be real number, not ${typeName(value)}`);
      const number = value instanceof Float ? value.value : Number(value);
      sign = signOf(number < 0 || Object.is(number, -0));
      body = formatFloat(number, { type, precision, alternate: flags.includes("#") });
      break;
    }
    default:
      throw valueError(`unsupported format character '${type}'`);
  }
  const missing = Math.max(0, width - lengthOf(sign + body));
  if (flags.includes("-")) return sign + body + " ".repeat(missing);
  if (flags.includes("0") && !"sracSRA".includes(type)) return sign + "0".repeat(missing) + body;
  return " ".repeat(missing) + sign + body;
}

function wholeOf(value: Value, type: string): bigint {
  if (typeof value === "boolean" || isInt(value)) return BigInt(value);
  if (isFloat(value) && "diu".includes(type)) {
    const number = value instanceof Float ? value.value : value;
    if (Number.isFinite(number)) return BigInt(Math.trunc(number));
  }
  const wanted = "diu".includes(type) ? "a real number" : "an integer";
  throw typeError(`%${type} format: ${wanted} is required, not ${typeName(value)}`);
}

function digits(value: bigint, type: string, prefixed: boolean): string {
  switch (type) {
    case "x":
      return (prefixed ? "0x" : "") + value.toString(16);
    case "X":
      return (prefixed ? "0X" : "") + value.toString(16).toUpperCase();
    case "o":
      return (prefixed ? "0o" : "") + value.toString(8);
  }
  return String(int(value));
}
