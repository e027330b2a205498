/**
 * What the ranks of a run exchange in a step: its gradients, low-rank where they are projected, and
 * the loss; and the subspaces that a step refreshes, which rank 0 has from the step's first
 * micro-batch, as a process by itself would. WebGPU has no way from one card to another, so all of it
 * passes through host memory, in pieces: the next is read while one is summed.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { StepRefresh } from "../optim/step_refreshes.ts";
import { PIECE_BYTES, type Ranks } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";

/** A range of a tensor's bytes, whole float32 numbers. */
interface Part {
  readonly tensor: Tensor;
  readonly start: number;
  readonly bytes: number;
}

export class Exchange {
  /** What pieces travel through, made when it is needed. */
  #buffers: readonly Uint8Array<ArrayBuffer>[] = [];

  constructor(
    private readonly gpu: Gpu,
    private readonly training: Training,
    readonly ranks: Ranks,
  ) {}

  /** Replaces the gradients of a step, and its loss, by their sums over the ranks. */
  async sum(lossIndex: number): Promise<void> {
    await this.#pass(summedParts(this.training, lossIndex), {
      reads: true,
      writes: true,
      exchange: (piece) => this.ranks.sum(new Float32Array(piece.buffer, 0, piece.length / 4)),
    });
  }

  /** Gives the subspaces that rank 0 has refreshed, and their similarities, to the others. */
  async share(refresh: StepRefresh | undefined): Promise<void> {
    const refreshed = sharedTensors(this.training, refresh);
    await this.#pass(refreshed.map(whole), {
      reads: this.ranks.rank === 0,
      writes: this.ranks.rank !== 0,
      exchange: (piece) => this.ranks.broadcast(piece),
    });
  }

  /** Buffers of at least so many bytes each, kept for the next step. */
  #room(bytes: readonly number[]): readonly Uint8Array<ArrayBuffer>[] {
    const [first = 0, second = 0] = bytes, [own, other] = this.#buffers;
    if (!own || own.length < first || other.length < second) {
      this.#buffers = [new Uint8Array(first), new Uint8Array(second && first)];
    }
    return this.#buffers;
  }

  async #pass(
    parts: readonly Part[],
    { reads, writes, exchange }: {
      readonly reads: boolean;
      readonly writes: boolean;
      readonly exchange: (piece: Uint8Array<ArrayBuffer>) => Promise<void>;
    },
  ): Promise<void> {
    const pieces = inPieces(parts), buffers = this.#room(pieces.slice(0, 2).map(bytesOf));
    const begin = async (index: number) => {
      const piece = pieces[index];
      if (!piece) return;
      const bytes = buffers[index % 2].subarray(0, bytesOf(piece));
      if (reads) {
        const into = inOrder(bytes, piece);
        await Promise.all(
          into.map(({ tensor, start, range }) => this.gpu.readInto(tensor, range, start)),
        );
      }
      return bytes;
    };
    let next = begin(0);
    for (const [index, piece] of pieces.entries()) {
      const bytes = (await next)!;
      next = begin(index + 1);
      next.catch(() => {}); // reported when it is waited for
      await exchange(bytes);
      if (!writes) continue;
      for (const { tensor, start, range } of inOrder(bytes, piece)) {
        this.gpu.write(tensor, range, start);
      }
    }
  }
}

/** What one rank must have of another's refresh. Fira refreshes from the sum, which all have. */
function sharedTensors({ optimizer }: Training, refresh: StepRefresh | undefined): Tensor[] {
  const bases = optimizer.states.flatMap(({ projector, fira }) => {
    if (!projector || fira || !refresh?.projectors.has(projector)) return [];
    const { basis, leading } = projector;
    return [basis, ...basis.constants ? [basis.constants] : [], leading];
  });
  return bases.length ? [...bases, optimizer.scratch.similarities] : [];
}

/** The gradients of a step, and its loss. */
function summedParts({ optimizer, losses }: Training, lossIndex: number): Part[] {
  const loss = { tensor: losses, start: 4 * lossIndex, bytes: 4 };
  return [...optimizer.accumulated.map(({ gradient }) => whole(gradient)), loss];
}

/**
 * Bytes that each of several ranks sends in a step: 2(n − 1)/n of its gradients, rounded up to whole
 * numbers for each in every piece. Also in a plan.
 */
export function bytesPerStep(training: Training, size: number): number {
  return inPieces(summedParts(training, 0)).reduce((sum, piece) => {
    return sum + 8 * (size - 1) * Math.ceil(bytesOf(piece) / 4 / size);
  }, 0);
}

/** Bytes that rank 0 sends in a step that refreshes every subspace, besides its gradients. */
export function bytesPerRefresh(training: Training, size: number): number {
  const all = { projectors: new Set(training.optimizer.refreshes.projectors), parameters: [] };
  const bytes = sharedTensors(training, all).reduce((sum, { byteLength }) => sum + byteLength, 0);
  return (size - 1) * bytes;
}

function whole(tensor: Tensor): Part {
  return { tensor, start: 0, bytes: tensor.byteLength };
}

function bytesOf(piece: readonly Part[]): number {
  return piece.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Parts in order, divided where a piece is full: none is larger than the first. */
function inPieces(parts: readonly Part[]): Part[][] {
  const pieces: Part[][] = [];
  let room = 0;
  for (const { tensor, start, bytes } of parts) {
    for (let at = 0; at < bytes;) {
      if (!room) {
        pieces.push([]);
        room = PIECE_BYTES;
      }
      const taken = Math.min(room, bytes - at);
      pieces.at(-1)!.push({ tensor, start: start + at, bytes: taken });
      room -= taken;
      at += taken;
    }
  }
  return pieces;
}

/** The parts of a piece with their bytes in it. */
function inOrder(bytes: Uint8Array<ArrayBuffer>, parts: readonly Part[]) {
  let at = 0;
  return parts.map((part) => ({ ...part, range: bytes.subarray(at, at += part.bytes) }));
}
