/**
 * The last line of a terminal, which shows what is going on. Whatever else is written goes above it
 * through this class, so that no line overwrites it or is overwritten.
 */

/** The text for a terminal of that many columns; a longer one is cut. */
export type Draw = (columns: number) => string;

/** Erases from the cursor to the end of the screen. */
const ERASE = "\x1b[J";

export class StatusLine {
  #draw: Draw | undefined;
  /** As it stands on the screen; empty if nothing does. */
  #shown = "";

  /** `write` writes to the terminal; `columns` is its width now. */
  constructor(
    private readonly write: (text: string) => void,
    private readonly columns: () => number,
  ) {}

  /** Shows a text, anew at each call; undefined removes it. */
  show(draw: Draw | undefined): void {
    this.#draw = draw;
    this.#put(this.#text());
  }

  /** Calls `write` with the line out of the way, and puts it back below. */
  above(write: () => void): void {
    this.#put("");
    write();
    this.#put(this.#text());
  }

  #text(): string {
    // A full line would make some terminals wrap.
    return this.#draw
      ? [...this.#draw(this.columns() - 1)].slice(0, this.columns() - 1).join("")
      : "";
  }

  #put(text: string): void {
    if (text === this.#shown) return;
    // In a window that was made narrower the text takes several lines.
    const rows = Math.ceil([...this.#shown].length / this.columns());
    const up = rows > 1 ? `\x1b[${rows - 1}A` : "";
    this.write(`${this.#shown && `\r${up}${ERASE}`}${text}`);
    this.#shown = text;
  }
}

/** The first of some texts, from the richest to the poorest, that fits; or the last. */
export function fitting(columns: number, texts: readonly string[]): string {
  return texts.find((text) => [...text].length <= columns) ?? texts.at(-1)!;
}

/** A bar of that many characters, filled to a share of 0 to 1. */
export function barOf(share: number, length: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * length);
  return "█".repeat(filled) + "░".repeat(length - filled);
}
