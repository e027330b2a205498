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
import { JsonNumber } from "../files/json_value.ts";
import { type ErrorKind, RenderError } from "./errors.ts";

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

/** The items of a list or tuple. */
export function sequenceOf(value: Value): readonly Value[] | null {
  if (Array.isArray(value)) return value;
  return value instanceof Tuple ? value.items : null;
}
