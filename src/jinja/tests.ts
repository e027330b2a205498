/** Jinja's tests: what may follow `is`. */
import { asNumber, binary } from "./arithmetic.ts";
import { contains, equals, type Order, ordered } from "./compare.ts";
import { plain, type Registered, type Registry } from "./registry.ts";
import { str } from "./repr.ts";
import { isLower, isUpper } from "./text_methods.ts";
import { hasLength, isIterable } from "./containers.ts";
import { DictView, isDict } from "./dict.ts";
import {
  Callable,
  isFloat,
  isInt,
  isNumber,
  isString,
  Markup,
  Undefined,
  type Value,
} from "./values.ts";

const check = (rule: (value: Value) => boolean) => plain("value", rule);
const order = (kind: Order) => plain("a b", (a, b) => ordered(kind, a, b));
const rest = (value: Value, divisor: Value) => binary("%", value, divisor);
const equal = plain("a b", equals), unequal = plain("a b", (a, b) => !equals(a, b));

const BASIC: Registry = {
  boolean: check((value) => typeof value === "boolean"),
  callable: check((value) => value instanceof Callable || value instanceof Undefined),
  defined: check((value) => !(value instanceof Undefined)),
  divisibleby: plain("value num", (value, num) => equals(rest(value, num), 0)),
  escaped: check((value) => value instanceof Markup),
  even: check((value) => equals(rest(value, 2), 0)),
  false: check((value) => value === false),
  float: check(isFloat),
  in: plain("value seq", (value, container) => contains(container, value)),
  integer: check(isInt),
  iterable: check(isIterable),
  lower: check((value) => isLower(str(value))),
  mapping: check(isDict),
  none: check((value) => value === null),
  number: check(isNumber),
  odd: check((value) => equals(rest(value, 2), 1)),
  sameas: plain("value other", isSame),
  sequence: check((value) => hasLength(value) && !(value instanceof DictView)),
  string: check(isString),
  true: check((value) => value === true),
  undefined: check((value) => value instanceof Undefined),
  upper: check((value) => isUpper(str(value))),
};

/** Python's `is`; equal numbers of one type count as one object. */
function isSame(a: Value, b: Value): boolean {
  if (isNumber(a) && isNumber(b) && isInt(a) !== isInt(b)) return false;
  return a === b || (isFloat(a) && isFloat(b) && asNumber(a) === asNumber(b));
}

const COMPARISONS: [names: string, test: Registered][] = [
  ["== eq equalto", equal],
  ["!= ne", unequal],
  ["> gt greaterthan", order("gt")],
  [">= ge", order("gteq")],
  ["< lt lessthan", order("lt")],
  ["<= le", order("lteq")],
];

export const TESTS: Registry = {
  ...BASIC,
  ...Object.fromEntries(
    COMPARISONS.flatMap(([names, test]) => names.split(" ").map((name) => [name, test])),
  ),
};
