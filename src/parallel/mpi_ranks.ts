/**
 * Ranks that speak through MPI. An operation begins with a meeting: each tells every other which one
 * it has come to, so that ranks on different paths fail with a message instead of waiting for ever or
 * taking one thing for another. Whoever waits asks now and then, which takes next to no time from a
 * processor that others need; what then moves the data is called on a thread beside Deno's event loop.
 *
 * Sums are made here: each rank receives all values of its share of the positions, adds them in the
 * order of the ranks, and sends the sums to all. That is as much traffic as the best of MPI's own
 * algorithms takes, 2(n − 1)/n of the values, whose order of addition would depend on the library,
 * the number of ranks and the length.
 */
import { roundToBfloat16, widenBfloat16 } from "../numbers/bfloat16.ts";
import type { Mpi } from "./mpi_library.ts";
import { Meeting, type OperationKind, RECORD_BYTES, type WhileWaiting } from "./meeting.ts";
import { PIECE_BYTES, type Ranks, sumBytes, WIRE_BYTES, type WireFormat } from "./ranks.ts";

/** Of what one rank gives another; meetings have their own. */
const GIFTS = 2;

export class MpiRanks implements Ranks {
  #sent = 0;
  readonly #status = new Uint8Array(RECORD_BYTES);
  /** What sums travel through, made when it is needed. */
  #own = new Float32Array(0);
  #theirs = new Float32Array(0);
  readonly #meeting: Meeting;
  #last: Promise<unknown> = Promise.resolve();
  /** Why nothing more can be said, once that is so. */
  #over: unknown;

  constructor(
    private readonly mpi: Mpi,
    readonly rank: number,
    readonly size: number,
    waiting: WhileWaiting = {},
  ) {
    this.#meeting = new Meeting(mpi, rank, size, waiting);
  }

  get sentBytes(): number {
    return this.#sent;
  }

  sum(values: Float32Array<ArrayBuffer>, format: WireFormat = "float32"): Promise<void> {
    return this.#inTurn(async () => {
      const atOnce = PIECE_BYTES / 4;
      for (let at = 0; at < values.length; at += atOnce) {
        const piece = values.subarray(at, at + atOnce);
        await (format === "float32" ? this.#sumPiece(piece) : this.#sumHalves(piece));
      }
    });
  }

  sumShares(values: Float32Array<ArrayBuffer>, lengths: readonly number[]): Promise<void> {
    return this.#inTurn(async () => {
      const { mpi: { symbols, world, byte }, size, rank } = this;
      const starts = startsOf(lengths), share = lengths[rank], room = share * size;
      this.#makeRoom(0, room);
      const theirs = this.#theirs.subarray(0, room),
        inBytes = (all: readonly number[]) => Int32Array.from(all, (count) => 4 * count);
      const received = Array(size).fill(share), at = startsOf(received);
      await this.#meet("sum of shares", values.byteLength);
      await symbols.MPI_Alltoallv(
        ...[values, inBytes(lengths), inBytes(starts), byte] as const,
        ...[theirs, inBytes(received), inBytes(at), byte] as const,
        world,
      );
      const sums = values.subarray(starts[rank], starts[rank] + share);
      addInOrder(theirs, share, size);
      sums.set(theirs.subarray(0, share));
      this.#sent += values.byteLength - sums.byteLength;
    });
  }

  collectShares(bytes: Uint8Array<ArrayBuffer>, lengths: readonly number[]): Promise<void> {
    return this.#inTurn(async () => {
      const { symbols, byte, world } = this.mpi, starts = startsOf(lengths);
      await this.#meet("collection of shares", bytes.length);
      for (const [rank, length] of lengths.entries()) {
        if (!length) continue;
        const share = bytes.subarray(starts[rank], starts[rank] + length);
        await symbols.MPI_Bcast(share, length, byte, rank, world);
      }
      this.#sent += (this.size - 1) * lengths[this.rank];
    });
  }

  async #sumPiece(values: Float32Array<ArrayBuffer>): Promise<void> {
    const { mpi: { symbols, world, byte }, size } = this;
    const share = Math.ceil(values.length / size), room = share * size;
    const isEven = room === values.length, bytes = 4 * share;
    this.#makeRoom(isEven ? 0 : room, room);
    const own = isEven ? values : this.#own.subarray(0, room);
    const theirs = this.#theirs.subarray(0, room);
    if (!isEven) {
      own.set(values);
      own.fill(0, values.length);
    }
    await this.#meet("sum", 4 * values.length);
    await symbols.MPI_Alltoall(own, bytes, byte, theirs, bytes, byte, world);
    const sums = theirs.subarray(0, share);
    addInOrder(theirs, share, size);
    await symbols.MPI_Allgather(sums, bytes, byte, own, bytes, byte, world);
    if (!isEven) values.set(own.subarray(0, values.length));
    this.#sent += sumBytes(values.length, size, "float32");
  }

  #makeRoom(own: number, theirs: number): void {
    if (this.#own.length < own) this.#own = new Float32Array(own);
    if (this.#theirs.length < theirs) this.#theirs = new Float32Array(theirs);
  }

  /** The same in bfloat16: everyone takes the sums as they have travelled, whoever made them too. */
  async #sumHalves(values: Float32Array<ArrayBuffer>): Promise<void> {
    const { mpi: { symbols, world, byte }, size } = this;
    const share = Math.ceil(values.length / size), room = share * size;
    const bytes = WIRE_BYTES.bfloat16 * share;
    this.#makeRoom(room, room);
    const { buffer } = this.#own, wide = this.#theirs.subarray(0, room);
    const own = new Uint16Array(buffer, 0, room);
    const theirs = new Uint16Array(buffer, own.byteLength, room);
    roundToBfloat16(values, own);
    own.fill(0, values.length);
    await this.#meet("sum", WIRE_BYTES.bfloat16 * values.length);
    await symbols.MPI_Alltoall(own, bytes, byte, theirs, bytes, byte, world);
    const sums = theirs.subarray(0, share);
    widenBfloat16(theirs, wide);
    addInOrder(wide, share, size);
    roundToBfloat16(wide.subarray(0, share), sums);
    await symbols.MPI_Allgather(sums, bytes, byte, own, bytes, byte, world);
    widenBfloat16(own.subarray(0, values.length), values);
    this.#sent += sumBytes(values.length, size, "bfloat16");
  }

  broadcast(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#inTurn(async () => {
      const { symbols, byte, world } = this.mpi;
      await this.#meet("broadcast", bytes.length);
      await symbols.MPI_Bcast(bytes, bytes.length, byte, 0, world);
      if (this.rank === 0) this.#sent += (this.size - 1) * bytes.length;
    });
  }

  gather(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>[]> {
    return this.#inTurn(async () => {
      const { mpi: { symbols, byte, world }, size } = this;
      const lengths = await this.#meet("gather", bytes.length);
      const longest = Math.max(...lengths), padded = new Uint8Array(longest);
      padded.set(bytes);
      const all = new Uint8Array(size * longest);
      if (longest) await symbols.MPI_Allgather(padded, longest, byte, all, longest, byte, world);
      this.#sent += (size - 1) * longest;
      return lengths.map((length, rank) => new Uint8Array(all.buffer, rank * longest, length));
    });
  }

  give(bytes: Uint8Array<ArrayBuffer>, from: number): Promise<void> {
    return this.#inTurn(async () => {
      const { mpi: { symbols, byte, world }, rank } = this, { length } = bytes;
      await this.#meet("gift", length);
      if (rank === 0) {
        await symbols.MPI_Recv(bytes, length, byte, from, GIFTS, world, this.#status);
      } else if (rank === from) {
        await symbols.MPI_Send(bytes, length, byte, 0, GIFTS, world);
        this.#sent += length;
      }
    });
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#meet("close", 0);
      this.mpi.symbols.MPI_Finalize();
      this.#over = new Error("these ranks are closed, and MPI starts once in a process");
    });
  }

  /** Waits for all ranks to come to this operation; returns how many bytes each has for it. */
  async #meet(kind: OperationKind, bytes: number): Promise<readonly number[]> {
    try {
      return await this.#meeting.meet(kind, bytes);
    } catch (error) {
      this.#over = error;
      throw error;
    }
  }

  /** MPI is called by one at a time, in the order of the calls here. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => {
      if (this.#over) throw this.#over;
      return operation();
    });
    this.#last = result.catch(() => {});
    return result;
  }
}

/** Adds to the first of so many rows the others, one by one. */
function addInOrder(values: Float32Array, length: number, rows: number): void {
  for (let row = 1; row < rows; row++) {
    const from = row * length;
    for (let i = 0; i < length; i++) values[i] += values[from + i];
  }
}

/** Where each of several shares begins. */
function startsOf(lengths: readonly number[]): number[] {
  let at = 0;
  return lengths.map((length) => (at += length) - length);
}
