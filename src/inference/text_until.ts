/** Ends a stream of text at the first of several stop texts. */

/**
 * Passes on a stream of text up to the first of the `stops`; holds back what may be the start of
 * one.
 */
export class TextUntil {
  ended = false;
  readonly #stops: readonly string[];
  #held = "";

  constructor(...stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  push(piece: string): string {
    if (this.ended) return "";
    const text = this.#held + piece;
    const places = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (places.length) {
      this.ended = true;
      this.#held = "";
      return text.slice(0, Math.min(...places));
    }
    const longest = Math.max(1, ...this.#stops.map(({ length }) => length));
    let shown = Math.max(0, text.length - longest + 1);
    while (shown < text.length && !this.#mayStartStop(text.slice(shown))) shown++;
    this.#held = text.slice(shown);
    return text.slice(0, shown);
  }

  /** Returns the text still held back at the end of the stream. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #mayStartStop(text: string): boolean {
    return this.#stops.some((stop) => stop.startsWith(text));
  }
}
