/**
 * Python's values in JavaScript.
 *
 * | Python   | here                                                                             |
 * | -------- | -------------------------------------------------------------------------------- |
 * | None     | null                                                                             |
 * | bool     | boolean                                                                          |
 * | int      | a safe integer as number, others as bigint                                       |
 * | float    | a number with a fraction, NaN and infinities; {@link Float} if it has no fraction |
 * | str      | string; {@link Markup} if marked as safe HTML                                    |
 * | list     | array                                                                            |
 * | tuple    | {@link Tuple}                                                                    |
 * | dict     | plain object, as JSON has it; {@link Dict} if made by the template               |
 * | others   | a {@link PyObject}                                                               |
 *
 * Lists and dicts are never copied on their way in: a template that loops over the messages gets
 * the caller's own objects, by which the caller recognises them. They cannot be changed, because
 * transformers renders in an immutable sandbox.
 */
import { entriesOf, JsonNumber } from "../files/json_value.ts";
import { type ErrorKind, RenderError, typeError } from "./errors.ts";
import { pointsOf } from "./characters.ts";

/** A value of the table above. */
export type Value = unknown;

/** A float without a fraction: 1.0. */
export class Float {
  constructor(readonly value: number) {}
}

/** HTML that is already escaped. */
export class Markup {
  constructor(readonly text: string) {}
}

export class Tuple {
  constructor(
    readonly items: readonly Value[],
    /** Of a named tuple's items. */
    readonly names?: readonly string[],
  ) {}
}

/** Keyword arguments of a call. */
export type Keywords = ReadonlyMap<string, Value>;

/** Any other object. */
export abstract class PyObject {
  abstract readonly typeName: string;
  /** JavaScript's undefined if it has no such attribute. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }
  repr(): string {
    return `<${this.typeName} object>`;
  }
  truth(): boolean {
    return true;
  }
}

/** A function, filter or method. */
export class Callable extends PyObject {
  readonly typeName = "function";
  constructor(
    readonly name: string,
    readonly call: (args: readonly Value[], keywords: Keywords) => Value,
    private readonly attributes: Readonly<Record<string, Value>> = {},
  ) {
    super();
  }
  override attribute(name: string): Value | undefined {
    return Object.hasOwn(this.attributes, name) ? this.attributes[name] : undefined;
  }
  override repr(): string {
    return `<function ${this.name}>`;
  }
}

/** Jinja's undefined: prints as nothing, is false and empty, and fails in any other use. */
export class Undefined extends PyObject {
  readonly typeName = "Undefined";
  constructor(readonly message: string, readonly kind: ErrorKind = "UndefinedError") {
    super();
  }
  error(): RenderError {
    return new RenderError(this.kind, this.message);
  }
  override repr(): string {
    return "Undefined";
  }
  override truth(): boolean {
    return false;
  }
}

/** A generator or iterator: its values can be taken once, and are made when they are. */
export class Generator extends PyObject {
  readonly typeName = "generator";
  #values: Value[] | undefined;
  #taken = 0;
  constructor(private readonly make: () => Value[]) {
    super();
  }
  /** All values not yet taken. */
  rest(): Value[] {
    const values = this.#values ??= this.make(), from = this.#taken;
    this.#taken = values.length;
    return from === 0 ? values : values.slice(from);
  }
  /** JavaScript's undefined at the end. */
  next(): Value | undefined {
    const values = this.#values ??= this.make();
    return this.#taken < values.length ? values[this.#taken++] : undefined;
  }
}

/** Python's `range`. */
export class Range extends PyObject {
  readonly typeName = "range";
  readonly length: number;
  constructor(readonly start: number, readonly stop: number, readonly step: number) {
    super();
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }
  values(): number[] {
    return Array.from({ length: this.length }, (_, index) => this.start + index * this.step);
  }
  override repr(): string {
    const { start, stop, step } = this;
    return step === 1 ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`;
  }
  override truth(): boolean {
    return this.length > 0;
  }
}

/** The only object that a template can change. */
export class Namespace extends PyObject {
  readonly typeName = "Namespace";
  constructor(readonly attributes: Map<string, Value>) {
    super();
  }
  override attribute(name: string): Value | undefined {
    return this.attributes.get(name);
  }
}

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

/** A value as it comes in, made one of the table. */
export function lift(value: unknown): Value {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isInteger(value) && Math.abs(value) >= 1e21 ? new Float(value) : value;
    case "bigint":
      return int(value);
    case "undefined":
      return null;
  }
  return value instanceof JsonNumber ? numberFrom(value.source) : value;
}

function numberFrom(source: string): Value {
  return /^-?\d+$/.test(source) ? int(BigInt(source)) : float(Number(source));
}

export function int(value: bigint): Value {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function float(value: number): Value {
  return Number.isInteger(value) ? new Float(value) : value;
}

export function isString(value: Value): value is string | Markup {
  return typeof value === "string" || value instanceof Markup;
}

/** The text of a str. */
export function textOf(value: string | Markup): string {
  return typeof value === "string" ? value : value.text;
}

/** Of an int, bools excepted. */
export function isInt(value: Value): value is number | bigint {
  return typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
}

export function isFloat(value: Value): value is number | Float {
  return value instanceof Float || (typeof value === "number" && !Number.isInteger(value));
}

export function isNumber(value: Value): value is number | bigint | boolean | Float {
  return typeof value === "number" || typeof value === "boolean" || typeof value === "bigint" ||
    value instanceof Float;
}

export function isDict(value: Value): value is Dict | Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (value instanceof Dict) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The items of a list or tuple. */
export function sequenceOf(value: Value): readonly Value[] | null {
  if (Array.isArray(value)) return value;
  return value instanceof Tuple ? value.items : null;
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
  throw typeError(`unhashable type: '${typeName(value)}'`);
}

export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (isInt(value)) return "int";
  if (isFloat(value)) return "float";
  if (typeof value === "string") return "str";
  if (value instanceof Markup) return "Markup";
  if (Array.isArray(value)) return "list";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof PyObject) return value.typeName;
  return isDict(value) ? "dict" : "object";
}

/** For messages: `str object`; None is itself. */
export function objectTypeName(value: Value): string {
  return value === null ? "None" : `${typeName(value)} object`;
}

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
