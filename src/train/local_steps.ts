/**
 * DiLoCo (Douillard et al. 2023, arXiv 2311.08105, algorithm 1): ranks train by themselves, each on its
 * own batches with its own optimizer states, and after every H steps meet in an outer step:
 *
 *   Δ = θ_met − mean(θ_rank)    m ← μ·m + Δ    θ_met ← θ_met − η·(Δ + μ·m)
 *
 * SGD with Nesterov's momentum, as PyTorch has it. All of it but the last difference is computed by
 * the host, in the same order on every rank; the difference by the kernel of every update, which
 * rounds as the weights' format asks, stochastically with a key that is that of all ranks. So all
 * begin their next steps with the same bits. A process by itself has a mean of one.
 */
import { ahead } from "../files/ahead.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { rowRange, rowStep, type Tensor, viewAs } from "../gpu/tensor.ts";
import { applyUpdate } from "../kernels/optim/apply_update.ts";
import { saltedSeed } from "../kernels/salts.ts";
import type { Parameter } from "../model/parameters.ts";
import { elementsOf, rowsOf } from "../numbers/layout.ts";
import { packTensor } from "../numbers/plain.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { PIECE_BYTES, type Ranks, sumBytes, type WireFormat } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import { type NotFiniteError, ranksNotFiniteError } from "./divergence.ts";
import {
  createOuterStates,
  keepMet,
  type OuterState,
  trainedParameters,
  valuesIn,
} from "./outer_state.ts";

/** When ranks meet, and the outer step. */
export interface OuterRates {
  readonly localSteps: number;
  readonly outerLr: number;
  readonly outerMomentum: number;
  /** In which differences travel. */
  readonly communicationDataType: WireFormat;
}

/** Bytes of float32 numbers in a block of rows. */
const BLOCK_BYTES = 8 << 20;

/** Rows of a weight. */
interface Block {
  readonly parameter: Parameter;
  readonly rows: Tensor;
  /** Of its first number, in the parameter and in its piece. */
  readonly element: number;
  readonly at: number;
  readonly elements: number;
}

/** The bytes of the constants of trained weights, those that have any. */
type Constants = Map<Parameter, Promise<Uint8Array<ArrayBuffer> | undefined>>;

/** Blocks that are exchanged at once. */
interface Piece {
  readonly blocks: readonly Block[];
  readonly elements: number;
}

export class LocalSteps {
  /** In the order of the parameters. */
  readonly states: readonly OuterState[];
  readonly #states: ReadonlyMap<Parameter, OuterState>;
  readonly #pieces: readonly Piece[];

  constructor(
    private readonly gpu: Gpu,
    private readonly training: Training,
    private readonly ranks: Ranks,
    private readonly rates: OuterRates,
    /** The last step of the run, after which ranks meet in any case. */
    private readonly last: number,
  ) {
    this.states = createOuterStates(training);
    this.#states = new Map(this.states.map((state) => [state.parameter, state]));
    this.#pieces = piecesOf(training);
  }

  /** Whether ranks meet after this step. */
  meetsAt(step: number): boolean {
    return step % this.rates.localSteps === 0 || step === this.last;
  }

  /** If ranks meet after this step, all since they last met: what was due after any is due now. */
  stepsMetAt(step: number): number[] {
    if (!this.meetsAt(step)) return [];
    const count = 1 + (step - 1) % this.rates.localSteps;
    return Array.from({ length: count }, (_, index) => step - count + 1 + index);
  }

  /** Before the first step of a run: the weights are what all ranks begin with. */
  begin(): Promise<void> {
    return keepMet(this.gpu, this.states);
  }

  /**
   * Takes the outer step that follows `step`. Throws if the others do not come, and on all of them a
   * {@link NotFiniteError} if a rank brings what is not finite.
   */
  async meet(step: number, { stochasticRound, seed }: OptimizerRates): Promise<void> {
    const { gpu, ranks, rates: { outerLr: lr, outerMomentum: mu } } = this;
    const pass = new KernelPass(gpu), constants: Constants = new Map();
    const read = (piece: Piece) => this.#differences(piece, constants);
    const bytes = ({ elements }: Piece) => 4 * elements;
    const pieces = ahead(this.#pieces, read, { bytes, most: PIECE_BYTES });
    for await (const { piece, values, isFinite } of pieces) {
      await ranks.sum(values, this.rates.communicationDataType);
      if (!areFinite(values)) throw await this.#notFinite(step, isFinite);
      for (const { parameter, rows, element, at, elements } of piece.blocks) {
        const { weight, index: tensor } = parameter, state = this.#states.get(parameter)!;
        const { met, momentum } = state;
        const update = values.subarray(at, at + elements);
        outerStep(update, momentum.subarray(element, element + elements), ranks.size, lr, mu);
        if (element === 0 && weight.constants) gpu.write(weight.constants, state.constants!);
        gpu.write(rows, bytesOfRows(met, rows, weight));
        const source = viewAs(this.training.scratch, "outer_update", rows.shape);
        gpu.write(source, packTensor(source, update));
        const rounding = stochasticRound && weight.dtype !== "float32"
          ? { seed: saltedSeed(seed, "outer"), step, tensor }
          : undefined;
        applyUpdate(pass, { weight: rows, update: source, decay: 1, rounding });
        pass.submit();
      }
    }
    await keepMet(gpu, this.states);
    await gpu.check();
  }

  /** θ_met − θ_rank. Constants are read once, before any of a weight is written. */
  async #differences(
    piece: Piece,
    constants: Constants,
  ): Promise<{
    readonly piece: Piece;
    readonly values: Float32Array<ArrayBuffer>;
    readonly isFinite: boolean;
  }> {
    const values = new Float32Array(piece.elements);
    await Promise.all(piece.blocks.map(async ({ parameter, rows, at }) => {
      const { weight } = parameter, state = this.#states.get(parameter)!;
      const own = new Uint8Array(rows.byteLength);
      if (!constants.has(parameter)) constants.set(parameter, this.#constantsOf(weight));
      const [trained] = await Promise.all([constants.get(parameter), this.gpu.readInto(rows, own)]);
      const now = valuesIn(rows, own, trained);
      const before = valuesIn(rows, bytesOfRows(state.met, rows, weight), state.constants);
      for (let i = 0; i < now.length; i++) values[at + i] = before[i] - now[i];
    }));
    return { piece, values, isFinite: areFinite(values) };
  }

  /** The ranks whose own part is not finite, or else all: sums are the same bits on each. */
  async #notFinite(step: number, isFinite: boolean): Promise<NotFiniteError> {
    const answers = await this.ranks.gather(Uint8Array.of(Number(isFinite)));
    const faulty = answers.flatMap(([own], rank) => own === 0 ? [rank] : []);
    return ranksNotFiniteError(step, faulty.length ? faulty : [...answers.keys()]);
  }

  async #constantsOf({ constants }: Tensor): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!constants) return undefined;
    const bytes = new Uint8Array(constants.byteLength);
    await this.gpu.readInto(constants, bytes);
    return bytes;
  }
}

function areFinite(values: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += 0 * values[i]; // NaN of NaN and of infinities
  return sum === 0;
}

/** Replaces sums of Δ over `size` ranks by what is added to the weights. */
function outerStep(
  values: Float32Array,
  momentum: Float32Array,
  size: number,
  lr: number,
  mu: number,
): void {
  for (let i = 0; i < values.length; i++) {
    const delta = values[i] / size;
    momentum[i] = mu * momentum[i] + delta;
    values[i] = -lr * (delta + mu * momentum[i]);
  }
}

function bytesOfRows(all: Uint8Array<ArrayBuffer>, rows: Tensor, weight: Tensor) {
  const start = rows.byteOffset - weight.byteOffset;
  return all.subarray(start, start + rows.byteLength);
}

/**
 * Bytes that a rank sends in a meeting: 2(n − 1)/n of its trained parameters, rounded up to whole numbers
 * for each in every piece. Also in a plan.
 */
export function bytesPerMeeting(
  training: Training,
  size: number,
  format: WireFormat = "float32",
): number {
  return piecesOf(training).reduce(
    (sum, { elements }) => sum + sumBytes(elements, size, format),
    0,
  );
}

/** Blocks in order, each with room in the scratch memory; no piece is more than is exchanged at once. */
function piecesOf(training: Training): Piece[] {
  // It holds nothing between steps.
  const room = training.scratch.byteLength / 4;
  const pieces: { blocks: Block[]; elements: number }[] = [];
  for (const parameter of trainedParameters(training)) {
    let element = 0;
    for (const rows of rowsIn(parameter.weight, room)) {
      const elements = elementsOf(rows), last = pieces.at(-1);
      const fits = last && 4 * (last.elements + elements) <= PIECE_BYTES;
      const piece = fits ? last : { blocks: [], elements: 0 };
      if (!fits) pieces.push(piece);
      piece.blocks.push({ parameter, rows, element, at: piece.elements, elements });
      piece.elements += elements;
      element += elements;
    }
  }
  return pieces;
}

function* rowsIn(weight: Tensor, room: number): Generator<Tensor> {
  if (weight.shape.length === 1) return yield weight;
  const rows = rowsOf(weight.shape), step = rowStep(weight);
  const most = Math.floor(Math.min(BLOCK_BYTES / 4, room) / weight.stride);
  const block = Math.max(step, most - most % step);
  for (let start = 0; start < rows; start += block) {
    yield rowRange(weight, start, Math.min(rows, start + block));
  }
}
