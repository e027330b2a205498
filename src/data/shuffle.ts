/**
 * Rows in random order with little memory, resumable from a place of constant size.
 *
 * Rows are read in blocks of `size`; each is permuted as a whole. A buffer from which rows are
 * drawn one by one would mix a little better, but what it holds depends on the whole past, so that
 * a checkpoint would have to store it or a resume to replay everything. Here a resume reads at
 * most two blocks again. While a block is given out the next is filled, a row for a row: no step
 * waits for a whole block.
 */
import { permutation, randomStream } from "./random.ts";
import type { Row, SequencePlace, SequenceReader } from "./sequences.ts";

export interface ShuffleOptions {
  /** Rows of a block; 1 keeps the order. */
  readonly size: number;
  readonly seed: number;
  /** Whether a pass follows a pass for ever. */
  readonly repeat: boolean;
}

/** JSON. */
export interface ShufflePlace {
  /** Ordinal of the block, counted over all passes. */
  readonly block: number;
  /** Rows of it that were given out. */
  readonly given: number;
  /** Where its first row is read. */
  readonly start: SequencePlace;
}

interface Block {
  readonly rows: Row[];
  start: SequencePlace;
  /** No more rows: it is full, or the pass ended. */
  closed: boolean;
}

export class ShuffledRows {
  #block: Block;
  #filling: Block;
  #order: number[] = [];
  #ordinal: number;
  #given = 0;
  #finished = false;

  private constructor(
    readonly reader: SequenceReader,
    readonly options: ShuffleOptions,
    ordinal: number,
  ) {
    this.#ordinal = ordinal - 1;
    this.#filling = emptyBlock(reader);
    this.#block = this.#filling;
  }

  /** Goes on at a place; the reader must stand at `place.start`. Reads the first block. */
  static async open(
    reader: SequenceReader,
    options: ShuffleOptions,
    place?: ShufflePlace,
  ): Promise<ShuffledRows> {
    const rows = new ShuffledRows(reader, options, place?.block ?? 0);
    await rows.#turn();
    for (let i = 0; i < (place?.given ?? 0); i++) await rows.next();
    return rows;
  }

  place(): ShufflePlace {
    return { block: this.#ordinal, given: this.#given, start: this.#block.start };
  }

  /** The next row; null after the last, when nothing is repeated. */
  async next(): Promise<Row | null> {
    if (this.#given === this.#block.rows.length && !(await this.#turn())) return null;
    const row = this.#block.rows[this.#order[this.#given++]];
    await this.#readOne();
    return row;
  }

  /** Makes the block that was filled the current one; false when it has no rows. */
  async #turn(): Promise<boolean> {
    while (!this.#filling.closed) await this.#readOne();
    if (this.#filling.rows.length === 0) return false;
    this.#block = this.#filling;
    this.#filling = emptyBlock(this.reader, this.#finished);
    this.#ordinal++;
    this.#given = 0;
    const { seed } = this.options;
    this.#order = permutation(this.#block.rows.length, randomStream(seed, this.#ordinal));
    return true;
  }

  /** Blocks end with their pass, so that a row is seen once before any is seen again. */
  async #readOne(): Promise<void> {
    const block = this.#filling;
    if (block.closed) return;
    const row = await this.reader.next();
    if (row) {
      block.rows.push(row);
      block.closed = block.rows.length === this.options.size;
    } else if (this.options.repeat) {
      this.reader.startPass();
      if (block.rows.length === 0) block.start = this.reader.place();
      else block.closed = true;
    } else {
      const rest = this.reader.rest();
      this.reader.assertRows();
      if (rest) block.rows.push(rest);
      block.closed = this.#finished = true;
    }
  }
}

function emptyBlock(reader: SequenceReader, closed = false): Block {
  return { rows: [], start: reader.place(), closed };
}
