/**
 * `rank: "auto"`: chooses the rank of each projection matrix from the gradients of the first
 * batches, before the run. The model is loaded as for the run, computes those gradients without
 * changing a weight, and is freed again; the batches come from a separate stream, so the run sees
 * them again.
 *
 * Each matrix is decided by the mean over batches of its energy curve (optim/energy.ts): the share
 * of a typical gradient that a rank keeps. Summing the gradients would need all of them at once;
 * the maximum over the batches' ranks would be set by the noisiest and grow with their number. A
 * run's subspace, too, comes from the gradient of one batch.
 */
import { type Allocator, PlanAllocator } from "../gpu/allocator.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { ranges } from "../kernels/ranges.ts";
import type { GradientSink } from "../model/gradients.ts";
import { uploadRope } from "../model/llama.ts";
import type { Parameter } from "../model/parameters.ts";
import type { ProjectionShape } from "../optim/optimizer_shape.ts";
import {
  adviseRank,
  createSpectrumWorkspace,
  readEnergyCurve,
  recordSpectrum,
  type SpectrumWorkspace,
} from "../optim/energy.ts";
import { option, phrase } from "../options/phrase.ts";
import { formatBytes } from "../text.ts";
import { buildTraining, type Training, type TrainingShape } from "./build.ts";
import type { OnPreparation, RankAdviceEvent } from "./events.ts";
import { planMemory } from "./plan.ts";
import type { Recipe } from "./recipe.ts";

/** A single gradient is mostly batch noise; more than a few cost time and change little. */
const BATCHES = 4;
/**
 * Directions examined, unless the default rank is larger: if they do not reach the share, the
 * advice is at least the default. The eigenvalues of 512 take the host 0.2 s per matrix and batch,
 * those of 1024 (the default of a 7B model) 1.5 s.
 */
const LEAST_DIRECTIONS = 512;

export interface RankAdvice {
  /** Reports the chosen ranks. */
  readonly event: RankAdviceEvent;
  /** The recipe with these ranks. */
  readonly recipe: Recipe;
  /** Peak GPU memory of the search. */
  readonly plannedPeakBytes: number;
}

export interface AdviceOptions {
  /** The share of the energy that a rank must keep. */
  readonly share: number;
  /** Bytes of GPU memory that the search may use. */
  readonly limit: number;
  /** Batches to examine; 4 by default. */
  readonly batches?: number;
  /** Directions to examine; by default 512, or the default rank if that is larger. */
  readonly directions?: number;
  readonly onPreparation?: OnPreparation;
}

/** Changes the low-rank space of a shape, if it has one. */
function withProjection(shape: TrainingShape, change: Partial<ProjectionShape>): TrainingShape {
  const { optimizer } = shape, { projection } = optimizer;
  if (!projection) return shape;
  return { ...shape, optimizer: { ...optimizer, projection: { ...projection, ...change } } };
}

/** A copy of the recipe with these ranks, by parameter name. */
export function withRanks(recipe: Recipe, ranks: Readonly<Record<string, number>>): Recipe {
  return { ...recipe, shape: withProjection(recipe.shape, { ranks }) };
}

/**
 * Chooses ranks from the first batches of a run with `rank: "auto"`. Throws {@link
 * OutOfMemoryError} if this alone needs more than `limit` bytes. Everything it allocates is
 * released at the end.
 */
export async function adviseRanks(
  gpu: Gpu,
  recipe: Recipe,
  { share, limit, batches = BATCHES, directions = defaultDirections(recipe), onPreparation }:
    AdviceOptions,
): Promise<RankAdvice> {
  const { config, shape, objective } = recipe, { capabilities } = gpu;
  const build = (allocator: Allocator, slots: number) =>
    buildProbe(allocator, recipe, capabilities, { slots, directions });
  const run = planMemory(config, shape, capabilities, objective).plannedPeakBytes;
  const { slots, plannedPeakBytes } = planProbe(build, { run, limit });
  const scope = new Scope(gpu);
  try {
    const probe = build(scope, slots);
    await gpu.check();
    uploadRope(gpu, probe.training.model);
    await recipe.start(gpu, probe.training, onPreparation);
    const curves = await firstCurves(gpu, recipe, probe, { batches, onPreparation });
    const matrices = probe.matrices.map(({ name, shape }) => ({
      name,
      shape,
      ...adviseRank(sidesOf(shape), curves.get(name)!, share),
    }));
    const ranks = Object.fromEntries(matrices.map(({ name, rank }) => [name, rank]));
    const stateBytes = (shape: TrainingShape) => {
      const { optimizer_state, projections } =
        planMemory(config, shape, capabilities, objective).byPurpose;
      return optimizer_state + projections;
    };
    const advised = withRanks(recipe, ranks);
    const bytes = { advised: stateBytes(advised.shape), default_rank: stateBytes(shape) };
    const event = { type: "rank_advice", share, matrices, bytes } as const;
    return { event, recipe: advised, plannedPeakBytes };
  } finally {
    scope.release();
  }
}

function defaultDirections({ shape }: Recipe): number {
  return Math.max(LEAST_DIRECTIONS, shape.optimizer.projection!.rank);
}

/** A model ready for training, and the workspace for the spectra of its gradients. */
interface Probe {
  readonly training: Training;
  readonly matrices: readonly Parameter[];
  readonly spectrum: SpectrumWorkspace;
}

/** With room for the spectra of `slots` matrices per pass. */
function buildProbe(
  allocator: Allocator,
  { config, shape, objective }: Recipe,
  capabilities: Capabilities,
  { slots, directions }: { readonly slots: number; readonly directions: number },
): Probe {
  // As for the run, but with the smallest optimizer: no step is taken.
  const least = withProjection(shape, { rank: 1, ranks: undefined });
  const alone = {
    gradientAccumulation: 1,
    exchange: false,
    shares: undefined,
    wholeGradients: true,
  };
  const optimizer = { ...least.optimizer, ...alone };
  const training = buildTraining(
    allocator,
    config,
    { ...least, optimizer },
    capabilities,
    objective,
  );
  const matrices = training.optimizer.states.flatMap(({ parameter, projector }) =>
    projector ? [parameter] : []
  );
  const spectrum = createSpectrumWorkspace(allocator, {
    shapes: matrices.map(({ shape }) => sidesOf(shape)),
    limit: directions,
    slots,
  });
  return { training, matrices, spectrum };
}

/**
 * How many spectra may be held before reading them. The fewer, the more often each batch passes
 * through the model; so as many as keep the peak below that of the run at the default rank, and at
 * least one.
 */
function planProbe(
  build: (allocator: Allocator, slots: number) => Probe,
  { run, limit }: { readonly run: number; readonly limit: number },
) {
  const plan = (slots: number) => {
    const allocator = new PlanAllocator();
    const { matrices } = build(allocator, slots);
    return { bytes: allocator.account.peak, matrices: matrices.length };
  };
  const least = plan(1), slot = plan(2).bytes - least.bytes;
  if (least.bytes > limit) {
    throw new OutOfMemoryError(
      phrase`${option("rank", "auto")} needs ${formatBytes(least.bytes, 4)} of GPU memory to measure
        the first gradients, ${formatBytes(limit, 4)} available`,
      phrase`set ${option("rank")} to a number, or use a smaller ${option("batchSize")} or
        ${option("activationCheckpointing", true)}`,
    );
  }
  const room = Math.min(run, limit) - least.bytes;
  const slots = Math.min(Math.max(1, 1 + Math.floor(room / slot)), least.matrices);
  return { slots, plannedPeakBytes: plan(slots).bytes };
}

/** The energy curves of each matrix, one per batch; none for a zero gradient. */
async function firstCurves(
  gpu: Gpu,
  recipe: Recipe,
  { training, matrices, spectrum }: Probe,
  { batches, onPreparation }: Pick<AdviceOptions, "onPreparation"> & { batches: number },
): Promise<Map<string, Float64Array[]>> {
  const { optimizer, losses, model, objective, submit } = training;
  const curves = new Map<string, Float64Array[]>(matrices.map(({ name }) => [name, []]));
  const data = (await recipe.openData()).batches;
  try {
    for (let step = 0; step < batches; step++) {
      const batch = (await data.next())!; // training data repeats endlessly
      const gradScale = 1 / (objective.divisor?.(batch) || batch.tokens || 1);
      for (const { start, end } of ranges(matrices.length, spectrum.slots.length)) {
        const group = matrices.slice(start, end);
        const sink: GradientSink = {
          blockRows: (parameter) => optimizer.blockRows(parameter),
          target: (parameter, rows) => optimizer.target(parameter, rows),
          consume(pass, parameter, gradient) {
            const slot = group.indexOf(parameter);
            if (slot < 0) return;
            const key = { seed: recipe.rates.seed, step, tensor: parameter.index };
            recordSpectrum(pass, model.matmul, spectrum, { gradient, slot, key });
          },
        };
        const pass = new KernelPass(gpu), loss = { out: losses, index: 0, accumulate: false };
        submit(pass, training, batch, { sink, loss, gradScale });
        for (const [slot, { name, shape }] of group.entries()) {
          const place = { name, shape: sidesOf(shape), slot };
          const curve = await readEnergyCurve(gpu, spectrum, place);
          if (curve) curves.get(name)!.push(curve);
          const share = (step * matrices.length + start + slot + 1) / (batches * matrices.length);
          onPreparation?.({ type: "preparation", what: "looking at first gradients", share });
        }
      }
    }
  } finally {
    await data.close();
  }
  return curves;
}

function sidesOf([m, n]: readonly number[]): [m: number, n: number] {
  return [m, n];
}
