/** Truth, length and iteration: what a value is as a container. */
import { JsonNumber } from "../files/json_value.ts";
import { pointsOf } from "./characters.ts";
import { dictEntries, dictSize, DictView, isDict } from "./dict.ts";
import { typeError } from "./errors.ts";
import { typeName } from "./types.ts";
import {
  Float,
  Generator,
  isString,
  lift,
  PyObject,
  Range,
  sequenceOf,
  textOf,
  Undefined,
  type Value,
} from "./values.ts";

export function truth(value: Value): boolean {
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      return value !== "";
    case "number":
      return value !== 0;
    case "bigint":
      return true; // zero is a number
  }
  if (value === null) return false;
  if (value instanceof PyObject) return value.truth();
  return length(value) !== 0;
}

/** Python's `len`, or null where it has none. */
function length(value: Value): number | null {
  if (isString(value)) return pointsOf(textOf(value)).length;
  if (value instanceof Float) return value.value;
  const items = sequenceOf(value);
  if (items) return items.length;
  if (value instanceof Range) return value.length;
  if (value instanceof DictView) return dictSize(value.dict);
  if (value instanceof Undefined) return 0;
  return isDict(value) ? dictSize(value) : null;
}

/** Python's `len`. */
export function lengthOfValue(value: Value): number {
  const count = value instanceof Float ? null : length(value);
  if (count !== null) return count;
  throw typeError(`object of type '${typeName(value)}' has no len()`);
}

/** Whether Python's `len` takes it. */
export function hasLength(value: Value): boolean {
  return !(value instanceof Float) && length(value) !== null;
}

/** The values that a `for` gets, or null if it is not iterable. */
function iterated(value: Value): readonly Value[] | null {
  if (isString(value)) return Array.from(textOf(value));
  const items = sequenceOf(value);
  if (items) return items.some(needsLift) ? items.map(lift) : items;
  if (value instanceof Generator) return value.rest();
  if (value instanceof Range || value instanceof DictView) return value.values();
  if (value instanceof Undefined) return [];
  return isDict(value) ? dictEntries(value).map(([key]) => key) : null;
}

function needsLift(value: Value): boolean {
  return value === undefined || typeof value === "bigint" || value instanceof JsonNumber ||
    (typeof value === "number" && Math.abs(value) >= 1e21);
}

/** The values that a `for` gets; throws if it is not iterable. */
export function iterate(value: Value): readonly Value[] {
  const values = iterated(value);
  if (values) return values;
  throw typeError(`'${typeName(value)}' object is not iterable`);
}

export function isIterable(value: Value): boolean {
  return isString(value) || sequenceOf(value) !== null || value instanceof Generator ||
    value instanceof Range || value instanceof DictView || value instanceof Undefined ||
    isDict(value);
}
