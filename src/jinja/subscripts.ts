/** `value.name`, `value[key]` and `value[a:b]`, within the rules of Jinja's immutable sandbox. */
import { braceFormat } from "./brace_format.ts";
import { builtin, type Call, indexIn } from "./builtin.ts";
import { pointsOf } from "./characters.ts";
import { equals } from "./compare.ts";
import { typeError, valueError } from "./errors.ts";
import { repr } from "./repr.ts";
import { textMethod } from "./text_methods.ts";
import { iterate } from "./containers.ts";
import { dictEntries, dictGet, DictView, isDict } from "./dict.ts";
import { objectTypeName, typeName } from "./types.ts";
import {
  Callable,
  Float,
  Generator,
  isString,
  type Keywords,
  lift,
  Markup,
  PyObject,
  Range,
  sequenceOf,
  textOf,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

/** Methods that would change a list or dict. */
const CHANGING: Record<string, readonly string[]> = {
  list: ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"],
  dict: ["clear", "pop", "popitem", "setdefault", "update"],
};

/** `value.name`: an attribute or method, otherwise the item of that name. */
export function getAttribute(value: Value, name: string): Value {
  const found = attributeOf(value, name);
  if (found !== undefined) return found;
  const item = itemOf(value, name);
  return item === undefined ? missing(value, name) : item;
}

/** `value[key]`: an item, otherwise the attribute or method of that name. */
export function getItem(value: Value, key: Value): Value {
  const item = itemOf(value, key);
  if (item !== undefined) return item;
  return isString(key) ? attribute(value, textOf(key)) : missing(value, key);
}

/** An attribute only, not an item of that name. */
export function attribute(value: Value, name: string): Value {
  const found = attributeOf(value, name);
  return found === undefined ? missing(value, name) : found;
}

/** Calls a method without making an object of it. */
export function callMethod(
  value: Value,
  name: string,
  args: readonly Value[],
  keywords: Keywords,
): Value {
  const method = typeof value === "string" ? textMethod(name) : undefined;
  if (method) return method(value as string, args, keywords);
  return callValue(getAttribute(value, name), args, keywords);
}

export function callValue(value: Value, args: readonly Value[], keywords: Keywords): Value {
  if (value instanceof Callable) return value.call(args, keywords);
  if (value instanceof Undefined) throw value.error();
  throw typeError(`'${typeName(value)}' object is not callable`);
}

function missing(value: Value, key: Value): Undefined {
  const name = objectTypeName(value);
  return new Undefined(
    isString(key)
      ? `${repr(name)} has no attribute ${repr(textOf(key))}`
      : `${name} has no element ${repr(key)}`,
  );
}

function itemOf(value: Value, key: Value): Value | undefined {
  if (value instanceof Undefined) throw value.error();
  if (isDict(value)) {
    return Array.isArray(key) || isDict(key) ? undefined : dictGet(value, key);
  }
  if (typeof key !== "number" && typeof key !== "boolean") return undefined;
  const index = Number(key);
  if (!Number.isInteger(index)) return undefined;
  const items = sequenceOf(value) ?? (isString(value) ? pointsOf(textOf(value)) : null) ??
    (value instanceof Range ? value.values() : null);
  const item = items?.[index < 0 ? index + items.length : index];
  return item === undefined ? undefined : lift(item);
}

function attributeOf(value: Value, name: string): Value | undefined {
  if (value instanceof Undefined) throw value.error();
  const type = typeName(value);
  if (/^__\w+__$/.test(name) || CHANGING[type]?.includes(name)) return unsafe(type, name);
  if (value instanceof PyObject) {
    const found = value.attribute(name);
    return found !== undefined && name.startsWith("_") ? unsafe(type, name) : found;
  }
  if (typeof value === "string") return boundTextMethod(value, name);
  if (value instanceof Markup) return boundMarkupMethod(value, name);
  if (value instanceof Tuple && value.names?.includes(name)) {
    return lift(value.items[value.names.indexOf(name)]);
  }
  const table = METHODS[type];
  if (!table || !Object.hasOwn(table, name)) return undefined;
  const method = table[name];
  return new Callable(name, (args, keywords) => method([value, ...args], keywords));
}

function unsafe(type: string, name: string): Undefined {
  return new Undefined(
    `access to attribute ${repr(name)} of '${type}' object is unsafe.`,
    "SecurityError",
  );
}

const ACCESS = { attribute: getAttribute, item: getItem };

function boundTextMethod(text: string, name: string): Callable | undefined {
  if (name === "format") {
    return new Callable(name, (args, keywords) => braceFormat(text, args, keywords, ACCESS));
  }
  if (name === "format_map") {
    return new Callable(name, ([mapping]) => {
      if (!isDict(mapping)) throw typeError("format_map() takes a mapping");
      const keywords = new Map(dictEntries(mapping).map(([key, each]) => [`${key}`, each]));
      return braceFormat(text, [], keywords, ACCESS);
    });
  }
  const method = textMethod(name);
  return method && new Callable(name, (args, keywords) => method(text, args, keywords));
}

/** What a method of Markup returns is Markup, too. */
function boundMarkupMethod({ text }: Markup, name: string): Callable | undefined {
  const method = boundTextMethod(text, name);
  const marked = (value: Value): Value => {
    if (typeof value === "string") return new Markup(value);
    if (Array.isArray(value)) return value.map(marked);
    return value instanceof Tuple ? new Tuple(value.items.map(marked)) : value;
  };
  return method && new Callable(name, (args, keywords) => marked(method.call(args, keywords)));
}

const position = builtin("index", "self value start? stop?", (self, value, start = 0, stop) => {
  const items = sequenceOf(self)!;
  const bound = (at: number) => at < 0 ? Math.max(0, at + items.length) : at;
  const from = bound(indexIn(start, "index")), to = bound(indexIn(stop ?? items.length, "index"));
  const at = items.findIndex((each, i) => i >= from && i < to && equals(lift(each), value));
  if (at >= 0) return at;
  throw valueError(`${repr(value)} is not in ${typeName(self)}`);
});
const occurrences = builtin("count", "self value", (self, value) => {
  return sequenceOf(self)!.filter((each) => equals(lift(each), value)).length;
});

const METHODS: Record<string, Record<string, Call>> = {
  list: {
    index: position,
    count: occurrences,
    copy: builtin("copy", "self", (self) => [...self]),
  },
  tuple: { index: position, count: occurrences },
  dict: {
    get: builtin("get", "self key default?", (self, key, fallback = null) => {
      const value = dictGet(self, key);
      return value === undefined ? fallback : value;
    }),
    keys: builtin("keys", "self", (self) => new DictView(self, "keys")),
    values: builtin("values", "self", (self) => new DictView(self, "values")),
    items: builtin("items", "self", (self) => new DictView(self, "items")),
    copy: builtin("copy", "self", (self) => self),
  },
  float: {
    is_integer: builtin("is_integer", "self", (self) => self instanceof Float),
  },
  int: {
    bit_length: builtin("bit_length", "self", (self) => {
      return self === 0 ? 0 : BigInt(self).toString(2).replace("-", "").length;
    }),
  },
};

/** `value[start:stop:step]`. */
export function slice(value: Value, start: Value, stop: Value, step: Value): Value {
  if (value instanceof Undefined) throw value.error();
  const items = isString(value)
    ? pointsOf(textOf(value))
    : sequenceOf(value) ?? (value instanceof Range ? value.values() : null);
  if (items === null) throw typeError(`'${typeName(value)}' object is not subscriptable`);
  const [from, to, by] = bounds(items.length, start, stop, step);
  if (value instanceof Range) {
    const { start: first, step: width } = value;
    return new Range(first + from * width, first + to * width, width * by);
  }
  if (by === 1) {
    const part = items.slice(from, Math.max(from, to));
    if (isString(value)) return textLike(value, typeof part === "string" ? part : part.join(""));
    return value instanceof Tuple ? new Tuple(part as Value[]) : part;
  }
  const picked: Value[] = [];
  for (let i = from; by > 0 ? i < to : i > to; i += by) picked.push(items[i]);
  if (isString(value)) return textLike(value, picked.join(""));
  return value instanceof Tuple ? new Tuple(picked) : picked;
}

function textLike(value: string | Markup, text: string): string | Markup {
  return typeof value === "string" ? text : new Markup(text);
}

function bounds(size: number, start: Value, stop: Value, step: Value): [number, number, number] {
  const name = "slice indices";
  const by = step === null ? 1 : indexIn(step, name);
  if (by === 0) throw valueError("slice step cannot be zero");
  const [lowest, highest] = by > 0 ? [0, size] : [-1, size - 1];
  const bound = (value: Value, fallback: number) => {
    if (value === null) return fallback;
    const index = indexIn(value, name);
    return Math.min(highest, Math.max(lowest, index < 0 ? index + size : index));
  };
  return [bound(start, by > 0 ? lowest : highest), bound(stop, by > 0 ? highest : lowest), by];
}

/** What `reversed` gives; null where Python has none. */
export function reversedItems(value: Value): Value[] | null {
  if (isString(value) || value instanceof Range || value instanceof DictView || isDict(value)) {
    return [...iterate(value)].reverse();
  }
  if (value instanceof Generator) return null;
  const items = sequenceOf(value) ?? (value instanceof Undefined ? [] : null);
  return items && items.map(lift).reverse();
}
