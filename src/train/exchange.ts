/**
 * What the ranks of a run exchange in a step: its gradients, low-rank where they are projected, and
 * the loss; and the subspaces that a step refreshes, which rank 0 has from the step's first
 * micro-batch, as a process by itself would. WebGPU has no way from one card to another, so all of it
 * passes through host memory (pieces.ts).
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { StepRefresh } from "../optim/step_refreshes.ts";
import { type Ranks, sumBytes, type WireFormat } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import { bytesOf, inPieces, type Part, Passage, whole } from "./pieces.ts";
import { sharedBytesPerStep, ShareExchange } from "./share_exchange.ts";

export class Exchange {
  readonly #passage: Passage;
  /** Where each rank keeps only a share of the states. */
  readonly shares: ShareExchange | undefined;

  constructor(
    gpu: Gpu,
    private readonly training: Training,
    readonly ranks: Ranks,
    /** In which gradients travel. */
    private readonly format: WireFormat,
  ) {
    this.#passage = new Passage(gpu);
    const { shares } = training.optimizer.shape;
    this.shares = shares && new ShareExchange(gpu, training, ranks);
  }

  /**
   * Replaces the gradients of a step, and its loss, by their sums over the ranks; of gradients, where
   * the states are shared, those of its own share.
   */
  async sum(lossIndex: number): Promise<void> {
    if (!this.training.optimizer.goesByGroups) await this.shares?.sum();
    for (const [format, parts] of summedParts(this.training, lossIndex, this.format)) {
      await this.#passage.pass(inPieces(parts), {
        reads: () => true,
        writes: () => true,
        exchange: ({ buffer, length }) =>
          this.ranks.sum(new Float32Array(buffer, 0, length / 4), format),
      });
    }
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

/**
 * What all ranks have the sums of: the gradients of a step, unless they share the states, and its loss,
 * which is not rounded; with the format in which it travels.
 */
function summedParts(
  { optimizer, losses }: Training,
  lossIndex: number,
  format: WireFormat,
): (readonly [WireFormat, readonly Part[]])[] {
  const loss = { tensor: losses, start: 4 * lossIndex, bytes: 4 };
  // Which are then clipped by the norm of all, if they are.
  if (optimizer.shape.shares && !optimizer.clipping) return [["float32", [loss]]];
  const gradients = optimizer.accumulated.map(({ gradient }) => whole(gradient));
  return format === "float32"
    ? [[format, [...gradients, loss]]]
    : [[format, gradients], ["float32", [loss]]];
}

/**
 * Bytes that each of several ranks sends in a step: 2(n − 1)/n of its gradients, rounded up to whole
 * numbers for each in every piece. Where they share the states it is those of `rank`: (n − 1)/n, and
 * what it gives to the others. Also in a plan.
 */
export function bytesPerStep(
  training: Training,
  size: number,
  rank = 0,
  format: WireFormat = "float32",
): number {
  const { shares } = training.optimizer.shape;
  const pieces = summedParts(training, 0, format).flatMap(([format, parts]) =>
    inPieces(parts).map((piece) => sumBytes(bytesOf(piece) / 4, size, format))
  );
  return pieces.reduce((a, b) => a + b, shares ? sharedBytesPerStep(training, size, rank) : 0);
}

/** Bytes that rank 0 sends in a step that refreshes every subspace, besides its gradients. */
export function bytesPerRefresh(training: Training, size: number): number {
  const all = { projectors: new Set(training.optimizer.refreshes.projectors), parameters: [] };
  const bytes = sharedTensors(training, all).reduce((sum, { byteLength }) => sum + byteLength, 0);
  return (size - 1) * bytes;
}
