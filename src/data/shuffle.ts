/**
 * Rows in random order with little memory, resumable from a position of constant size.
 *
 * Rows are read in blocks of `size`, each permuted as a whole. A shuffle buffer from which rows are
 * drawn one by one would mix slightly better, but its contents depend on the whole past, so that a
 * checkpoint would have to store it or a resume replay everything. Here a resume rereads at most
 * two blocks. While one block is consumed the next is filled, row for row: no step waits for a
 * whole block.
 */
import { permutation, randomStream } from "./random.ts";
import type { Row, SequencePlace, SequenceReader } from "./sequences.ts";

export interface ShuffleOptions {
  /** Rows per block; 1 keeps the order. */
  readonly size: number;
  readonly seed: number;
  /** Whether passes repeat forever. */
  readonly repeat: boolean;
  /** Called once, when the block in progress is read: what comes next may change here. */
  readonly afterBlock?: () => Promise<void>;
}

/** JSON. */
export interface ShufflePlace {
  /** Index of the block over all passes. */
  readonly block: number;
  /** Rows of it already used. */
  readonly given: number;
  /** Position of its first row. */
  readonly start: SequencePlace;
}

interface Block {
  readonly rows: Row[];
  start: SequencePlace;
  /** No more rows: it is full, or the pass has ended. */
  closed: boolean;
}

export class ShuffledRows {
  #block: Block;
  #filling: Block;
  #order: number[] = [];
  #ordinal: number;
  #given = 0;
  #finished = false;
  #afterBlock: ShuffleOptions["afterBlock"];

  private constructor(
    readonly reader: SequenceReader,
    readonly options: ShuffleOptions,
    ordinal: number,
  ) {
    this.#ordinal = ordinal - 1;
    this.#afterBlock = options.afterBlock;
    this.#filling = emptyBlock(reader);
    this.#block = this.#filling;
  }

  /** Resumes at a position; the reader must be at `place.start`. Reads the first block. */
  static async open(
    reader: SequenceReader,
    options: ShuffleOptions,
    place?: ShufflePlace,
  ): Promise<ShuffledRows> {
    const rows = new ShuffledRows(reader, options, place?.block ?? 0);
    await rows.#advanceBlock();
    for (let i = 0; i < (place?.given ?? 0); i++) await rows.next();
    return rows;
  }

  place(): ShufflePlace {
    return { block: this.#ordinal, given: this.#given, start: this.#block.start };
  }

  /** The next row; null after the last one if not repeating. */
  async next(): Promise<Row | null> {
    if (this.#given === this.#block.rows.length && !(await this.#advanceBlock())) return null;
    const row = this.#block.rows[this.#order[this.#given++]];
    await this.#readOne();
    return row;
  }

  /** Makes the filled block the current one; returns false if it has no rows. */
  async #advanceBlock(): Promise<boolean> {
    while (!this.#filling.closed) await this.#readOne();
    if (this.#filling.rows.length === 0) return false;
    await this.#afterBlock?.();
    this.#afterBlock = undefined;
    this.#block = this.#filling;
    this.#filling = emptyBlock(this.reader, this.#finished);
    this.#ordinal++;
    this.#given = 0;
    const { seed } = this.options;
    this.#order = permutation(this.#block.rows.length, randomStream(seed, this.#ordinal));
    return true;
  }

  /** Blocks end with their pass, so that every row is seen once before any repeats. */
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
