/**
 * Values of Arrow and Parquet as JSON, as Python's `to_pylist` and `json` give them. What JSON has
 * no notation for becomes text, in ISO 8601 where it is a time; binary data stays marked as such.
 */
import { JsonNumber } from "../files/json_value.ts";

/** Converts a value of one column's type; null stays null. */
export type Convert = (value: unknown) => unknown;

export const asIs: Convert = (value) => value ?? null;

/** A converter that is not called for null. */
export function ofType<T>(convert: (value: T) => unknown): Convert {
  return (value) => value === null || value === undefined ? null : convert(value as T);
}

/** A number where that is exact, otherwise a bigint. */
export const integer: Convert = ofType((value: number | bigint) =>
  typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value
);

/** Spelled as Python spells it: a whole number keeps its ".0". */
export const float: Convert = ofType((value: number) => {
  const text = pythonFloat(value);
  return text === String(value) ? value : new JsonNumber(text);
});

function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (size >= 1e16 || (size > 0 && size < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** The digits of a decimal number with `scale` of them after the point. */
export function decimal(scale: number): (unscaled: bigint) => JsonNumber {
  return (unscaled) => {
    const sign = unscaled < 0n ? "-" : "";
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(
      Math.max(0, scale) + 1,
      "0",
    );
    if (scale <= 0) return new JsonNumber(sign + digits + "0".repeat(-scale));
    return new JsonNumber(`${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`);
  };
}

/** Two's complement, most significant byte first. */
export function bigEndian(bytes: Uint8Array): bigint {
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return BigInt.asIntN(8 * bytes.length, value);
}

/** Days since 1970. */
export function date(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10);
}

/** Microseconds since 1970; with a zone, those of UTC. */
export function timestamp(micros: bigint, zoned: boolean): string {
  const seconds = micros / 1_000_000n - (micros % 1_000_000n < 0n ? 1n : 0n);
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return text + fraction(micros - seconds * 1_000_000n) + (zoned ? "+00:00" : "");
}

/** Microseconds since midnight. */
export function time(micros: bigint): string {
  return timestamp(micros, false).slice("1970-01-01T".length);
}

/** As Python's isoformat: six digits or none. */
function fraction(micros: bigint): string {
  return micros === 0n ? "" : `.${String(micros).padStart(6, "0")}`;
}

/** Binary data, which no text can be made of. */
export class BinaryValue {
  constructor(
    /** As stored. */
    readonly bytes: Uint8Array,
  ) {}

  /** For messages that quote a record. */
  toJSON(): string {
    return `<${this.bytes.length} bytes of binary data>`;
  }
}

export const binary: Convert = ofType((bytes: Uint8Array) => new BinaryValue(bytes));
