/**
 * What the ranks of a run exchange in a step: its gradients, low-rank where they are projected, and
 * the loss; and the subspaces that a step refreshes, which rank 0 has from the step's first
 * micro-batch, as a process by itself would. WebGPU has no way from one card to another, so all of it
 * passes through host memory (pieces.ts).
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { StepRefresh } from "../optim/step_refreshes.ts";
import { PIECE_BYTES, type Ranks, sumBytes, type WireFormat } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import { bytesOf, inPieces, type Part, Passage, type Passing, whole } from "./pieces.ts";
import {
  gradientPart,
  inRounds,
  sharedBytesPerStep,
  ShareExchange,
  sumsToKeepers,
} from "./share_exchange.ts";

/**
 * Bytes of complete gradients with whose sums ranks begin while the backward pass goes on: a read of less
 * is not worth the card's pause, and the 10 ms that Deno sleeps after it. Tests set it.
 */
export const WITHIN = { leastBytes: 8 << 20 };

export class Exchange {
  readonly #passage: Passage;
  /** Where each rank keeps only a share of the states. */
  readonly shares: ShareExchange | undefined;
  /** Of gradients: to all ranks, or each to its keeper. */
  readonly #summing: Passing;
  readonly #sumsToKeepers: boolean;
  #isAbandoned = false;

  constructor(
    gpu: Gpu,
    private readonly training: Training,
    readonly ranks: Ranks,
    /** In which gradients travel. */
    private readonly format: WireFormat,
    /** See {@link WITHIN}. */
    readonly leastBytes = WITHIN.leastBytes,
  ) {
    this.#passage = new Passage(gpu);
    const { shares } = training.optimizer.shape;
    this.shares = shares && new ShareExchange(gpu, training, ranks);
    this.#sumsToKeepers = sumsToKeepers(training);
    this.#summing = this.#sumsToKeepers ? this.shares!.summing : this.#toAll(format);
  }

  #toAll(format: WireFormat): Passing {
    return {
      reads: () => true,
      writes: () => true,
      exchange: ({ buffer, length }) =>
        this.ranks.sum(new Float32Array(buffer, 0, length / 4), format),
    };
  }

  /**
   * Complete gradients in pieces, and what is left of them for the next: each rank adds up as much of a
   * piece, so that all bytes together are those of one piece.
   */
  pieces(gradients: readonly Part[]): { readonly pieces: Part[][]; readonly left: Part[] } {
    const { size } = this.ranks;
    if (this.#sumsToKeepers) return { pieces: inRounds(gradients, size), left: [] };
    const share = 4 * size, bytes = bytesOf(gradients), even = bytes - bytes % share;
    const [whole, left = []] = even ? inPieces(gradients, even) : [[], [...gradients]];
    return { pieces: inPieces(whole, mostOf(size)), left };
  }

  /**
   * Begins with the sum of a piece that {@link pieces} has made, as the card has it once it has done what
   * it was given; see {@link Passage.begin}. All ranks do, in the same order.
   */
  beginSum(piece: readonly Part[]): Promise<{ readonly read: Promise<unknown> }> {
    return this.#passage.begin(piece, this.#summing);
  }

  /**
   * Ends what has begun; then sums what is left of a step, in pieces and not, and its loss. `onRead` is
   * called once something of that has been read, so that the card has done all that it was given.
   */
  async finishSums(
    pieces: readonly (readonly Part[])[],
    gradients: readonly Part[],
    lossIndex: number,
    onRead: () => void,
  ): Promise<void> {
    const loss = { tensor: this.training.losses, start: 4 * lossIndex, bytes: 4 };
    // It is not rounded, and belongs to no rank.
    const together = !this.#sumsToKeepers && this.format === "float32";
    const { size } = this.ranks, rest = together ? [...gradients, loss] : gradients;
    const last = this.#sumsToKeepers ? inRounds(rest, size) : inPieces(rest, mostOf(size));
    await this.#passage.end();
    await this.#passage.pass([...pieces, ...last], this.#summing, onRead);
    if (!together) await this.#passage.pass([[loss]], this.#toAll("float32"));
  }

  /** After a failure within a step, after which the others are anywhere; see {@link Passage.abandon}. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#passage.abandon();
  }

  /** Whether a step has failed. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** Whether a refresh has anything that rank 0 must give to the others. */
  gives(refresh: StepRefresh | undefined): boolean {
    return sharedTensors(this.training, refresh).length > 0;
  }

  /** Gives the subspaces that rank 0 has refreshed, and their similarities, to the others. */
  async share(refresh: StepRefresh | undefined): Promise<void> {
    const refreshed = sharedTensors(this.training, refresh), leads = this.ranks.rank === 0;
    await this.#passage.pass(inPieces(refreshed.map(whole)), {
      reads: () => leads,
      writes: () => !leads,
      exchange: (piece) => this.ranks.broadcast(piece),
    });
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

/** Bytes of a piece that each of so many ranks adds up an equal share of. */
function mostOf(size: number): number {
  return PIECE_BYTES - PIECE_BYTES % (4 * size);
}

/**
 * Bytes that each of several ranks sends in a step: 2(n − 1)/n of its gradients and the loss, rounded up
 * to whole numbers for each. Where they share the states it is those of `rank`: (n − 1)/n, and what it
 * gives to the others. Also in a plan.
 */
export function bytesPerStep(
  training: Training,
  size: number,
  rank = 0,
  format: WireFormat = "float32",
): number {
  const { optimizer: { shape, states } } = training;
  const shared = shape.shares ? sharedBytesPerStep(training, size, rank) : 0;
  // Where all have the sums they are then clipped by the norm of all, if the states are shared.
  const numbers = sumsToKeepers(training) ? 0 : bytesOf(states.map(gradientPart)) / 4;
  if (format === "float32") return shared + sumBytes(numbers + 1, size, format);
  return shared + sumBytes(numbers, size, format) + sumBytes(1, size, "float32");
}

/** Bytes that rank 0 sends in a step that refreshes every subspace, besides its gradients. */
export function bytesPerRefresh(training: Training, size: number): number {
  const all = { projectors: new Set(training.optimizer.refreshes.projectors), parameters: [] };
  const bytes = sharedTensors(training, all).reduce((sum, { byteLength }) => sum + byteLength, 0);
  return (size - 1) * bytes;
}
