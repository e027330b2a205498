/** Jinja's filters of lists, dicts and generators. */
import { binary } from "./arithmetic.ts";
import { attributeGetter, attributesGetter, ignoreCase } from "./attributes.ts";
import { indexIn } from "./builtin.ts";
import { compare, equals, sorted } from "./compare.ts";
import { RenderError, typeError } from "./errors.ts";
import { type Named, plain, type Registered, type Registry } from "./registry.ts";
import { repr, str } from "./repr.ts";
import { attribute, reversedItems, slice } from "./subscripts.ts";
import { iterate, lengthOfValue, truth } from "./containers.ts";
import { dictEntries, hashOf, isDict } from "./dict.ts";
import { typeName } from "./types.ts";
import { Generator, isString, type Keywords, Tuple, Undefined, type Value } from "./values.ts";

const argumentError = (message: string) => new RenderError("FilterArgumentError", message);

/** A key that ignores case unless told otherwise. */
function keyOf(attribute: Value | undefined, caseSensitive: Value): (item: Value) => Value {
  const get = attributeGetter(attribute);
  return truth(caseSensitive) ? get : (item) => ignoreCase(get(item));
}

function extreme(sign: 1 | -1) {
  return plain("value case_sensitive? attribute?", (value, caseSensitive = false, attribute) => {
    const key = keyOf(attribute, caseSensitive), [first, ...rest] = iterate(value);
    if (first === undefined) {
      return new Undefined("No aggregated item, sequence was empty.");
    }
    let best: Value = first, bestKey = key(first);
    for (const item of rest) {
      const itemKey = key(item);
      if (sign * compare(itemKey, bestKey) > 0) [best, bestKey] = [item, itemKey];
    }
    return best;
  });
}

function dictSort(
  value: Value,
  caseSensitive: Value = false,
  by: Value = "key",
  reverse: Value = false,
): Value {
  const at = ["key", "value"].indexOf(str(by));
  if (at < 0) throw argumentError('You can only sort by either "key" or "value"');
  if (!isDict(value)) throw typeError(`dictsort needs a dict, not ${typeName(value)}`);
  const entries = dictEntries(value).map((entry) => new Tuple(entry));
  const key = ({ items }: Tuple) => truth(caseSensitive) ? items[at] : ignoreCase(items[at]);
  return sorted(entries, (item) => key(item as Tuple), truth(reverse));
}

function groupBy(
  value: Value,
  attribute: Value,
  fallback: Value = null,
  caseSensitive: Value = false,
): Value {
  const get = attributeGetter(attribute, fallback);
  const key = (item: Value) => truth(caseSensitive) ? get(item) : ignoreCase(get(item));
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(value, key)) {
    const itemKey = key(item), last = groups.at(-1);
    if (last && equals(last.key, itemKey)) last.items.push(item);
    else groups.push({ key: itemKey, items: [item] });
  }
  return groups.map(({ items }) => new Tuple([get(items[0]), items], ["grouper", "list"]));
}

function batch(value: Value, count: Value, fill: Value = null): Value {
  const size = indexIn(count, "linecount");
  return new Generator(() => {
    const rows: Value[][] = [];
    for (const item of iterate(value)) {
      const last = rows.at(-1);
      if (last && last.length !== size) last.push(item);
      else rows.push([item]);
    }
    const last = rows.at(-1);
    if (fill !== null && last) { while (last.length < size) last.push(fill); }
    return rows;
  });
}

function slices(value: Value, count: Value, fill: Value = null): Value {
  const size = indexIn(count, "slices");
  return new Generator(() => {
    const items = iterate(value);
    if (size === 0) throw new RenderError("ZeroDivisionError", "integer division by zero");
    const each = Math.floor(items.length / size), longer = items.length % size;
    return Array.from({ length: Math.max(0, size) }, (_, index) => {
      const start = index * each + Math.min(index, longer);
      const row = items.slice(start, start + each + (index < longer ? 1 : 0));
      return fill !== null && index >= longer ? [...row, fill] : row;
    });
  });
}

/** `select`, `reject` and those by attribute: `wanted` is the outcome that keeps an item. */
function selection(wanted: boolean, byAttribute: boolean): Registered {
  return ([value, ...args], keywords, named) => {
    if (byAttribute && args.length === 0) {
      throw argumentError("Missing parameter for attribute name");
    }
    const get = byAttribute ? attributeGetter(args.shift()) : (item: Value) => item;
    const [test, ...rest] = args;
    const passes = (item: Value) =>
      test === undefined ? truth(item) : truth(named.test(str(test), [item, ...rest], keywords));
    return new Generator(() => {
      if (!truth(value)) return [];
      return iterate(value).filter((item) => passes(get(item)) === wanted);
    });
  };
}

function mapped([value, ...args]: readonly Value[], keywords: Keywords, named: Named): Value {
  let change: (item: Value) => Value;
  if (args.length === 0 && keywords.has("attribute")) {
    const foreign = [...keywords.keys()].find((key) => key !== "attribute" && key !== "default");
    if (foreign) throw argumentError(`Unexpected keyword argument ${repr(foreign)}`);
    change = attributeGetter(keywords.get("attribute"), keywords.get("default"));
  } else {
    if (args.length === 0) throw argumentError("map requires a filter argument");
    const [name, ...rest] = args;
    change = (item) => named.filter(str(name), [item, ...rest], keywords);
  }
  return new Generator(() => truth(value) ? iterate(value).map(change) : []);
}

const length = plain("value", lengthOfValue);

export const SEQUENCE_FILTERS: Registry = {
  attr: plain("obj name", (value, name) => attribute(value, str(name))),
  batch: plain("value linecount fill_with?", batch),
  count: length,
  length,
  d: plain("value default_value? boolean?", fallback),
  default: plain("value default_value? boolean?", fallback),
  dictsort: plain("value case_sensitive? by? reverse?", dictSort),
  first: plain("seq", (value) => {
    const first = value instanceof Generator ? value.next() : iterate(value)[0];
    return first === undefined ? new Undefined("No first item, sequence was empty.") : first;
  }),
  groupby: plain("value attribute default? case_sensitive?", groupBy),
  items: plain("value", (value) => {
    return new Generator(() => {
      if (value instanceof Undefined) return [];
      if (!isDict(value)) throw typeError("Can only get item pairs from a mapping.");
      return dictEntries(value).map((entry) => new Tuple(entry));
    });
  }),
  join: plain("value d? attribute?", (value, separator = "", attribute) => {
    return iterate(value).map(attributeGetter(attribute)).map(str).join(str(separator));
  }),
  last: plain("seq", (value) => {
    const items = reversedItems(value);
    if (!items) throw typeError(`'${typeName(value)}' object is not reversible`);
    return items.length === 0 ? new Undefined("No last item, sequence was empty.") : items[0];
  }),
  list: plain("value", (value) => [...iterate(value)]),
  map: mapped,
  max: extreme(1),
  min: extreme(-1),
  reject: selection(false, false),
  rejectattr: selection(false, true),
  reverse: plain("value", (value) => {
    if (isString(value)) return slice(value, null, null, -1);
    const items = reversedItems(value);
    if (items) return new Generator(() => items);
    return [...iterate(value)].reverse();
  }),
  select: selection(true, false),
  selectattr: selection(true, true),
  slice: plain("value slices fill_with?", slices),
  sort: plain(
    "value reverse? case_sensitive? attribute?",
    (value, reverse = false, caseSensitive = false, attribute) => {
      const get = attributesGetter(attribute);
      const key = (item: Value) => truth(caseSensitive) ? get(item) : get(item).map(ignoreCase);
      return sorted(value, key, truth(reverse));
    },
  ),
  sum: plain("iterable attribute? start?", (value, attribute, start = 0) => {
    return iterate(value).map(attributeGetter(attribute))
      .reduce((sum, each) => binary("+", sum, each), start);
  }),
  unique: plain("value case_sensitive? attribute?", (value, caseSensitive = false, attribute) => {
    const key = keyOf(attribute, caseSensitive);
    return new Generator(() => {
      const seen = new Set<unknown>();
      return iterate(value).filter((item) => {
        const hash = hashOf(key(item));
        return !seen.has(hash) && seen.add(hash);
      });
    });
  }),
};

function fallback(value: Value, other: Value = "", boolean: Value = false): Value {
  return value instanceof Undefined || (truth(boolean) && !truth(value)) ? other : value;
}
