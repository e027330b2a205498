/** The key-value pairs of a GGUF file, validated when read. */
import { UserError } from "../../options/user_error.ts";

const NO_TOKEN = 2 ** 32 - 1;

/** Reads values by key; every fault is a {@link UserError} that names file, key and value. */
export class Metadata {
  constructor(readonly path: string, readonly values: Readonly<Record<string, unknown>>) {}

  has(key: string): boolean {
    return this.values[key] !== undefined;
  }

  string(key: string, fallback?: string): string {
    return this.#read(key, fallback, "a string", (value) => typeof value === "string");
  }

  flag(key: string, fallback?: boolean): boolean {
    return this.#read(key, fallback, "true or false", (value) => typeof value === "boolean");
  }

  /** A positive number. float32 in the file: rounded to its seven significant digits. */
  positive(key: string, fallback?: number): number {
    const rule = (value: unknown) => typeof value === "number" && value > 0 && value < Infinity;
    return Number(this.#read(key, fallback, "a positive number", rule).toPrecision(7));
  }

  /** A positive integer. */
  count(key: string, fallback?: number): number {
    const value = this.#integer(key, fallback, "a positive integer");
    if (value === 0) throw this.#fault(key, "a positive integer");
    return value;
  }

  /** An integer of 0 or more. */
  index(key: string): number {
    return this.#integer(key, undefined, "an integer of 0 or more");
  }

  /** A count that may be listed for every layer; it must then be the same for all. */
  countOfLayers(key: string, fallback?: number): number {
    const value = this.values[key], rule = "the same positive integer for every layer";
    if (!Array.isArray(value)) return this.count(key, fallback);
    const [first] = value;
    if (!(first > 0) || value.some((each) => each !== first)) throw this.#fault(key, rule);
    return Number(first);
  }

  /** A token id; undefined if absent or llama.cpp's null, −1 in 32 bits. */
  tokenId(key: string): number | undefined {
    if (!this.has(key) || this.values[key] === NO_TOKEN) return undefined;
    return this.#integer(key, undefined, "a token id");
  }

  strings(key: string): string[] {
    return this.#list(key, "strings", (value) => typeof value === "string");
  }

  numbers(key: string): number[] {
    return this.#list(key, "numbers", (value) => typeof value === "number");
  }

  flags(key: string): boolean[] {
    return this.#list(key, "true or false", (value) => typeof value === "boolean");
  }

  #integer(key: string, fallback: number | undefined, rule: string): number {
    const holds = (value: unknown) =>
      ["number", "bigint"].includes(typeof value) && Number.isSafeInteger(Number(value)) &&
      Number(value) >= 0;
    return Number(this.#read<number | bigint>(key, fallback, rule, holds));
  }

  #list<T>(key: string, rule: string, holds: (value: unknown) => boolean): T[] {
    const all = (value: unknown) => Array.isArray(value) && value.every(holds);
    return this.#read<T[]>(key, undefined, `a list of ${rule}`, all);
  }

  #read<T>(
    key: string,
    fallback: T | undefined,
    rule: string,
    holds: (value: unknown) => boolean,
  ): T {
    const value = this.values[key] ?? fallback;
    if (value === undefined) {
      throw new UserError(`${this.path}: its metadata lacks ${key} (${rule})`);
    }
    if (!holds(value)) throw this.#fault(key, rule);
    return value as T;
  }

  #fault(key: string, rule: string): UserError {
    const value = this.values[key];
    const shown = Array.isArray(value)
      ? `a list of ${value.length}`
      : JSON.stringify(String(value));
    return new UserError(`${this.path}: ${key} must be ${rule}, got ${shown}`);
  }
}
