/** Python's `+ - * / // % **` and signs. */
import { RenderError, typeError } from "./errors.ts";
import { percentFormat } from "./percent_format.ts";
import { escapeHtml } from "./html.ts";
import { str } from "./repr.ts";
import { typeName } from "./types.ts";
import {
  Float,
  float,
  int,
  isFloat,
  isInt,
  isNumber,
  isString,
  Markup,
  sequenceOf,
  textOf,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

export type Operator = "+" | "-" | "*" | "/" | "//" | "%" | "**";

export function binary(operator: Operator, a: Value, b: Value): Value {
  if (operator === "%" && isString(a)) {
    if (a instanceof Markup) return new Markup(percentFormat(a.text, b, escapeHtml));
    return percentFormat(a, b, str);
  }
  if (a instanceof Undefined) throw a.error();
  if (b instanceof Undefined) throw b.error();
  if (isNumber(a) && isNumber(b)) return numbers(operator, a, b);
  const result = operator === "+" ? join(a, b) : operator === "*" ? repeat(a, b) : null;
  if (result !== null) return result;
  throw typeError(
    `unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`,
  );
}

function join(a: Value, b: Value): Value | null {
  if (typeof a === "string" && typeof b === "string") return a + b;
  if (isString(a) && isString(b)) return new Markup(escapeHtml(a) + escapeHtml(b));
  const left = sequenceOf(a), right = sequenceOf(b);
  if (left && right && (a instanceof Tuple) === (b instanceof Tuple)) {
    const items = [...left, ...right];
    return a instanceof Tuple ? new Tuple(items) : items;
  }
  if (typeof a === "string") {
    throw typeError(`can only concatenate str (not "${typeName(b)}") to str`);
  }
  return null;
}

/** More than any prompt: what is longer is a mistake that would fill the memory. */
const LONGEST = 2 ** 28;

function repeat(a: Value, b: Value): Value | null {
  if (isNumber(a)) [a, b] = [b, a];
  if (!isInt(b) && typeof b !== "boolean") return null;
  const count = Math.max(0, Number(b));
  const size = isString(a) ? textOf(a).length : sequenceOf(a)?.length ?? 0;
  if (size * count > LONGEST) throw new RenderError("OverflowError", "the result is too long");
  if (typeof a === "string") return a.repeat(count);
  if (a instanceof Markup) return new Markup(a.text.repeat(count));
  const items = sequenceOf(a);
  if (!items) return null;
  const repeated = Array.from({ length: count }, () => items).flat();
  return a instanceof Tuple ? new Tuple(repeated) : repeated;
}

function numbers(operator: Operator, a: Value, b: Value): Value {
  if (typeof a === "boolean") a = Number(a);
  if (typeof b === "boolean") b = Number(b);
  if (isInt(a) && isInt(b) && !(operator === "/" || (operator === "**" && b < 0))) {
    if (typeof a === "number" && typeof b === "number") {
      const result = small(operator, a, b);
      if (Number.isSafeInteger(result)) return result + 0; // -0 is 0
    }
    return int(large(operator, BigInt(a), BigInt(b)));
  }
  return float(floats(operator, asNumber(a), asNumber(b)));
}

/** A float or int as a JavaScript number. */
export function asNumber(value: Value): number {
  return value instanceof Float ? value.value : Number(value);
}

function zeroDivision(message: string): RenderError {
  return new RenderError("ZeroDivisionError", message);
}

function small(operator: Operator, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "**":
      return a ** b;
  }
  if (b === 0) throw zeroDivision("integer division or modulo by zero");
  return operator === "%" ? a - b * Math.floor(a / b) : Math.floor(a / b);
}

/** Larger than any use: Python would compute for minutes. */
const MOST_BITS = 1e6;

function large(operator: Operator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "**":
      if (a * a > 1n && a.toString(2).length * Number(b) > MOST_BITS) {
        throw new RenderError("OverflowError", "the power is too large");
      }
      return a ** b;
  }
  if (b === 0n) throw zeroDivision("integer division or modulo by zero");
  const rest = ((a % b) + b) % b;
  return operator === "%" ? rest : (a - rest) / b;
}

function floats(operator: Operator, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "**":
      if (a === 0 && b < 0) throw zeroDivision("0.0 cannot be raised to a negative power");
      if (Number.isFinite(a) && Number.isFinite(b) && !Number.isFinite(a ** b)) {
        throw new RenderError("OverflowError", "Numerical result out of range");
      }
      return a ** b;
  }
  if (b === 0) throw zeroDivision(operator === "/" ? "division by zero" : "float modulo");
  if (operator === "/") return a / b;
  const rest = a % b, wraps = rest !== 0 && (rest < 0) !== (b < 0);
  if (operator === "%") return wraps ? rest + b : rest;
  return Math.round((a - rest) / b) - (wraps ? 1 : 0);
}

export function negative(value: Value): Value {
  if (value instanceof Undefined) throw value.error();
  if (isFloat(value)) return float(-asNumber(value));
  if (isInt(value)) return typeof value === "bigint" ? int(-value) : 0 - value;
  if (typeof value === "boolean") return 0 - Number(value);
  throw typeError(`bad operand type for unary -: '${typeName(value)}'`);
}

export function positive(value: Value): Value {
  if (value instanceof Undefined) throw value.error();
  if (typeof value === "boolean") return Number(value);
  if (isNumber(value)) return value;
  throw typeError(`bad operand type for unary +: '${typeName(value)}'`);
}
