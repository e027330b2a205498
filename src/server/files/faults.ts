/** What is wrong with a file, told together: the first places, and how many there are. */
import { spell } from "../../options/phrase.ts";
import { inOneLine, UserError } from "../../options/user_error.ts";
import { ApiError } from "../api_error.ts";
import { REQUEST } from "../protocol/spelling.ts";

const SHOWN = 10;

export class Faults {
  readonly #shown: string[] = [];
  #count = 0;

  /** `where` is left out where the error names the place itself. */
  add(error: unknown, where?: string): void {
    this.#count++;
    if (this.#shown.length < SHOWN) this.#shown.push(told(error, where));
  }

  /** Throws when there are any, of so many `records`. */
  finish(records: number): void {
    if (this.#count === 0) return;
    const more = this.#count - this.#shown.length;
    const lines = [
      `${this.#count} of ${records} records cannot be used; nothing was stored:`,
      ...this.#shown,
      ...(more ? [`and ${more} more`] : []),
    ];
    throw invalidFile(lines.join("\n"));
  }
}

export function invalidFile(message: string): ApiError {
  return new ApiError(400, { message, param: "file", code: "invalid_file" });
}

/** On one line: the hint behind what it is a hint to. */
export function told(error: unknown, where?: string): string {
  const line = error instanceof UserError
    ? spell(inOneLine(error.explanation), REQUEST)
    : (error as Error).message;
  return where === undefined ? line : `${where}: ${line}`;
}
