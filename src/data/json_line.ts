/** Items of a program as lines of JSON, which is how files hold them. */
import { isObject } from "../files/fields.ts";
import { JsonNumber, type JsonValue, objectOf, stringifyJson } from "../files/json_value.ts";
import { UserError } from "../options/user_error.ts";
import { shortened } from "../text.ts";

/** As Python's JSON reader, which refuses deeper values. */
const MOST_LEVELS = 500;

/** Of a field in a message. */
const LONGEST_PATH = 80;

/**
 * The line of an item, without its end. Values become JSON as JSON.stringify makes it, except what
 * that would lose: bigints are numbers, and maps, sets and numbers that are not finite are refused
 * with their place. Binary data stays no text, so that reading it as one is refused.
 */
export function jsonLine(item: unknown, where: string): string {
  if (typeof item === "string") return JSON.stringify({ text: item });
  const value = jsonOf(item, { where, path: "", level: 0 });
  if (value === undefined) {
    throw new UserError(`${where}: must be a text or a record, got ${nameOf(item)}`);
  }
  return stringifyJson(value);
}

interface Place {
  readonly where: string;
  /** Of the value in its item: `messages[0].content`. */
  readonly path: string;
  readonly level: number;
}

/** Undefined for what JSON.stringify leaves out. */
function jsonOf(value: unknown, place: Place): JsonValue | undefined {
  if (place.level > MOST_LEVELS) {
    fault(place, `is nested more than ${MOST_LEVELS} levels deep, or refers to itself`);
  }
  switch (typeof value) {
    case "undefined":
    case "function":
    case "symbol":
      return undefined;
    case "number":
      if (!Number.isFinite(value)) fault(place, `must be a finite number, got ${value}`);
      return value;
    case "string":
    case "boolean":
    case "bigint":
      return value;
  }
  if (value === null || value instanceof JsonNumber) return value as null | JsonNumber;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return { "bytes of binary data": value.byteLength };
  }
  const level = place.level + 1;
  if (hasToJson(value)) return jsonOf(value.toJSON(), { ...place, level });
  if (Array.isArray(value)) {
    return value.map((each, index) =>
      jsonOf(each, { ...place, path: `${place.path}[${index}]`, level }) ?? null
    );
  }
  if (value instanceof Map || value instanceof Set || value instanceof Promise) {
    fault(place, `must be a JSON value, got a ${nameOf(value)}`);
  }
  return objectOf(
    Object.entries(value as object).flatMap(([key, each]): [string, JsonValue][] => {
      const path = place.path ? `${place.path}.${key}` : key;
      const field = jsonOf(each, { ...place, path, level });
      return field === undefined ? [] : [[key, field]];
    }),
  );
}

function hasToJson(value: unknown): value is { toJSON(): unknown } {
  return isObject(value) && typeof value.toJSON === "function";
}

function fault({ where, path }: Place, message: string): never {
  const field = path && `field "${shortened(path, LONGEST_PATH)}" `;
  throw new UserError(`${where}: ${field}${message}`);
}

function nameOf(value: unknown): string {
  if (value === undefined) return "nothing";
  return isObject(value) ? value.constructor?.name ?? "object" : `a ${typeof value}`;
}
