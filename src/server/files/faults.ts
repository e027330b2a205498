/** Collects the faults of a file: reports the first few, and their number. */
import { spell } from "../../options/phrase.ts";
import { inOneLine, UserError } from "../../options/user_error.ts";
import { ApiError } from "../api_error.ts";
import { REQUEST } from "../protocol/spelling.ts";

const SHOWN = 10;

/** Plain JSON. */
export interface FoundFaults {
  readonly count: number;
  /** The first of them. */
  readonly shown: readonly string[];
}

export class Faults {
  readonly #shown: string[];
  #count: number;

  /** With those that another process has found. */
  constructor({ count, shown }: FoundFaults = { count: 0, shown: [] }) {
    [this.#count, this.#shown] = [count, [...shown]];
  }

  get found(): FoundFaults {
    return { count: this.#count, shown: this.#shown };
  }

  /** `where` is omitted if the error names the place itself. */
  add(error: unknown, where?: string): void {
    this.#count++;
    if (this.#shown.length < SHOWN) this.#shown.push(describeFault(error, where));
  }

  /** Throws if there are any, out of `records`. */
  finish(records: number): void {
    if (this.#count === 0) return;
    const more = this.#count - this.#shown.length;
    const lines = [
      `${this.#count} of ${records} records are invalid; nothing was stored:`,
      ...this.#shown,
      ...(more ? [`and ${more} more`] : []),
    ];
    throw invalidFile(lines.join("\n"));
  }
}

export function invalidFile(message: string): ApiError {
  return new ApiError(400, { message, param: "file", code: "invalid_file" });
}

/** An error on one line, with its hint after the message. */
export function describeFault(error: unknown, where?: string): string {
  const line = error instanceof UserError
    ? spell(inOneLine(error.explanation), REQUEST)
    : (error as Error).message;
  return where === undefined ? line : `${where}: ${line}`;
}
