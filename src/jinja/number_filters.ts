/** Jinja's filters of numbers. */
import { asNumber, binary, negative } from "./arithmetic.ts";
import { indexIn, numberIn } from "./builtin.ts";
import { strip } from "./characters.ts";
import { RenderError } from "./errors.ts";
import { plain, type Registry } from "./registry.ts";
import { str } from "./repr.ts";
import { truth } from "./containers.ts";
import { float, int, isFloat, isInt, isString, textOf, Undefined, type Value } from "./values.ts";

/** Python's `float(text)`; undefined where it fails. */
function parseFloatText(text: string): number | undefined {
  const bare = strip(text, null, "both").replace(/(?<=\d)_(?=\d)/g, "");
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(bare)) return Number(bare);
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(bare);
  if (!word) return undefined;
  return (word[1] === "-" ? -1 : 1) * (word[2].toLowerCase() === "nan" ? NaN : Infinity);
}

/** Python's `int(text, base)`; undefined where it fails. */
function parseIntText(text: string, base: number): bigint | undefined {
  const match = /^([+-]?)(?:0([box]))?_?([0-9a-z]+(?:_[0-9a-z]+)*)$/i
    .exec(strip(text, null, "both"));
  if (!match) return undefined;
  const bases: Record<string, number> = { b: 2, o: 8, x: 16 };
  const [, sign, letter, digits] = match;
  let written = digits.replaceAll("_", "").toLowerCase();
  if (letter && base !== 0 && base !== bases[letter.toLowerCase()]) {
    written = letter.toLowerCase() + written; // a digit of a base above
  }
  const radix = base === 0 ? bases[letter?.toLowerCase()] ?? 10 : base;
  let value = 0n;
  for (const char of written) {
    const digit = parseInt(char, 36);
    if (digit >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(digit);
  }
  return sign === "-" ? -value : value;
}

function toInt(value: Value, fallback: Value = 0, base: Value = 10): Value {
  if (value instanceof Undefined) throw value.error();
  if (typeof value === "boolean") return Number(value);
  if (isInt(value)) return value;
  if (isString(value)) {
    const whole = parseIntText(textOf(value), indexIn(base, "base"));
    if (whole !== undefined) return int(whole);
  }
  const number = isString(value)
    ? parseFloatText(textOf(value))
    : isFloat(value)
    ? asNumber(value)
    : NaN;
  if (number === undefined || !Number.isFinite(number)) {
    if (isFloat(value) && !Number.isNaN(number)) {
      throw new RenderError("OverflowError", "cannot convert float infinity to integer");
    }
    return fallback;
  }
  return int(BigInt(Math.trunc(number)));
}

function toFloat(value: Value, fallback: Value = float(0)): Value {
  if (value instanceof Undefined) throw value.error();
  if (isString(value)) {
    const number = parseFloatText(textOf(value));
    return number === undefined ? fallback : float(number);
  }
  if (typeof value === "boolean" || isInt(value)) return float(Number(value));
  return isFloat(value) ? value : fallback;
}

function round(value: Value, precision: Value = 0, method: Value = "common"): Value {
  const places = indexIn(precision, "precision"), number = numberIn(value, "round");
  switch (str(method)) {
    case "common":
      return isFloat(value) ? float(roundHalfEven(number, places)) : roundInt(value, places);
    case "ceil":
    case "floor": {
      const power = binary("**", 10, places), scaled = asNumber(binary("*", value, power));
      const whole = str(method) === "ceil" ? Math.ceil(scaled) : Math.floor(scaled);
      return binary("/", int(BigInt(whole)), power);
    }
  }
  throw new RenderError("FilterArgumentError", "method must be common, ceil or floor");
}

/** Correctly rounded, as Python's: of the exact binary value, halves to even. */
function roundHalfEven(value: number, places: number): number {
  if (!Number.isFinite(value) || Math.abs(value) >= 1e21 || places > 50) return value;
  if (places < 0) {
    const unit = 10 ** -places, low = Math.floor(value / unit) * unit, rest = value - low;
    const up = rest > unit / 2 || (rest === unit / 2 && (low / unit) % 2 !== 0);
    return low + (up ? unit : 0);
  }
  const text = value.toFixed(places);
  // toFixed is exact but for halves, which it rounds up. A half has one binary place more.
  const finer = value.toFixed(places + 1);
  const isHalf = Number.isInteger(value * 2 ** (places + 1)) && finer.endsWith("5");
  return Number(isHalf && Number(text.at(-1)) % 2 === 1 ? finer.slice(0, -1) : text);
}

/** `round` keeps an int; negative places round halves to even. */
function roundInt(value: Value, places: number): Value {
  if (places >= 0) return typeof value === "boolean" ? Number(value) : value;
  const unit = 10n ** BigInt(-places), whole = BigInt(value as number | bigint | boolean);
  const rest = ((whole % unit) + unit) % unit, low = whole - rest;
  const up = rest * 2n > unit || (rest * 2n === unit && (low / unit) % 2n !== 0n);
  return int(up ? low + unit : low);
}

const PREFIXES = ["k", "M", "G", "T", "P", "E", "Z", "Y"];

function fileSize(value: Value, isBinary: Value = false): string {
  const size = asNumber(toFloat(value, null) ?? NaN), base = truth(isBinary) ? 1024 : 1000;
  if (Number.isNaN(size)) throw new RenderError("ValueError", "could not convert to float");
  if (size === 1) return "1 Byte";
  if (size < base) return `${Math.trunc(size)} Bytes`;
  let power = 1;
  while (power < PREFIXES.length && size >= base ** (power + 1)) power++;
  const name = PREFIXES[power - 1];
  const prefix = base === 1024 ? `${name.toUpperCase()}i` : name;
  return `${(size / base ** power).toFixed(1)} ${prefix}B`;
}

export const NUMBER_FILTERS: Registry = {
  abs: plain("x", (value) => {
    return numberIn(value, "abs") < 0 ? negative(value) : binary("+", value, 0);
  }),
  filesizeformat: plain("value binary?", fileSize),
  float: plain("value default?", toFloat),
  int: plain("value default? base?", toInt),
  round: plain("value precision? method?", round),
};
