/**
 * The optimizer, fused into the backward pass. For a projected matrix, as each gradient G arrives
 * (Q-GaLore, algorithm 1; GaLore, algorithm 2):
 *
 *   [refresh the subspace P, if due] → R (+)= project(G) → N = adam(R) → ΔW = α·back(N)
 *     → W ← requantise(W + ΔW)
 *
 * and for every other parameter N = adam(G), W ← W + N. Micro-batches accumulate R, in the low-rank
 * space; the reference and Hugging Face refuse to combine layer-wise updates with accumulation.
 */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { padded, rowsOf, type Tensor, viewAs } from "../gpu/tensor.ts";
import { applyUpdate } from "../kernels/apply_update.ts";
import type { MatmulShape, MatmulWorkspace } from "../kernels/matmul.ts";
import type { GradientSink } from "../model/gradients.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { type AdamState, adamStep, createAdamState } from "./adam.ts";
import { isDue, type LazyRefresh, recordSimilarity } from "./lazy_refresh.ts";
import {
  createProjector,
  project,
  projectBack,
  type Projector,
  projectorMatmuls,
} from "./projector.ts";
import { createSubspaceWorkspace, refreshSubspace, type SubspaceWorkspace } from "./subspace.ts";

export interface OptimizerOptions {
  /** Project the gradients of the projection matrices (GaLore). */
  readonly galore: boolean;
  /** Format of the Adam states; small tensors are float32 in any case. */
  readonly adamBits: 8 | 32;
  /**
   * That of embedding and head. In 8 bits their second moments stop growing while most rows are
   * rarely seen, and their updates stay too large: bitsandbytes and transformers keep 32 as well.
   */
  readonly embeddingAdamBits: 8 | 32;
  readonly rank: number;
  /** Ranks of single matrices, by parameter name; those not named have `rank`. */
  readonly ranks?: Readonly<Record<string, number>>;
  /** GaLore's α. */
  readonly galoreScale: number;
  readonly updateProjGap: number;
  readonly cosThreshold: number;
  readonly gammaProj: number;
  readonly queueSize: number;
  readonly projQuant: boolean;
  readonly projGroupSize: number;
  readonly stochasticRound: boolean;
  readonly beta1: number;
  readonly beta2: number;
  readonly adamEps: number;
  readonly weightDecay: number;
  readonly seed: number;
  /** Micro-batches of a step. */
  readonly gradientAccumulation: number;
}

/** A parameter with its optimizer state: what a checkpoint writes. */
export interface ParameterState {
  readonly parameter: Parameter;
  readonly adam: AdamState;
  readonly projector?: Projector;
  /** Sum over micro-batches: low-rank (R-sized) where projected, else of the parameter's shape. */
  readonly accumulated?: Tensor;
}

/** What does not depend on a parameter; shared by all of them in turn. */
interface Scratch {
  readonly gradient: Tensor; // float32, room for the largest gradient that is not accumulated
  readonly embeddingGradient?: Tensor; // (V, C) of its own when tied: it lives through the pass
  readonly lowRank?: Tensor; // float32, room for the largest low-rank gradient
  readonly similarities: Tensor; // (projectors) float32
}

export class Optimizer implements GradientSink {
  #step = 0;
  #lr = 0;
  #microBatch = 0;
  #due = new Set<Projector>();
  readonly projectors: readonly Projector[];
  readonly #states: ReadonlyMap<Parameter, ParameterState>;

  private constructor(
    readonly options: OptimizerOptions,
    readonly states: readonly ParameterState[],
    readonly scratch: Scratch,
    readonly subspace: SubspaceWorkspace | undefined,
    readonly matmul: MatmulWorkspace,
  ) {
    this.#states = new Map(states.map((state) => [state.parameter, state]));
    this.projectors = states.flatMap(({ projector }) => projector ? [projector] : []);
  }

  /** `states` are those of {@link createParameterStates} with the same options. */
  static create(
    allocator: Allocator,
    parameters: LlamaParameters,
    states: readonly ParameterState[],
    options: OptimizerOptions,
    matmul: MatmulWorkspace,
  ): Optimizer {
    const projected = states.flatMap(({ projector }) => projector ? [projector] : []);
    return new Optimizer(
      options,
      states,
      createScratch(allocator, parameters, states),
      projected.length
        ? createSubspaceWorkspace(
          allocator,
          projected.map((projector) => [...projector.shape, projector.rank]),
        )
        : undefined,
      matmul,
    );
  }

  /** Begins step `step` (from 1). */
  beginStep(step: number, lr: number): void {
    this.#step = step;
    this.#lr = lr;
    this.#due = new Set(this.projectors.filter(({ lazy }) => isDue(lazy, step - 1)));
  }

  beginMicroBatch(index: number): void {
    this.#microBatch = index;
  }

  /** Whether this step refreshes subspaces, so that similarities must be read after it. */
  get refreshes(): boolean {
    return this.#due.size > 0;
  }

  /** Parameters whose subspaces this step refreshes. */
  get refreshed(): string[] {
    return this.states.flatMap(({ parameter, projector }) =>
      projector && this.#due.has(projector) ? [parameter.name] : []
    );
  }

  /** After a step with refreshes: its similarities, one a projector, in their order. */
  recordSimilarities(similarities: ArrayLike<number>): void {
    for (const [index, projector] of this.projectors.entries()) {
      if (this.#due.has(projector)) {
        recordSimilarity(projector.lazy, similarities[index], this.options);
      }
    }
  }

  target(parameter: Parameter): { gradient: Tensor; accumulate: boolean } {
    const { accumulated, projector } = this.#states.get(parameter)!;
    if (accumulated && !projector) {
      return { gradient: accumulated, accumulate: this.#microBatch > 0 };
    }
    const { embeddingGradient, gradient } = this.scratch;
    const scratch = parameter.kind === "embedding" && embeddingGradient || gradient;
    const name = `${parameter.name}.grad`;
    return { gradient: viewAs(scratch, name, parameter.shape), accumulate: false };
  }

  consume(pass: KernelPass, parameter: Parameter, gradient: Tensor): void {
    const state = this.#states.get(parameter)!;
    const last = this.#microBatch === this.options.gradientAccumulation - 1;
    if (!state.projector) {
      if (last) {
        this.#adam(pass, state, gradient);
        this.#update(pass, state, gradient);
      }
      return;
    }
    const { projector } = state;
    const lowRank = this.#project(pass, state, projector, gradient);
    if (!last) return;
    this.#adam(pass, state, lowRank);
    // The gradient has served: its place takes the update of the same shape.
    const update = gradient, alpha = this.options.galoreScale;
    projectBack(pass, this.matmul, projector, { lowRank, update, alpha });
    this.#update(pass, state, update);
  }

  #project(
    pass: KernelPass,
    { parameter, accumulated }: ParameterState,
    projector: Projector,
    gradient: Tensor,
  ): Tensor {
    // A step's micro-batches must share one subspace: the first of them chooses it.
    if (this.#microBatch === 0 && this.#due.has(projector)) {
      refreshSubspace(pass, this.matmul, this.subspace!, projector, {
        gradient,
        seed: this.options.seed,
        step: this.#step,
        tensor: parameter.index,
        similarity: { out: this.scratch.similarities, index: this.projectors.indexOf(projector) },
      });
    }
    const lowRank = accumulated ??
      viewAs(this.scratch.lowRank!, `${parameter.name}.low_rank`, projector.lowRankShape);
    const accumulate = this.#microBatch > 0;
    project(pass, this.matmul, projector, { gradient, lowRank, accumulate });
    return lowRank;
  }

  /** Turns a gradient into −lr·m̂/(√v̂ + ε), in place. */
  #adam(pass: KernelPass, { adam }: ParameterState, gradient: Tensor): void {
    const { beta1, beta2, adamEps: eps } = this.options;
    const rates = { step: this.#step, lr: this.#lr, beta1, beta2, eps };
    adamStep(pass, { gradient, state: adam, ...rates });
  }

  #update(pass: KernelPass, { parameter }: ParameterState, update: Tensor): void {
    const { weightDecay, stochasticRound, seed } = this.options;
    // As in GaLore's runs, norms and embeddings decay like every other weight.
    const decay = 1 - this.#lr * weightDecay;
    const rounding = stochasticRound && parameter.weight.dtype !== "float32"
      ? { seed, step: this.#step, tensor: parameter.index }
      : undefined;
    applyUpdate(pass, { weight: parameter.weight, update, decay, rounding });
  }

  /** The lazy rule's state by parameter name: a checkpoint's JSON. */
  lazyStates(): Record<string, LazyRefresh> {
    return Object.fromEntries(
      this.states.flatMap(({ parameter, projector }) =>
        projector ? [[parameter.name, projector.lazy]] : []
      ),
    );
  }

  restoreLazyStates(states: Readonly<Record<string, LazyRefresh>>): void {
    for (const { parameter, projector } of this.states) {
      if (projector) Object.assign(projector.lazy, states[parameter.name]);
    }
  }

  /** Refreshes done so far, over all matrices. */
  get refreshCount(): number {
    return this.projectors.reduce((total, { lazy }) => total + lazy.refreshes, 0);
  }
}

/** The rank that a matrix gets: never more than its smaller side. */
export function effectiveRank(shape: readonly number[], rank: number): number {
  return Math.min(rank, ...shape);
}

/** Matrix products that optimising these parameters takes, for sizing the matmul workspace. */
export function optimizerMatmuls(states: readonly ParameterState[]): MatmulShape[] {
  return states.flatMap(({ projector }) => projector ? projectorMatmuls(projector) : []);
}

/** Optimizer state for each parameter that is trained, in their order. */
export function createParameterStates(
  allocator: Allocator,
  parameters: LlamaParameters,
  options: OptimizerOptions,
): ParameterState[] {
  return parameters.all.filter(({ trainable }) => trainable)
    .map((parameter) => createState(allocator, parameter, options));
}

function createState(
  allocator: Allocator,
  parameter: Parameter,
  options: OptimizerOptions,
): ParameterState {
  const { name, shape, kind } = parameter;
  const projector = kind === "projection" && options.galore
    ? createProjector(allocator, {
      name,
      shape: [shape[0], shape[1]],
      rank: effectiveRank(shape, options.ranks?.[name] ?? options.rank),
      quantised: options.projQuant,
      groupSize: options.projGroupSize,
      interval: options.updateProjGap,
    })
    : undefined;
  const stateShape = projector?.lowRankShape ?? shape;
  const embedding = kind === "embedding" || kind === "head";
  const bits = embedding ? options.embeddingAdamBits : options.adamBits;
  return {
    parameter,
    projector,
    adam: createAdamState(allocator, name, stateShape, bits),
    accumulated: options.gradientAccumulation > 1
      ? allocator.tensor({
        name: `${name}.accumulated`,
        shape: stateShape,
        dtype: "float32",
        purpose: "gradients",
      })
      : undefined,
  };
}

function createScratch(
  allocator: Allocator,
  parameters: LlamaParameters,
  states: readonly ParameterState[],
): Scratch {
  const tied = parameters.head === parameters.embedding;
  const stored = (shape: readonly number[]) => rowsOf(shape) * padded(shape[shape.length - 1]);
  let gradient = 8, lowRank = 0, embedding = 0;
  for (const { parameter, projector, accumulated } of states) {
    const size = stored(parameter.shape);
    if (projector) lowRank = Math.max(lowRank, accumulated ? 0 : stored(projector.lowRankShape));
    else if (accumulated) continue;
    if (tied && parameter.kind === "embedding") embedding = size;
    else gradient = Math.max(gradient, size);
  }
  const scratch = (name: string, size: number) =>
    allocator.tensor({ name, shape: [size], dtype: "float32", purpose: "gradients" });
  return {
    gradient: scratch("gradient", gradient),
    embeddingGradient: embedding ? scratch("embedding_gradient", embedding) : undefined,
    lowRank: lowRank ? scratch("low_rank_gradient", lowRank) : undefined,
    similarities: allocator.tensor({
      name: "similarities",
      shape: [Math.max(1, states.filter(({ projector }) => projector).length)],
      dtype: "float32",
      purpose: "workspace",
    }),
  };
}
