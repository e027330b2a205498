/** Checks of a record's values, with errors that name the place, the value and its type. */
import { isObject } from "../../files/fields.ts";
import {
  entriesOf,
  JsonNumber,
  type JsonObject,
  type JsonValue,
  objectOf,
  parseJson,
  stringifyJson,
} from "../../files/json_value.ts";
import type { Phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";

/** A record that cannot be used as it is; other records of the file may be. */
export class RecordError extends UserError {
  override readonly name = "RecordError";

  constructor(
    message: string,
    hint?: Phrase,
    /** What it counts as. */
    readonly kind: "invalid" | "unsupported" | "order" = "invalid",
  ) {
    super(message, hint);
  }
}

/** As Python's JSON reader, which refuses deeper values. */
const MOST_LEVELS = 500;

/** A value shortened for messages, with its type where a reader might not see it. */
export function excerpt(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Date) return `${value.toJSON()} (a date)`;
  const text = shown(value);
  const short = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  const type = numberType(value);
  return type ? `${short} (${type})` : short;
}

function shown(value: unknown): string {
  try {
    return typeof value === "number" ? String(value) : stringifyJson(value);
  } catch {
    return "a deeply nested value"; // the stack overflowed
  }
}

function numberType(value: unknown): string | undefined {
  if (!isNumber(value)) return undefined;
  return /^-?\d+$/.test(String(value)) ? "an integer" : "a number";
}

function isNumber(value: unknown): value is number | bigint | JsonNumber {
  return typeof value === "number" || typeof value === "bigint" || value instanceof JsonNumber;
}

/** A JSON object, and none of the classes that stand for other values. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return isObject(value) && !(value instanceof JsonNumber) && !(value instanceof Date) &&
    !ArrayBuffer.isView(value);
}

/** A text that is Unicode. */
export function textAt(value: unknown, where: string): string {
  if (typeof value !== "string") {
    throw new RecordError(`${where} must be a string, got ${excerpt(value)}`);
  }
  if (value.isWellFormed()) return value;
  const at = value.search(/\p{Surrogate}/u);
  throw new RecordError(
    `${where} is not Unicode text: half of a surrogate pair, ` +
      `\\u${value.charCodeAt(at).toString(16)}, at character ${at + 1}`,
  );
}

/** The weight of a message: 0 or 1, as any kind of number. */
export function weightAt(value: unknown, where: string): 0 | 1 {
  const weight = isNumber(value) ? Number(value) : NaN;
  if (weight === 0 || weight === 1) return weight;
  throw new RecordError(`${where} must be 0 or 1, got ${excerpt(value)}`);
}

/** A list, or a string with one as JSON, as in flat tables. */
export function listAt(value: unknown, where: string, rule = "a list"): unknown[] {
  const list = typeof value === "string" ? parsed(value) : value;
  if (Array.isArray(list)) return list;
  throw new RecordError(`${where} must be ${rule}, got ${excerpt(value)}`);
}

/** An object, or a string with one as JSON. */
export function objectAt(value: unknown, where: string): Record<string, unknown> {
  const object = typeof value === "string" ? parsed(value) : value;
  if (isRecord(object)) return object;
  const rule = typeof value === "string" ? "a JSON object, or a string with one" : "a JSON object";
  throw new RecordError(`${where} must be ${rule}, got ${excerpt(value)}`);
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** Whether a field is present; null is how tables say that it is not. */
export function isGiven(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/**
 * A value to hand to a template, checked in depth. `drops` says which null entries of objects are
 * left out.
 */
export function jsonAt(
  value: unknown,
  where: string,
  drops: (key: string, parent: string) => boolean = () => false,
): JsonValue {
  return copied(value, where, { drops, level: 0, parent: "" });
}

interface Descent {
  readonly drops: (key: string, parent: string) => boolean;
  readonly level: number;
  /** The key that holds the value. */
  readonly parent: string;
}

function copied(value: unknown, where: string, descent: Descent): JsonValue {
  const { drops, parent } = descent, level = descent.level + 1;
  if (level > MOST_LEVELS) {
    throw new RecordError(`${where} is nested more than ${MOST_LEVELS} levels deep`);
  }
  if (typeof value === "string") return textAt(value, where);
  if (Array.isArray(value)) {
    return value.map((each, index) =>
      copied(each ?? null, `${where}[${index}]`, { drops, level, parent: "" })
    );
  }
  if (isRecord(value)) {
    const kept = entriesOf(value).filter(([key, each]) => {
      return each !== undefined && !(each === null && drops(key, parent));
    });
    return objectOf(kept.map(([key, each]) => {
      return [key, copied(each, `${where}.${key}`, { drops, level, parent: key })] as const;
    })) as JsonObject;
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RecordError(`${where} must be a finite number, got ${value}`);
  }
  if (value === null || typeof value === "boolean" || isNumber(value)) return value;
  throw new RecordError(`${where} must be a JSON value, got ${excerpt(value)}`);
}
