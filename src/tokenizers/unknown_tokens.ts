/** Counts what a tokenizer has no token for: a model learns nothing from it but its absence. */

/** The share of unknown tokens above which a corpus is suspect. */
const SUSPECT_SHARE = 0.001;
/** Different pieces that are counted; a corpus in a foreign script has thousands. */
const MOST_PIECES = 10_000;

/** Collects over many texts, as an option of `Tokenizer.encode`. */
export class UnknownTokens {
  /** All tokens. */
  tokens = 0;
  /** Those that stand for unknown text, and characters that were left out for want of one. */
  unknown = 0;
  readonly #pieces = new Map<string, number>();

  /** Counts one text: its tokens, how many were unknown, and the characters or words behind those. */
  add(tokens: number, unknown: number, pieces: readonly string[]): void {
    this.tokens += tokens;
    this.unknown += unknown;
    for (const piece of pieces) {
      const seen = this.#pieces.get(piece);
      if (seen !== undefined || this.#pieces.size < MOST_PIECES) {
        this.#pieces.set(piece, (seen ?? 0) + 1);
      }
    }
  }

  /** What is unknown most often, in a sentence; null where it is at most a thousandth. */
  note(): string | null {
    if (this.unknown <= this.tokens * SUSPECT_SHARE) return null;
    const share = (100 * this.unknown / Math.max(this.tokens, this.unknown)).toPrecision(2);
    const most = [...this.#pieces].sort(([, a], [, b]) => b - a).slice(0, 8);
    return `${share}% of the tokens are unknown to this tokenizer (${this.unknown} of ` +
      `${this.tokens}), most often ${most.map(([piece]) => visible(piece)).join(", ")}`;
  }
}

/** Characters that do not print, by their code. */
function visible(piece: string): string {
  const short = [...piece].slice(0, 20).join("");
  return JSON.stringify(short).replace(/[\p{C}\p{Z}]/gu, (character) => {
    return character === " "
      ? character
      : `\\u{${character.codePointAt(0)!.toString(16).padStart(4, "0")}}`;
  });
}
