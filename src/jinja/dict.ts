/** Python's dicts: those of the input, which are plain objects, and those that a template makes. */
import { entriesOf } from "../files/json_value.ts";
import { typeError } from "./errors.ts";
import { Float, int, lift, Markup, PyObject, Tuple, Undefined, type Value } from "./values.ts";

/** A dict made by a template; its keys may be any hashable values. */
export class Dict {
  readonly #entries = new Map<unknown, readonly [Value, Value]>();
  constructor(entries: Iterable<readonly [Value, Value]>) {
    for (const [key, value] of entries) {
      const hash = hashOf(key), known = this.#entries.get(hash);
      this.#entries.set(hash, [known ? known[0] : key, value]);
    }
  }
  get size(): number {
    return this.#entries.size;
  }
  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1];
  }
  entries(): (readonly [Value, Value])[] {
    return [...this.#entries.values()];
  }
}

/** `keys()`, `values()` or `items()` of a dict. */
export class DictView extends PyObject {
  readonly typeName: string;
  constructor(readonly dict: Value, readonly kind: "keys" | "values" | "items") {
    super();
    this.typeName = `dict_${kind}`;
  }
  values(): Value[] {
    const entries = dictEntries(this.dict);
    if (this.kind === "items") return entries.map((entry) => new Tuple(entry));
    return entries.map(([key, value]) => this.kind === "keys" ? key : value);
  }
  override truth(): boolean {
    return dictSize(this.dict) > 0;
  }
}

export function isDict(value: Value): value is Dict | Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (value instanceof Dict) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** JavaScript's undefined if the key is missing. */
export function dictGet(dict: Value, key: Value): Value | undefined {
  if (dict instanceof Dict) return dict.get(key);
  if (key instanceof Markup) key = key.text;
  if (typeof key !== "string") {
    hashOf(key);
    return undefined;
  }
  const object = dict as Record<string, unknown>;
  if (!Object.hasOwn(object, key)) return undefined;
  const value = object[key];
  return value === undefined ? undefined : lift(value);
}

export function dictEntries(dict: Value): (readonly [Value, Value])[] {
  if (dict instanceof Dict) return dict.entries();
  return entriesOf(dict as Record<string, unknown>).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, lift(value)] as const]
  );
}

export function dictSize(dict: Value): number {
  return dict instanceof Dict ? dict.size : dictEntries(dict).length;
}

/** Equal for values that are equal as keys: 1, 1.0 and True are. */
export function hashOf(value: Value): unknown {
  if (typeof value === "string" || value === null) return value;
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (typeof value === "boolean") return Number(value);
  if (value instanceof Float) {
    return Number.isFinite(value.value) ? int(BigInt(value.value)) : value.value;
  }
  if (value instanceof Markup) return value.text;
  if (value instanceof Tuple) {
    const parts = value.items.map((each) => {
      const hash = hashOf(lift(each));
      return `${typeof hash}:${String(hash).length}:${String(hash)}`;
    });
    return `\0tuple ${parts.join(",")}`;
  }
  if (value instanceof Undefined) return Undefined;
  if (value instanceof PyObject) return value;
  throw typeError(`unhashable type: '${Array.isArray(value) ? "list" : "dict"}'`);
}
