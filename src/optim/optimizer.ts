/**
 * The optimizer. A gradient is first accumulated, for a projected matrix in its low-rank space, and
 * then applied (Q-GaLore, algorithm 1; GaLore, algorithm 2):
 *
 *   accumulate   [refresh the subspace P, if due] → R (+)= project(G)       otherwise R (+)= G
 *   apply        N = rule(R) → ΔW = α·back(N) → W ← requantise(W + ΔW)      otherwise ΔW = N
 *
 * With Fira (fira.ts) G is accumulated whole, and projected as it is applied.
 *
 * Of a projected matrix, G is formed only where that is cheaper than computing with its factors, and
 * ΔW in blocks of rows. By default the last micro-batch applies each gradient as it arrives, fused
 * into the backward pass, so that at most one gradient matrix is alive at a time. Where
 * {@link Optimizer.keeps} says so, every R is kept until {@link Optimizer.applyAll}: so that processes
 * can sum theirs in between (`exchange`), or to clip them by their common norm; for a projected matrix
 * it is low-rank. The reference and Hugging Face refuse to combine layer-wise updates with
 * accumulation.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import type { Allocator } from "../gpu/allocator.ts";
import { applyUpdate } from "../kernels/optim/apply_update.ts";
import { stableSpam } from "../kernels/optim/stable_spam.ts";
import type { SumOfSquares } from "../kernels/optim/clip_norm.ts";
import { matmul, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import type { Range } from "../kernels/ranges.ts";
import type { GradientFactors, GradientSink, GradientTarget } from "../model/gradients.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { parameterRate } from "./adapter_rates.ts";
import type { Gradient } from "./factors.ts";
import { goesByGroups, GradientGroups, type GroupWork, hasGroups } from "./gradient_groups.ts";
import { GradientClipping, type StepNorm } from "./clipping.ts";
import { firaUpdate } from "./fira.ts";
import { updateBlocks } from "./gradient_blocks.ts";
import { addToInt8 } from "./int8_sum.ts";
import { createOptimizerScratch, type OptimizerScratch } from "./optimizer_scratch.ts";
import { clippingOf, isAdapter, keepsGradients, type OptimizerShape } from "./optimizer_shape.ts";
import { gathersLowRank, type ParameterState } from "./parameter_state.ts";
import { project, projectBack } from "./projector.ts";
import type { OptimizerRates } from "./rates.ts";
import { adaptedOf, Restarts } from "./restarts.ts";
import { StepGradients } from "./step_gradients.ts";
import { StepRefreshes } from "./step_refreshes.ts";
import { givenOf } from "./shares.ts";
import { resetMoments, sinceReset } from "./stable_spam.ts";
import { refreshSubspace } from "./subspace.ts";

export interface OptimizerStep {
  /** From 1. */
  readonly step: number;
  readonly lr: number;
  /** The highest rate of the schedule; `lr` by default. */
  readonly peak?: number;
  readonly rates: OptimizerRates;
  /** Receives the sum of squares of the step's gradients, where the shape has `clips`. */
  readonly norm?: SumOfSquares;
  /** Subspaces that are due were refreshed elsewhere, and are in place before the first gradient. */
  readonly refreshed?: boolean;
  /** What is done as the backward pass goes from group to group, if anything is. */
  readonly groups?: GroupWork;
  /** Called with each gradient that a micro-batch has added to what is kept of the step. */
  readonly added?: (state: ParameterState) => void;
}

export class Optimizer implements GradientSink {
  #now: OptimizerStep | undefined;
  #microBatch = 0;
  /** How gradients are clipped, if they are. */
  readonly clipping: GradientClipping | undefined;
  /** Whether gradients are kept until {@link applyAll}. */
  readonly keeps: boolean;
  /** Whether gradients are exchanged and applied as the backward pass goes on, not at its end. */
  readonly goesByGroups: boolean;
  /** Which subspaces a step refreshes. */
  readonly refreshes: StepRefreshes;
  readonly #states: ReadonlyMap<Parameter, ParameterState>;
  readonly #gradients: StepGradients;
  /** Where something is done as the backward pass goes on. */
  readonly #groups: GradientGroups | undefined;

  private constructor(
    readonly shape: OptimizerShape,
    readonly states: readonly ParameterState[],
    readonly scratch: OptimizerScratch,
    readonly matmul: MatmulWorkspace,
    /** Of adapters, if they have any. */
    readonly restarts: Restarts | undefined,
  ) {
    this.#states = new Map(states.map((state) => [state.parameter, state]));
    this.#gradients = new StepGradients(states, scratch);
    this.refreshes = new StepRefreshes(states);
    const adapters = states.every(({ parameter }) => isAdapter(parameter));
    const clipping = clippingOf(shape, adapters);
    this.clipping = clipping && new GradientClipping(clipping, states, scratch.squares!);
    this.keeps = keepsGradients(shape, adapters);
    this.goesByGroups = goesByGroups(shape);
    this.#groups = hasGroups(shape) ? new GradientGroups(states) : undefined;
  }

  /** `states` are those of {@link createParameterStates} with the same shape. */
  static create(
    allocator: Allocator,
    parameters: LlamaParameters,
    states: readonly ParameterState[],
    shape: OptimizerShape,
    matmul: MatmulWorkspace,
  ): Optimizer {
    const scratch = createOptimizerScratch(allocator, parameters, states, shape);
    const restarts = shape.restarts
      ? new Restarts(adaptedOf(parameters), scratch.gradient, matmul)
      : undefined;
    return new Optimizer(shape, states, scratch, matmul, restarts);
  }

  /** The largest of the float32 memory that holds nothing until the first step. */
  get idle(): Tensor {
    return this.states.flatMap(({ accumulated }) => accumulated ?? [])
      .reduce(
        (largest, tensor) => tensor.byteLength > largest.byteLength ? tensor : largest,
        this.scratch.gradient,
      );
  }

  /** Begins a step. */
  beginStep(now: OptimizerStep): void {
    this.#now = now;
    this.refreshes.begin(now.step, now.rates);
  }

  /** Whether the micro-batch is the one that chooses the subspaces. */
  get isFirst(): boolean {
    return this.#microBatch === 0;
  }

  beginMicroBatch(index: number): void {
    this.#microBatch = index;
  }

  blockRows(parameter: Parameter): number | undefined {
    return this.#states.get(parameter)!.blockRows;
  }

  target(parameter: Parameter, rows?: Range): GradientTarget {
    const state = this.#states.get(parameter)!, { accumulated } = state;
    this.#enter(state);
    if (accumulated && !gathersLowRank(state)) {
      return { gradient: accumulated, accumulate: this.#microBatch > 0 };
    }
    return { gradient: this.#gradients.place(parameter, rows), accumulate: false };
  }

  takeFactors(pass: KernelPass, parameter: Parameter, factors: GradientFactors): boolean {
    const taken = this.accumulate(pass, parameter, factors);
    if (taken) this.#applyIfLast(pass, parameter);
    return taken;
  }

  /**
   * Adds a micro-batch's gradient to the step's, in the low-rank space; false if the parameter has
   * none or its gradient is wanted whole.
   */
  accumulate(pass: KernelPass, parameter: Parameter, factors: GradientFactors): boolean {
    const state = this.#states.get(parameter)!, { projector, route } = state;
    if (!projector || !route) return false;
    this.#enter(state);
    const factored = { ...factors, scratch: this.scratch.gradient, atOnce: route.atOnce };
    let formed: Tensor | undefined;
    this.#take(pass, state, (use) => {
      if (route[use] === "factors") return factored;
      if (!formed) {
        formed = this.#gradients.place(parameter);
        matmul(pass, this.matmul, { layout: "TN", a: factors.dy, b: factors.x, c: formed });
      }
      return formed;
    });
    return true;
  }

  #enter(state: ParameterState): void {
    // Outside of a step gradients are looked at, to choose ranks, and nothing is exchanged.
    const groups = this.#now?.groups;
    if (groups) this.#groups!.enter(state, groups);
  }

  consume(pass: KernelPass, parameter: Parameter, gradient: Tensor, rows?: Range): void {
    const state = this.#states.get(parameter)!;
    // Otherwise the backward pass already wrote or added it where it is accumulated.
    if (gathersLowRank(state)) this.#take(pass, state, () => gradient);
    else if (state.accumulatedInt8) this.#addInt8(pass, state, gradient, rows);
    this.#applyIfLast(pass, parameter, rows);
  }

  /** Adds a micro-batch's gradient, or these rows of it, to the step's in INT8. */
  #addInt8(pass: KernelPass, state: ParameterState, gradient: Tensor, rows?: Range): void {
    const { parameter: { index: tensor }, accumulatedInt8: sum, blockRows } = state;
    const { step: now, rates: { seed } } = this.#step;
    const step = (now - 1) * this.shape.gradientAccumulation + this.#microBatch;
    addToInt8(pass, {
      sum: sum!,
      gradient,
      rows: blockRows ? rows : undefined,
      isFirst: this.#microBatch === 0,
      key: { seed, step, tensor },
    });
  }

  /**
   * Refreshes the subspace, if due, and projects. In this order: products of the factors overwrite the
   * gradient, which only a refresh may need.
   */
  #take(
    pass: KernelPass,
    state: ParameterState,
    gradientFor: (use: "refresh" | "project") => Gradient,
  ): void {
    const projector = state.projector!, first = this.#microBatch === 0;
    // A step's micro-batches must share one subspace: the first of them chooses it.
    if (first && this.refreshes.isDue(projector)) {
      if (this.#step.refreshed) this.refreshes.countGiven(projector);
      else this.#refresh(pass, state, gradientFor("refresh"));
    }
    const gradient = gradientFor("project"), lowRank = this.#gradients.gathered(state);
    project(pass, this.matmul, projector, { gradient, lowRank, accumulate: !first });
  }

  #refresh(pass: KernelPass, { parameter, projector }: ParameterState, gradient: Gradient): void {
    const { step, rates: { seed } } = this.#step;
    pass.overwrites();
    refreshSubspace(pass, this.matmul, this.scratch.subspace!, projector!, {
      gradient,
      seed,
      step,
      tensor: parameter.index,
      similarity: {
        out: this.scratch.similarities,
        index: this.refreshes.projectors.indexOf(projector!),
      },
    });
    const { index, count } = this.refreshes.count(projector!);
    pass.passed("refresh", index, count);
  }

  #applyIfLast(pass: KernelPass, parameter: Parameter, rows?: Range): void {
    const last = this.#microBatch === this.shape.gradientAccumulation - 1;
    if (this.keeps) this.#now?.added?.(this.#states.get(parameter)!);
    else if (last) this.apply(pass, parameter, rows);
  }

  /** A layer of the backward pass is over. */
  leaveGroup(): void {
    // Outside of a step gradients are looked at, to choose ranks, and nothing is exchanged.
    const groups = this.#now?.groups;
    if (groups) this.#groups!.leave(groups);
  }

  /** All gradients of a micro-batch are there. */
  endMicroBatch(): void {
    // Outside of a step gradients are looked at, to choose ranks, and nothing is exchanged.
    const groups = this.#now?.groups;
    if (groups) this.#groups!.end(groups);
  }

  /** After the last micro-batch, where each gradient is clipped by itself: the norm of all. */
  finish(pass: KernelPass): void {
    if (this.clipping?.kind === "matrix") this.clipping.sumUp(pass, this.#stepNorm.norm);
  }

  /** Updates a parameter's weight, or these rows of it, from its accumulated gradient. */
  apply(pass: KernelPass, parameter: Parameter, rows?: Range): void {
    const state = this.#states.get(parameter)!, { blockRows } = state;
    const block = blockRows ? rows : undefined;
    const reduced = this.#gradients.summed(pass, state, block);
    const lr = parameterRate(parameter, this.#step), alpha = this.#step.rates.galoreScale;
    pass.overwrites();
    if (this.clipping && !this.clipping.keeps(state)) {
      this.clipping.clip(pass, state, { x: reduced, block, ...this.#stepNorm });
    }
    if (state.fira) this.#applyWhole(pass, state, reduced, { lr, alpha });
    else this.#applyRule(pass, state, { gradient: reduced, lr, block });
    this.#add(pass, state, reduced, block);
  }

  /** Adds to a weight, or these rows of it, what the rule has made of its gradient. */
  #add(pass: KernelPass, state: ParameterState, reduced: Tensor, block?: Range): void {
    const { parameter, projector } = state, alpha = this.#step.rates.galoreScale;
    if (!projector || state.fira) return this.#update(pass, parameter, reduced, block);
    for (const part of updateBlocks(state)) {
      // The gradient and its factors' products are no longer needed: their buffer takes the update.
      const update = this.#gradients.place(parameter, part);
      const io = { lowRank: reduced, update, alpha };
      projectBack(pass, this.matmul, projector, { ...io, rows: part });
      this.#update(pass, parameter, update, part);
    }
  }

  /** The same with Fira: projects the whole gradient of the step, and overwrites it with the update. */
  #applyWhole(
    pass: KernelPass,
    state: ParameterState,
    gradient: Tensor,
    { lr, alpha }: { readonly lr: number; readonly alpha: number },
  ): void {
    const projector = state.projector!, lowRank = this.#gradients.lowRank(state);
    if (this.refreshes.isDue(projector)) this.#refresh(pass, state, gradient);
    project(pass, this.matmul, projector, { gradient, lowRank });
    firaUpdate(pass, this.matmul, {
      projector,
      state: state.fira!,
      scratch: this.scratch.fira!,
      gradient,
      lowRank,
      lr,
      alpha,
      applyRule: () => this.#applyRule(pass, state, { gradient: lowRank, lr: 1 }),
    });
  }

  /** Overwrites the gradient that the rule sees, or a block of it, with the update. */
  #applyRule(
    pass: KernelPass,
    from: ParameterState,
    { gradient, lr, block }: {
      readonly gradient: Tensor;
      readonly lr: number;
      readonly block?: Range;
    },
  ): void {
    const { parameter, rule, state, stableSpam: means } = from;
    const { step, rates } = this.#step, { stableSpam: scratch } = this.scratch;
    if (means) stableSpam(pass, { gradient, state: means, scratch: scratch!, step });
    const since = this.#moments(from);
    if (since < step && since === 1) resetMoments(pass, state);
    rule.record(pass, {
      gradient,
      state: block ? rule.rows!(state, block.start, block.end) : state,
      workspace: this.scratch.rules.get(rule),
      matmul: this.matmul,
      step: since,
      lr,
      rates,
      tensor: parameter.index,
    });
  }

  /** Steps that the moments of a parameter hold, this one included. */
  #moments({ parameter: { kind } }: ParameterState): number {
    const { step, rates } = this.#step;
    if (kind === "adapter" && this.restarts) return this.restarts.since(this.#step);
    return kind === "projection" ? sinceReset(step, rates.momentumReset) : step;
  }

  /**
   * Where they are kept: applies every gradient whose state is here, once they are exchanged; or those
   * of a group.
   */
  applyAll(pass: KernelPass, group?: readonly ParameterState[]): void {
    const { clipping } = this;
    if (clipping?.kind === "step") {
      for (const [state, block] of this.#gradients.blocks()) {
        if (clipping.keeps(state)) continue;
        clipping.measure(pass, state, this.#gradients.summed(pass, state, block), block);
      }
      clipping.clipKept(pass, this.#stepNorm);
    }
    const blocks = this.#gradients.blocks(group);
    for (const [{ parameter, elsewhere, projector, fira }, block] of blocks) {
      if (!elsewhere) this.apply(pass, parameter, block);
      else if (fira && this.refreshes.isDue(projector!)) this.refreshes.countGiven(projector!);
    }
  }

  /** Once the others have given theirs, where processes share the states: adds their updates. */
  addGiven(pass: KernelPass, group: readonly ParameterState[] = this.states): void {
    pass.overwrites();
    for (const state of group) {
      if (!state.elsewhere || !givenOf(state).isUpdate) continue;
      this.#add(pass, state, this.#gradients.gathered(state));
    }
  }

  #update(
    pass: KernelPass,
    parameter: Parameter,
    update: Tensor,
    rows?: Range,
  ): void {
    const { weight: whole, index } = parameter, lr = parameterRate(parameter, this.#step);
    const { step, rates: { weightDecay, stochasticRound, seed } } = this.#step;
    const weight = rows ? rowRange(whole, rows.start, rows.end) : whole;
    // As in GaLore's runs, norms and embeddings decay like every other weight.
    const decay = 1 - lr * weightDecay;
    const rounding = stochasticRound && weight.dtype !== "float32"
      ? { seed, step, tensor: index }
      : undefined;
    applyUpdate(pass, { weight, update, decay, rounding });
  }

  /** Where the sum of squares of the step's gradients is, and the most that their norm may be. */
  get #stepNorm(): StepNorm {
    const { norm, rates: { maxGradNorm: most } } = this.#step;
    return { norm: norm!, most };
  }

  get #step(): OptimizerStep {
    if (!this.#now) throw new Error("Optimizer: beginStep must come before gradients");
    return this.#now;
  }
}
