/**
 * Ranks that speak through MPI. An operation first waits until all have come to it, asking now and
 * then, which takes next to no time from a processor that others need; what moves the data is then
 * called on a thread beside Deno's event loop.
 *
 * Sums are made here: each rank receives all values of its share of the positions, adds them in the
 * order of the ranks, and sends the sums to all. That is as much traffic as the best of MPI's own
 * algorithms takes, 2(n − 1)/n of the values, whose order of addition would depend on the library,
 * the number of ranks and the length.
 */
import type { Mpi } from "./mpi_library.ts";
import type { Ranks } from "./ranks.ts";

/** Floats that are summed at a time: 16 MiB, twice for the shares on their way. */
const AT_ONCE = 4 << 20;

/** Milliseconds in which those that are about to come are waited for without a pause. */
const EAGER_MS = 0.5;
/** The longest pause between two questions, in milliseconds, and its share of the wait so far. */
const PAUSE_MS = 10, PAUSE_SHARE = 1 / 20;

/** Bytes of a status or a request, of either library, and more. */
const RECORD_BYTES = 64;

export class MpiRanks implements Ranks {
  #sent = 0;
  /** What sums travel through, made when it is needed. */
  #own = new Float32Array(0);
  #theirs = new Float32Array(0);
  readonly #request = new Uint8Array(RECORD_BYTES);
  readonly #status = new Uint8Array(RECORD_BYTES);
  readonly #flag = new Int32Array(1);
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly mpi: Mpi, readonly rank: number, readonly size: number) {}

  get sentBytes(): number {
    return this.#sent;
  }

  sum(values: Float32Array<ArrayBuffer>): Promise<void> {
    return this.#inTurn(async () => {
      for (let at = 0; at < values.length; at += AT_ONCE) {
        await this.#sumPart(values.subarray(at, at + AT_ONCE));
      }
    });
  }

  async #sumPart(values: Float32Array<ArrayBuffer>): Promise<void> {
    const { mpi: { symbols, world, byte }, size } = this;
    const share = Math.ceil(values.length / size), room = share * size;
    if (this.#own.length < room) {
      this.#own = new Float32Array(room);
      this.#theirs = new Float32Array(room);
    }
    const own = this.#own.subarray(0, room), theirs = this.#theirs.subarray(0, room);
    own.set(values);
    own.fill(0, values.length);
    const bytes = 4 * share;
    await this.#meet();
    await symbols.MPI_Alltoall(own, bytes, byte, theirs, bytes, byte, world);
    const sums = theirs.subarray(0, share);
    for (let rank = 1; rank < size; rank++) {
      const from = rank * share;
      for (let i = 0; i < share; i++) sums[i] += theirs[from + i];
    }
    await symbols.MPI_Allgather(sums, bytes, byte, own, bytes, byte, world);
    values.set(own.subarray(0, values.length));
    this.#sent += 2 * (size - 1) * bytes;
  }

  broadcast(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#inTurn(async () => {
      const { symbols, byte, world } = this.mpi;
      await this.#meet();
      await symbols.MPI_Bcast(bytes, bytes.length, byte, 0, world);
      if (this.rank === 0) this.#sent += (this.size - 1) * bytes.length;
    });
  }

  gather(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>[]> {
    return this.#inTurn(async () => {
      const lengths = new Uint32Array(
        await this.#gatherSame(
          new Uint8Array(Uint32Array.of(bytes.length).buffer),
        ),
      );
      const longest = Math.max(...lengths), padded = new Uint8Array(longest);
      padded.set(bytes);
      const all = longest ? await this.#gatherSame(padded) : new ArrayBuffer(0);
      return Array.from(lengths, (length, rank) => new Uint8Array(all, rank * longest, length));
    });
  }

  /** Of as many bytes from each. */
  async #gatherSame(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
    const { mpi: { symbols, byte, world }, size } = this, { length } = bytes;
    const all = new Uint8Array(size * length);
    await this.#meet();
    await symbols.MPI_Allgather(bytes, length, byte, all, length, byte, world);
    this.#sent += (size - 1) * length;
    return all.buffer;
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#meet();
      await this.mpi.symbols.MPI_Finalize();
    });
  }

  /** Waits for all ranks to come here. */
  async #meet(): Promise<void> {
    const { symbols, world } = this.mpi, begun = performance.now();
    symbols.MPI_Ibarrier(world, this.#request);
    const isOver = () => {
      symbols.MPI_Test(this.#request, this.#flag, this.#status);
      return this.#flag[0] !== 0;
    };
    while (!isOver()) {
      const waited = performance.now() - begun;
      if (waited < EAGER_MS) continue;
      const pause = Math.min(PAUSE_MS, PAUSE_SHARE * waited);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** MPI is called by one at a time, in the order of the calls here. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#last.then(operation);
    this.#last = result.catch(() => {});
    return result;
  }
}
