/**
 * The documents of a corpus in random order over all files, with little memory and a small position.
 *
 * A corpus larger than a pool is cut into parts that can be read from anywhere: ranges of bytes of
 * texts and JSON Lines, row groups of Parquet. They are visited in random order, and what is read
 * of them is collected in a pool, whose documents are permuted. Files that can only be read from
 * their start (compressed ones, arrays, CSV, Arrow) are single parts; as several lanes read at a
 * time, several of those are mixed.
 *
 * Nothing is indexed: a corpus of any size opens at once. A resume reads at most two pools again.
 */
import type { Piece, Place } from "./documents.ts";
import { formatBytes } from "../text.ts";
import { permutation, randomStream } from "./random.ts";
import type { PieceOrder, PlacedPiece } from "./piece_order.ts";
import type { Corpus, CorpusPart } from "./sources.ts";

/** Characters of a pool; each takes one byte, or two in most scripts. */
const POOL_CHARACTERS = 1 << 26;

/** Parts that are read at the same time. */
const LANES = 4;

/** Characters that a lane reads in turn. */
const SLICE_CHARACTERS = POOL_CHARACTERS / 64;

/** JSON. */
interface LanePlace {
  /** Index of the part in the order of the pass. */
  readonly part: number;
  /** Of the last document read of it. */
  readonly after: Place | null;
}

/** What a pool depends on. JSON. */
interface PoolPlace {
  /** Index of the pool in the pass. */
  readonly pool: number;
  readonly lanes: readonly LanePlace[];
  /** Parts of the pass that a lane has begun. */
  readonly begun: number;
}

/** A position in a pass. JSON. */
export interface MixedPlace extends PoolPlace {
  /** Documents of the pool before this one. */
  readonly given: number;
}

export interface MixedOrderOptions {
  readonly seed: number;
  /** T, from which the size of a text's pieces is derived. */
  readonly seqLen: number;
  /** Distinguishes orders of one run over different files; 0 by default. */
  readonly strand?: number;
}

/** Bytes of a part, unless there would be too many of them. */
const PART_BYTES = 1 << 16, MOST_PARTS = 1 << 18;

/**
 * Of a text, a piece holds some 16 sequences or more: one seam among as many is no loss. Smaller
 * pieces mix better where the text is short.
 */
function pieceBytesFor(seqLen: number): number {
  return Math.max(1 << 12, Math.min(PART_BYTES, 64 * seqLen));
}

export class MixedOrder implements PieceOrder {
  readonly version = 2;
  readonly start: MixedPlace = { pool: 0, lanes: [], begun: 0, given: 0 };

  private constructor(
    readonly corpus: Corpus,
    private readonly parts: readonly CorpusPart[],
    private readonly options: MixedOrderOptions,
    private readonly poolCharacters: number,
  ) {}

  static async open(
    corpus: Corpus,
    options: MixedOrderOptions,
    poolCharacters = POOL_CHARACTERS,
  ): Promise<MixedOrder> {
    const bytes = corpus.files.reduce((sum, { size }) => sum + size, 0);
    // A pool takes all of a small corpus, whose files are then read as they are.
    const partBytes = bytes <= poolCharacters
      ? Infinity
      : Math.max(PART_BYTES, Math.ceil(bytes / MOST_PARTS));
    return new MixedOrder(corpus, await corpus.parts(partBytes), options, poolCharacters);
  }

  /** For the user: which files are mixed less than the others. */
  get notes(): readonly string[] {
    const long = this.parts.filter(({ file, cut }) => !cut && file.size > this.poolCharacters);
    if (long.length === 0) return [];
    const more = long.length > 1 ? ` and ${long.length - 1} more` : "";
    return [
      `${
        long[0].file.path
      }${more}: can be read only from the start, so documents are mixed within ` +
      `${formatBytes(this.poolCharacters)} of text at a time; as plain text, JSON Lines or ` +
      "Parquet, they would be mixed over the whole file",
    ];
  }

  async *pieces(
    pass: number,
    from: unknown = this.start,
  ): AsyncGenerator<PlacedPiece> {
    const { given: skipped, ...first } = from as MixedPlace;
    const { seqLen, seed, strand = 0 } = this.options, seeds = strand ? [strand] : [];
    const order = permutation(this.parts.length, randomStream(seed, pass, 2, ...seeds));
    const filling = new PoolFilling(this.corpus, {
      parts: order.map((index) => this.parts[index]),
      pieceBytes: pieceBytesFor(seqLen),
      characters: this.poolCharacters,
    }, first);
    try {
      for (let given = skipped;; given = 0) {
        const place = filling.place(), documents = await filling.next();
        if (documents.length === 0) return;
        const mixed = permutation(
          documents.length,
          randomStream(seed, pass, 3, place.pool, ...seeds),
        );
        for (; given < documents.length; given++) {
          yield { ...documents[mixed[given]], place: { ...place, given } };
        }
      }
    } finally {
      await filling.close();
    }
  }
}

interface FillingOptions {
  readonly parts: readonly CorpusPart[];
  readonly pieceBytes: number;
  readonly characters: number;
}

interface Lane {
  readonly part: number;
  readonly pieces: AsyncGenerator<Piece>;
  after: Place | null;
}

/** Reads pool after pool of a pass. */
class PoolFilling {
  readonly #lanes: Lane[];
  #pool: number;
  #begun: number;

  constructor(
    readonly corpus: Corpus,
    readonly options: FillingOptions,
    { pool, lanes, begun }: PoolPlace,
  ) {
    [this.#pool, this.#begun] = [pool, begun];
    this.#lanes = lanes.map(({ part, after }) => this.#lane(part, after));
  }

  place(): PoolPlace {
    const lanes = this.#lanes.map(({ part, after }) => ({ part, after }));
    return { pool: this.#pool, lanes, begun: this.#begun };
  }

  /** Empty at the end of the pass. */
  async next(): Promise<Piece[]> {
    const documents: Piece[] = [], { characters, parts } = this.options;
    const slice = Math.min(SLICE_CHARACTERS, Math.ceil(characters / LANES));
    this.#pool++;
    for (let size = 0; size < characters;) {
      while (this.#lanes.length < LANES && this.#begun < parts.length) {
        this.#lanes.push(this.#lane(this.#begun++, null));
      }
      const lane = this.#lanes.shift();
      if (!lane) break;
      let taken = 0;
      for (let read = await lane.pieces.next(); !read.done; read = await lane.pieces.next()) {
        documents.push(read.value);
        lane.after = read.value.place;
        taken += read.value.text.length;
        if (taken >= slice || size + taken >= characters) break;
      }
      // A lane whose part has ended takes nothing.
      if (taken > 0) this.#lanes.push(lane);
      size += taken;
    }
    return documents;
  }

  async close(): Promise<void> {
    for (const { pieces } of this.#lanes) await pieces.return(undefined);
  }

  #lane(part: number, after: Place | null): Lane {
    const { parts, pieceBytes } = this.options;
    return {
      part,
      after,
      pieces: rest(this.corpus.readPart(parts[part], after, pieceBytes), after),
    };
  }
}

/** The pieces behind a place, where reading from there gives that piece again. */
async function* rest(
  pieces: AsyncGenerator<Piece>,
  after: Place | null,
): AsyncGenerator<Piece> {
  for await (const piece of pieces) {
    if (after === null || isBehind(piece.place, after)) yield piece;
  }
}

function isBehind(place: Place, after: Place): boolean {
  return place.offset > after.offset ||
    (place.offset === after.offset && place.record > after.record);
}
