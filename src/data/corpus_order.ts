/**
 * The order of a corpus that may have grown since a run began. Each pass has an order of its own
 * over all files. Where files have joined in the middle of a pass, what was left of it and the new
 * files are strands, each in its own order, of which the next document is drawn by what is left of
 * each. So a position stays small: a place in each strand.
 */
import type { FileMark } from "./file_marks.ts";
import type { PieceOrder, PlacedPiece } from "./piece_order.ts";
import { randomStream } from "./random.ts";
import type { Corpus } from "./sources.ts";

/** Files with an order over them. */
export interface Strand {
  readonly order: PieceOrder;
  readonly marks: readonly FileMark[];
}

/** JSON. */
interface StrandPlace {
  readonly at: unknown;
  /** Characters of it that have been read in this pass. */
  readonly read: number;
}

/** A place in a pass with strands. JSON. */
export interface JoinedPlace {
  /** Null for one that is read to its end. */
  readonly strands: readonly (StrandPlace | null)[];
  /** The strand of the next piece. */
  readonly of: number;
  /** Pieces drawn before. */
  readonly drawn: number;
}

/** A strand is drawn with at least this share of its chance at the start, until it ends. */
const LEAST_LEFT = 1 / 16;

export function isJoined(place: unknown): place is JoinedPlace {
  return typeof place === "object" && place !== null && "strands" in place;
}

export class CorpusOrder implements PieceOrder {
  readonly #bytes: readonly number[];

  constructor(
    /** All files, as later passes read them. */
    readonly whole: Strand,
    /** Of a pass that files have joined, in the order in which they came. */
    readonly strands: readonly Strand[],
    /** Without `mixes` one strand follows another. */
    readonly options: { readonly seed: number; readonly mixes: boolean },
  ) {
    this.#bytes = strands.map(({ order: { corpus } }) =>
      corpus.files.reduce((sum, { size }) => sum + size, 0)
    );
  }

  get corpus(): Corpus {
    return this.whole.order.corpus;
  }

  get version(): 1 | 2 {
    return this.whole.order.version;
  }

  get start(): unknown {
    return this.whole.order.start;
  }

  get notes(): readonly string[] {
    return this.whole.order.notes;
  }

  pieces(pass: number, from: unknown = this.start): AsyncGenerator<PlacedPiece> {
    return isJoined(from) ? this.#joined(pass, from) : this.whole.order.pieces(pass, from);
  }

  /** The lists of files that a place is in. */
  filesAt(place: unknown): readonly (readonly FileMark[])[] {
    return isJoined(place) ? this.strands.map(({ marks }) => marks) : [this.whole.marks];
  }

  /** The same place, when strands have been added behind those that it knows. */
  adopt(place: JoinedPlace): JoinedPlace {
    const joined = this.strands.slice(place.strands.length);
    const starts = joined.map(({ order: { start } }) => ({ at: start, read: 0 }));
    return { ...place, strands: [...place.strands, ...starts] };
  }

  async *#joined(pass: number, from: JoinedPlace): AsyncGenerator<PlacedPiece> {
    const strands = await Promise.all(from.strands.map(async (place, index) => {
      if (!place) return undefined;
      const pieces = this.strands[index].order.pieces(pass, place.at);
      return { pieces, next: await pieces.next(), read: place.read };
    }));
    const left = () => strands.map((strand) => strand && !strand.next.done ? strand.read : null);
    try {
      for (let { of, drawn } = from;; drawn++) {
        if (drawn > from.drawn || left()[of] === null) of = this.#draw(pass, drawn, left());
        const strand = strands[of];
        if (!strand || strand.next.done) return;
        const places = strands.map((each): StrandPlace | null =>
          each && !each.next.done ? { at: each.next.value.place, read: each.read } : null
        );
        const piece = strand.next.value;
        yield { ...piece, place: { strands: places, of, drawn } satisfies JoinedPlace };
        strand.read += piece.text.length;
        strand.next = await strand.pieces.next();
      }
    } finally {
      for (const strand of strands) await strand?.pieces.return(undefined);
    }
  }

  /** One of the strands that have not ended, whose characters read are given. */
  #draw(pass: number, drawn: number, read: readonly (number | null)[]): number {
    const { seed, mixes } = this.options;
    const first = Math.max(0, read.findIndex((each) => each !== null));
    if (!mixes) return first;
    const weights = read.map((each, index) => {
      const bytes = this.#bytes[index];
      return each === null ? 0 : Math.max(bytes - each, bytes * LEAST_LEFT, 1);
    });
    const sum = weights.reduce((a, b) => a + b, 0);
    let point = randomStream(seed, pass, 4, drawn)() * sum;
    const found = weights.findIndex((weight) => weight > 0 && (point -= weight) < 0);
    return found < 0 ? first : found;
  }
}
