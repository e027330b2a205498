/**
 * What ranks exchange in a step where each keeps only a share of the optimizer states (optim/shares.ts):
 * the sum of a gradient goes to its keeper alone, and what that makes of it goes to all others.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { ParameterState } from "../optim/parameter_state.ts";
import { linearsOf } from "../model/parameters.ts";
import { givenOf } from "../optim/shares.ts";
import { PIECE_BYTES, type Ranks } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import { bytesOf, inPieces, type Part, Passage, type Passing, whole } from "./pieces.ts";

export class ShareExchange {
  /** Of gradients: the sum of each to its keeper. */
  readonly summing: Passing;
  readonly #passage: Passage;

  constructor(
    private readonly gpu: Gpu,
    private readonly training: Training,
    private readonly ranks: Ranks,
  ) {
    this.#passage = new Passage(gpu);
    const { rank, size } = ranks;
    this.summing = {
      reads: () => true,
      writes: ({ keeper }) => keeper === rank,
      exchange: (bytes, piece) => {
        const values = new Float32Array(bytes.buffer, 0, bytes.length / 4);
        return ranks.sumShares(values, lengthsOf(piece, size).map((length) => length / 4));
      },
    };
  }

  /** Replaces the own share of a group's gradients by their sums. */
  async sum(group: readonly ParameterState[]): Promise<void> {
    await this.#passage.pass(inRounds(group.map(gradientPart), this.ranks.size), this.summing);
  }

  /** Once the own share is applied: gives it to the others, and takes theirs. */
  async give(group = this.training.optimizer.states): Promise<void> {
    const { ranks } = this, { rank, size } = ranks;
    await this.#passage.pass(inRounds(givenParts(group), size), {
      reads: ({ keeper }) => keeper === rank,
      writes: ({ keeper }) => keeper !== rank,
      exchange: (bytes, piece) => ranks.collectShares(bytes, lengthsOf(piece, size)),
    });
    await this.#giveSimilarities(group);
  }

  /** Where the weights of layers are shared: those of one, on all ranks. */
  async gather(layer: number): Promise<void> {
    const { ranks } = this, { rank, size } = ranks;
    await this.#passage.pass(inRounds(layerParts(this.training, layer), size), {
      reads: ({ keeper }) => keeper === rank,
      writes: () => true,
      exchange: (bytes, piece) => ranks.collectShares(bytes, lengthsOf(piece, size)),
    });
  }

  /** Those of refreshes from whole gradients, which only keepers do. */
  async #giveSimilarities(group: readonly ParameterState[]): Promise<void> {
    const { optimizer: { refreshes, scratch: { similarities } } } = this.training;
    const due = group.filter(({ fira, projector }) => fira && refreshes.isDue(projector!));
    if (!due.length) return;
    const all = new Float32Array(similarities.byteLength / 4);
    await this.gpu.readInto(similarities, new Uint8Array(all.buffer));
    const places = due.map(({ projector }) => refreshes.projectors.indexOf(projector!));
    const values = Float32Array.from(
      due,
      ({ elsewhere }, index) => elsewhere ? 0 : all[places[index]],
    );
    await this.ranks.sum(values);
    for (const [index, place] of places.entries()) all[place] = values[index];
    this.gpu.write(similarities, all);
  }
}

/** A gradient that is kept until it is exchanged. */
export function gradientPart({ accumulated, keeper }: ParameterState): Part {
  return { ...whole(accumulated!), keeper };
}

/** Whether only its keeper has the sum of a gradient: not where they are clipped by the norm of all. */
export function sumsToKeepers({ optimizer: { shape, clipping } }: Training): boolean {
  return shape.shares !== undefined && !clipping;
}

function givenParts(group: readonly ParameterState[]): Part[] {
  return group.flatMap((state) =>
    givenOf(state).tensors.map((tensor) => ({ ...whole(tensor), keeper: state.keeper }))
  );
}

/** Matrices of a layer, and what they are gathered in. */
function layerParts({ model: { parameters } }: Training, layer: number): Part[] {
  return linearsOf(parameters.layers[layer]).flatMap(({ weight: { weight, gathered, keeper } }) => {
    if (!gathered) return [];
    const part = (tensor: Tensor, into: Tensor) => ({ ...whole(tensor), into, keeper });
    const { constants } = weight;
    return [part(weight, gathered), ...constants ? [part(constants, gathered.constants!)] : []];
  });
}

/** Pieces of as many bytes of each rank's as fit, side by side by rank. */
export function inRounds(parts: readonly Part[], size: number): Part[][] {
  const most = Math.floor(PIECE_BYTES / size / 4) * 4;
  const shares = Array.from(
    { length: size },
    (_, rank) => inPieces(parts.filter(({ keeper }) => keeper === rank), most),
  );
  const rounds = Math.max(...shares.map(({ length }) => length));
  if (bytesOf(shares.flat(2)) !== bytesOf(parts)) {
    throw new Error(`inRounds: each part must have one of ${size} ranks as its keeper`);
  }
  return Array.from({ length: rounds }, (_, round) => shares.flatMap((own) => own[round] ?? []));
}

/** Bytes of each rank's share of a piece. */
function lengthsOf(piece: readonly Part[], size: number): number[] {
  return Array.from(
    { length: size },
    (_, rank) => bytesOf(piece.filter(({ keeper }) => keeper === rank)),
  );
}

/** Bytes of layers that a rank gives to each other in a step: forward, and but for the last one back. */
function gatheredBytes(training: Training, size: number, rank: number): number {
  const { layers } = training.model.parameters;
  const { gradientAccumulation } = training.optimizer.shape;
  const own = layers.map((_, layer) =>
    bytesOf(layerParts(training, layer).filter(({ keeper }) => keeper === rank))
  );
  const all = own.reduce((a, b) => a + b);
  return Math.ceil(gradientAccumulation / size) * (2 * all - own.at(-1)!);
}

/** Bytes that a rank sends in a step for gradients and updates. Also in a plan. */
export function sharedBytesPerStep(training: Training, size: number, rank: number): number {
  const { states } = training.optimizer;
  const summed = sumsToKeepers(training) ? states.map(gradientPart) : [];
  const gradients = bytesOf(summed.filter(({ keeper }) => keeper !== rank));
  const given = bytesOf(givenParts(states).filter(({ keeper }) => keeper === rank));
  return gradients + (size - 1) * (given + gatheredBytes(training, size, rank));
}
