/**
 * The way of tensors from one process to another: through the host's memory, in pieces, of which the
 * next is read from the card while one travels.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { PIECE_BYTES } from "../parallel/ranks.ts";

/** A range of a tensor's bytes, whole float32 numbers. */
export interface Part {
  readonly tensor: Tensor;
  readonly start: number;
  readonly bytes: number;
  /** What it is written to, if that is another tensor of its format. */
  readonly into?: Tensor;
  /** The rank that it belongs to, where it belongs to one. */
  readonly keeper?: number;
}

export function whole(tensor: Tensor): Part {
  return { tensor, start: 0, bytes: tensor.byteLength };
}

export function bytesOf(piece: readonly Part[]): number {
  return piece.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Parts in order, divided where a piece is full: none is larger than the first. */
export function inPieces(parts: readonly Part[], most = PIECE_BYTES): Part[][] {
  const pieces: Part[][] = [];
  let room = 0;
  for (const part of parts) {
    for (let at = 0; at < part.bytes;) {
      if (!room) {
        pieces.push([]);
        room = most;
      }
      const taken = Math.min(room, part.bytes - at);
      pieces.at(-1)!.push({ ...part, start: part.start + at, bytes: taken });
      room -= taken;
      at += taken;
    }
  }
  return pieces;
}

/** Which parts a process reads from its card, which it overwrites, and what happens in between. */
export interface Passing {
  readonly reads: (part: Part) => boolean;
  readonly writes: (part: Part) => boolean;
  readonly exchange: (bytes: Uint8Array<ArrayBuffer>, piece: readonly Part[]) => Promise<void>;
}

export class Passage {
  /** What pieces travel through in turn, made when it is needed and kept for the next step. */
  #buffers = [new Uint8Array(0), new Uint8Array(0)];
  #begun = 0;
  /** Lets the piece travel that was asked for last, which it does once the next one is asked for. */
  #depart: (() => Promise<void>) | undefined;
  /** The way of the piece before it. */
  #travelling: Promise<void> = Promise.resolve();
  /** The read of the piece that was asked for last. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(private readonly gpu: Gpu) {}

  /** All of these pieces; `onRead` is called once one of them has been read. */
  async pass(
    pieces: readonly (readonly Part[])[],
    passing: Passing,
    onRead: () => void = () => {},
  ): Promise<void> {
    try {
      for (const piece of pieces) {
        const { read } = await this.begin(piece, passing);
        void read.then(onRead, () => {}); // a fault is the piece's
      }
      await this.end();
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /**
   * Asks for a piece as the card has it once it has done what it was given, as soon as the piece before
   * the last has arrived, and then lets the last one travel: Deno stands still while a read waits for the
   * card. `read` ends when the piece is read. Throws what an earlier piece has failed of.
   */
  async begin(
    piece: readonly Part[],
    { reads, writes, exchange }: Passing,
  ): Promise<{ readonly read: Promise<unknown> }> {
    await this.#arrival();
    const bytes = this.#room(bytesOf(piece)), parts = inOrder(bytes, piece);
    this.gpu.readAtOnce(bytes.length);
    const read = Promise.all(
      parts.filter(reads).map(({ tensor, start, range }) =>
        this.gpu.readInto(tensor, range, start)
      ),
    );
    read.catch(() => {}); // reported when it is waited for
    this.#reading = read;
    this.#next();
    const buffers = this.#buffers, isAbandoned = () => this.#buffers !== buffers;
    this.#depart = async () => {
      await read;
      if (isAbandoned()) return;
      await exchange(bytes, piece);
      if (isAbandoned()) return;
      for (const { tensor, into, start, range } of parts.filter(writes)) {
        this.gpu.write(into ?? tensor, range, start);
      }
    };
    return { read };
  }

  /** Waits until all that has begun has arrived. */
  async end(): Promise<void> {
    await this.#arrival();
    this.#next();
    await this.#travelling;
  }

  /** Until what is on its way has arrived, or what comes after it cannot be read: others may be late. */
  #arrival(): Promise<void> {
    return Promise.race([this.#travelling, this.#reading.then(() => this.#travelling)]);
  }

  /**
   * After a failure: forgets what has not left, and writes nothing of what comes. What is on its way others
   * may keep for as long as they do not come, so it is the next piece that waits for it; and what is still
   * read fills buffers that nothing uses any more.
   */
  abandon(): void {
    this.#depart = undefined;
    this.#travelling = this.#travelling.catch(() => {}); // it is reported already, or came after what is
    this.#reading = Promise.resolve();
    this.#buffers = [new Uint8Array(0), new Uint8Array(0)];
  }

  /** Lets what was read last travel. */
  #next(): void {
    const depart = this.#depart;
    this.#depart = undefined;
    if (!depart) return;
    this.#travelling = depart();
    this.#travelling.catch(() => {}); // reported when it is waited for
  }

  /** One of the two buffers, which the piece before the last has left. */
  #room(bytes: number): Uint8Array<ArrayBuffer> {
    const index = this.#begun++ % 2;
    if (this.#buffers[index].length < bytes) this.#buffers[index] = new Uint8Array(bytes);
    return this.#buffers[index].subarray(0, bytes);
  }
}

/** The parts of a piece with their bytes in it. */
function inOrder(bytes: Uint8Array<ArrayBuffer>, parts: readonly Part[]) {
  let at = 0;
  return parts.map((part) => ({ ...part, range: bytes.subarray(at, at += part.bytes) }));
}
