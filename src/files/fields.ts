/** Reads an untrusted JSON object field by field and collects all faults before throwing. */
import { UserError } from "../options/user_error.ts";
import { quoted } from "../text.ts";

type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads fields of an object; records a faulty field and returns a placeholder. */
export class Fields {
  readonly faults: string[] = [];

  constructor(readonly json: Json) {}

  fault(message: string): void {
    this.faults.push(message);
  }

  /** A positive integer; `fallback` if absent or null, a fault without one. */
  count(name: string, fallback?: number): number {
    return this.#number(name, fallback, "a positive integer", (n) => Number.isSafeInteger(n));
  }

  /** A positive number. */
  positive(name: string, fallback?: number): number {
    return this.#number(name, fallback, "a positive number", Number.isFinite);
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.json[name] ?? fallback;
    if (typeof value !== "boolean") this.fault(`${name} must be true or false, got ${show(value)}`);
    return value === true;
  }

  /** A token id; undefined if null, `fallback` if absent. */
  tokenId(name: string, fallback?: number): number | undefined {
    const value = this.json[name] === undefined ? fallback : this.json[name];
    if (value === null || value === undefined) return undefined;
    // Some exports write -1 for "none".
    if (value === -1) return undefined;
    if (isId(value)) return value;
    this.fault(`${name} must be a token id or null, got ${show(value)}`);
  }

  /** Like {@link tokenId}, but allows a list. */
  tokenIds(name: string, fallback?: number): number | readonly number[] | undefined {
    const value = this.json[name];
    if (Array.isArray(value) && value.length > 0 && value.every(isId)) return value;
    return this.tokenId(name, fallback);
  }

  /** Throws one {@link UserError} with all faults, if there are any. */
  finish(origin: string, hint?: string): void {
    if (this.faults.length === 0) return;
    throw new UserError(`${origin}: ${this.faults.join("\n  ")}`, hint);
  }

  #number(
    name: string,
    fallback: number | undefined,
    rule: string,
    holds: (value: number) => boolean,
  ): number {
    const value = this.json[name] ?? fallback;
    if (typeof value === "number" && value > 0 && holds(value)) return value;
    this.fault(
      value === undefined
        ? `${name} is missing (${rule})`
        : `${name} must be ${rule}, got ${show(value)}`,
    );
    return NaN;
  }
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function show(value: unknown): string {
  return quoted(value);
}
