/** In what order a pass goes over the documents of a corpus. */
import type { FileMark } from "./file_marks.ts";
import type { Piece } from "./documents.ts";
import { type Corpus, CORPUS_START, type CorpusPlace } from "./sources.ts";

/** A piece of a document, and its place in the pass. */
export interface PlacedPiece extends Omit<Piece, "place"> {
  /** JSON. */
  readonly place: unknown;
}

/** An order of the pieces of each pass. */
export interface PieceOrder {
  readonly corpus: Corpus;
  /** Of the places of this order, in a checkpoint. */
  readonly version: 1 | 2;
  /** The place of a pass's first piece. */
  readonly start: unknown;
  /** For the user, on how well it mixes. */
  readonly notes: readonly string[];
  /** The files that a place depends on, where the corpus may change. */
  filesAt?(place: unknown): readonly (readonly FileMark[])[];
  /** The pieces of a pass, from the one at a place. */
  pieces(pass: number, from?: unknown): AsyncGenerator<PlacedPiece>;
}

/** File after file, as evaluation reads, and as training did before {@link MixedOrder}. */
export class FileOrder implements PieceOrder {
  readonly version = 1;
  readonly notes: readonly string[] = [];
  readonly start: CorpusPlace = CORPUS_START;

  constructor(
    readonly corpus: Corpus,
    /** The order of the files in a pass, as indices. */
    readonly files: (pass: number) => readonly number[],
  ) {}

  pieces(pass: number, from: unknown = this.start): AsyncGenerator<PlacedPiece> {
    return this.corpus.pieces(this.files(pass), from as CorpusPlace);
  }
}
