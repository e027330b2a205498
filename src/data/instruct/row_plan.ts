/** Which examples share a row, and the order of the rows in each epoch. */
import { permutation, randomStream } from "../random.ts";

/**
 * Rows of whole examples. The pattern of lengths that fill each row is fixed (best-fit decreasing:
 * fast, and within a few per cent of the fewest rows possible); each epoch reassigns the examples
 * of each length and shuffles the rows. So every epoch has the same number of rows, known before
 * training starts.
 */
export class RowPlan {
  /** Examples by length, longest first; equal lengths in original order. */
  readonly #ranked: readonly number[];

  private constructor(
    readonly lengths: readonly number[],
    /** Ranks of the examples of each row. */
    private readonly rows: readonly (readonly number[])[],
  ) {
    this.#ranked = byLength(lengths, lengths.map((_, index) => index));
  }

  /** Each row holds examples of at most `capacity` tokens in total; none may be longer. */
  static packed(lengths: readonly number[], capacity: number): RowPlan {
    const rows: number[][] = [];
    const open: number[][] = Array.from({ length: capacity + 1 }, () => []); // rows by free space
    const sorted = [...lengths].sort((a, b) => b - a);
    sorted.forEach((length, rank) => {
      let room = length;
      while (room < capacity && open[room].length === 0) room++;
      const row = open[room].pop() ?? rows.push([]) - 1;
      rows[row].push(rank);
      open[room - length].push(row);
    });
    return new RowPlan(lengths, rows);
  }

  /** One example per row. */
  static single(lengths: readonly number[]): RowPlan {
    return new RowPlan(lengths, lengths.map((_, rank) => [rank]));
  }

  get rowCount(): number {
    return this.rows.length;
  }

  /** The rows of an epoch as indices of examples; unshuffled without a seed. */
  epoch(epoch: number, seed?: number): readonly (readonly number[])[] {
    if (seed === undefined) return this.rows.map((row) => row.map((rank) => this.#ranked[rank]));
    const order = permutation(this.lengths.length, randomStream(seed, epoch));
    const ranked = byLength(this.lengths, order);
    return permutation(this.rowCount, randomStream(seed, epoch, 1))
      .map((row) => this.rows[row].map((rank) => ranked[rank]));
  }
}

/** Longest first; the sort is stable, so that equal lengths stay in order. */
function byLength(lengths: readonly number[], order: readonly number[]): number[] {
  return [...order].sort((a, b) => lengths[b] - lengths[a]);
}
