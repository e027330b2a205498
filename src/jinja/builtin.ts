/** Functions with Python's way of binding arguments: by position or by name. */
import { typeError } from "./errors.ts";
import { typeName } from "./types.ts";
import {
  isInt,
  isNumber,
  isString,
  type Keywords,
  textOf,
  Undefined,
  type Value,
} from "./values.ts";
import { asNumber } from "./arithmetic.ts";

export type Call = (args: readonly Value[], keywords: Keywords) => Value;

export const NO_KEYWORDS: Keywords = new Map();

/**
 * A function of the parameters named in `signature`, in their order; those that end in `?` may be
 * left out, and are then JavaScript's undefined.
 */
// deno-lint-ignore no-explicit-any
export function builtin(name: string, signature: string, run: (...values: any[]) => Value): Call {
  const parameters = signature.split(" ").filter((each) => each !== "");
  const names = parameters.map((each) => each.replace("?", ""));
  const required = parameters.filter((each) => !each.endsWith("?")).length;
  return (args, keywords) => {
    if (args.length > names.length) {
      throw typeError(`${name}() takes at most ${names.length} arguments (${args.length} given)`);
    }
    if (keywords.size === 0 && args.length >= required) return run(...args);
    const values: unknown[] = [...args];
    for (const [key, value] of keywords) {
      const index = names.indexOf(key);
      if (index < 0) throw typeError(`${name}() got an unexpected keyword argument '${key}'`);
      if (index < args.length) throw typeError(`${name}() got multiple values for '${key}'`);
      values[index] = value;
    }
    for (let i = 0; i < required; i++) {
      if (values[i] === undefined) throw typeError(`${name}() lacks its argument '${names[i]}'`);
    }
    return run(...values);
  };
}

/** The text of a str; throws on anything else. */
export function textIn(value: Value, name: string): string {
  if (isString(value)) return textOf(value);
  if (value instanceof Undefined) throw value.error();
  throw typeError(`${name}: must be str, not ${typeName(value)}`);
}

/** An index or count. */
export function indexIn(value: Value, name: string): number {
  if (typeof value === "boolean" || isInt(value)) return Number(value);
  if (value instanceof Undefined) throw value.error();
  throw typeError(`${name}: '${typeName(value)}' object cannot be interpreted as an integer`);
}

/** An int or float. */
export function numberIn(value: Value, name: string): number {
  if (isNumber(value)) return asNumber(value);
  if (value instanceof Undefined) throw value.error();
  throw typeError(`${name}: must be real number, not ${typeName(value)}`);
}
