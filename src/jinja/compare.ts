/** Python's comparisons and `in`. */
import { compareText } from "./characters.ts";
import { typeError } from "./errors.ts";
import { iterate } from "./containers.ts";
import { dictEntries, dictGet, dictSize, DictView, isDict } from "./dict.ts";
import { typeName } from "./types.ts";
import {
  Float,
  Generator,
  isNumber,
  isString,
  lift,
  Range,
  sequenceOf,
  textOf,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

/** `a == b`. */
export function equals(a: Value, b: Value): boolean {
  if (a === b) return !(typeof a === "number" && Number.isNaN(a));
  if (isString(a) || isString(b)) return isString(a) && isString(b) && textOf(a) === textOf(b);
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b) === 0;
  const left = sequenceOf(a), right = sequenceOf(b);
  if (left && right) {
    return (a instanceof Tuple) === (b instanceof Tuple) && left.length === right.length &&
      left.every((each, index) => equals(lift(each), lift(right[index])));
  }
  if (isDict(a) && isDict(b)) {
    return dictSize(a) === dictSize(b) && dictEntries(a).every(([key, value]) => {
      const other = dictGet(b, key);
      return other !== undefined && equals(value, other);
    });
  }
  if (a instanceof Range && b instanceof Range) return equals(a.values(), b.values());
  return a instanceof Undefined && b instanceof Undefined;
}

/** Negative, zero, positive; NaN where a NaN is involved. */
function compareNumbers(a: Value, b: Value): number {
  const x = numeric(a), y = numeric(b);
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  return x < y ? -1 : x > y ? 1 : 0; // JavaScript compares bigints with numbers exactly
}

function numeric(value: Value): number | bigint {
  if (value instanceof Float) return value.value;
  return typeof value === "boolean" ? Number(value) : value as number | bigint;
}

const SYMBOLS = { lt: "<", lteq: "<=", gt: ">", gteq: ">=" };
export type Order = keyof typeof SYMBOLS;

/** `a < b` and the like. Throws where Python does. */
export function ordered(order: Order, a: Value, b: Value): boolean {
  const sign = compare(a, b, SYMBOLS[order]);
  switch (order) {
    case "lt":
      return sign < 0;
    case "lteq":
      return sign <= 0;
    case "gt":
      return sign > 0;
    case "gteq":
      return sign >= 0;
  }
}

/** Negative, zero or positive; the symbol is for the message if they have no order. */
export function compare(a: Value, b: Value, symbol = "<"): number {
  if (a instanceof Undefined) throw a.error();
  if (b instanceof Undefined) throw b.error();
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (isString(a) && isString(b)) return compareText(textOf(a), textOf(b));
  const left = sequenceOf(a), right = sequenceOf(b);
  if (left && right && (a instanceof Tuple) === (b instanceof Tuple)) {
    for (let i = 0; i < Math.min(left.length, right.length); i++) {
      const x = lift(left[i]), y = lift(right[i]);
      if (!equals(x, y)) return compare(x, y, symbol);
    }
    return left.length - right.length;
  }
  throw typeError(
    `'${symbol}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
  );
}

/** `item in container`. */
export function contains(container: Value, item: Value): boolean {
  if (isString(container)) {
    if (isString(item)) return textOf(container).includes(textOf(item));
    throw typeError(
      `'in <string>' requires string as left operand, not ${typeName(item)}`,
    );
  }
  const items = sequenceOf(container);
  if (items) return items.some((each) => equals(lift(each), item));
  if (container instanceof Generator) {
    for (let each = container.next(); each !== undefined; each = container.next()) {
      if (equals(each, item)) return true;
    }
    return false;
  }
  if (container instanceof Range || container instanceof DictView) {
    return container.values().some((each) => equals(each, item));
  }
  if (isDict(container)) return dictGet(container, item) !== undefined;
  if (container instanceof Undefined) return false;
  throw typeError(`argument of type '${typeName(container)}' is not iterable`);
}

/** Sorts a copy, as Python's stable `sorted` with a key. */
export function sorted(
  value: Value,
  key: (item: Value) => Value = (item) => item,
  reverse = false,
): Value[] {
  const keyed = iterate(value).map((item) => ({ item, key: key(item) }));
  // Equal items keep their order in reverse, too.
  keyed.sort((a, b) => reverse ? compare(b.key, a.key) : compare(a.key, b.key));
  return keyed.map(({ item }) => item);
}
