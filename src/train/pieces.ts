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
}

export function whole(tensor: Tensor): Part {
  return { tensor, start: 0, bytes: tensor.byteLength };
}

export function bytesOf(piece: readonly Part[]): number {
  return piece.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Parts in order, divided where a piece is full: none is larger than the first. */
export function inPieces<Of extends Part>(parts: readonly Of[], most = PIECE_BYTES): Of[][] {
  const pieces: Of[][] = [];
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
export interface Passing<Of extends Part> {
  readonly reads: (part: Of) => boolean;
  readonly writes: (part: Of) => boolean;
  readonly exchange: (bytes: Uint8Array<ArrayBuffer>, piece: readonly Of[]) => Promise<void>;
}

export class Passage {
  /** What pieces travel through, made when it is needed and kept for the next step. */
  #buffers: readonly Uint8Array<ArrayBuffer>[] = [];

  constructor(private readonly gpu: Gpu) {}

  async pass<Of extends Part>(
    pieces: readonly (readonly Of[])[],
    { reads, writes, exchange }: Passing<Of>,
  ): Promise<void> {
    const buffers = this.#room(pieces);
    const begin = async (index: number) => {
      const piece = pieces[index];
      if (!piece) return;
      const bytes = buffers[index % 2].subarray(0, bytesOf(piece));
      const into = inOrder(bytes, piece).filter(reads);
      await Promise.all(
        into.map(({ tensor, start, range }) => this.gpu.readInto(tensor, range, start)),
      );
      return bytes;
    };
    let next = begin(0);
    for (const [index, piece] of pieces.entries()) {
      const bytes = (await next)!;
      next = begin(index + 1);
      next.catch(() => {}); // reported when it is waited for
      await exchange(bytes, piece);
      for (const { tensor, into, start, range } of inOrder(bytes, piece).filter(writes)) {
        this.gpu.write(into ?? tensor, range, start);
      }
    }
  }

  /** Two buffers, if there are two pieces, of the largest. */
  #room(pieces: readonly (readonly Part[])[]): readonly Uint8Array<ArrayBuffer>[] {
    const first = Math.max(0, ...pieces.map(bytesOf)), second = pieces.length > 1 ? first : 0;
    const [own, other] = this.#buffers;
    if (!own || own.length < first || other.length < second) {
      this.#buffers = [new Uint8Array(first), new Uint8Array(second)];
    }
    return this.#buffers;
  }
}

/** The parts of a piece with their bytes in it. */
function inOrder<Of extends Part>(bytes: Uint8Array<ArrayBuffer>, parts: readonly Of[]) {
  let at = 0;
  return parts.map((part) => ({ ...part, range: bytes.subarray(at, at += part.bytes) }));
}
