/**
 * ReLoRA (Lialin et al. 2023, arXiv 2307.05695, algorithm 1): every N steps the adapters are merged
 * into their matrices and begin anew, so that their sum is of higher rank than each,
 *
 *   W ← requantise(W + s·B·A),   A ~ N(0, 1/(3·in)),   B = 0,   the moments of both 0
 *
 * A has the variance of the uniform numbers that adapters begin with, and is drawn from counters by the
 * step. Where the paper prunes most of the moments, all of them begin anew here, and with them Adam's
 * corrections of their bias. Rates after a restart: schedules.ts.
 */
import { rowRange, rowStep, type Tensor, viewAs } from "../gpu/tensor.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { matmul, type MatmulShape, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { randomNormal } from "../kernels/misc/random_normal.ts";
import { applyUpdate } from "../kernels/optim/apply_update.ts";
import { lengthOf, type Range, ranges } from "../kernels/ranges.ts";
import { saltedSeed } from "../kernels/salts.ts";
import { type Linear, linearsOf, type LlamaParameters } from "../model/parameters.ts";
import { padded } from "../numbers/layout.ts";
import type { OptimizerShape } from "./optimizer_shape.ts";
import type { OptimizerRates } from "./rates.ts";

/** A projection with an adapter. */
export type Adapted = Linear & Required<Pick<Linear, "adapter">>;

/** The projections whose adapters are merged. */
export function adaptedOf({ layers }: LlamaParameters): Adapted[] {
  return layers.flatMap(linearsOf).filter((linear): linear is Adapted => !!linear.adapter);
}

/** A step, from 1. */
interface At {
  readonly step: number;
  readonly rates: OptimizerRates;
}

/** Bytes of an update, of which as many rows at a time are merged. */
const BLOCK_BYTES = 16 << 20;

function mergedRanges({ weight: { shape: [rows, columns], weight } }: Adapted): Range[] {
  const step = rowStep(weight);
  const most = Math.max(1, Math.floor(BLOCK_BYTES / (4 * padded(columns)) / step)) * step;
  return ranges(rows, most);
}

/** Elements of the float32 scratch memory that merging needs. */
export function mergedElements(linear: Adapted): number {
  return lengthOf(mergedRanges(linear)[0]) * padded(linear.weight.shape[1]);
}

/** The matrix products of restarts, if there are any. */
export function restartMatmuls(
  parameters: LlamaParameters,
  { restarts }: Pick<OptimizerShape, "restarts">,
): MatmulShape[] {
  if (!restarts) return [];
  return adaptedOf(parameters).flatMap((linear): MatmulShape[] => {
    const { weight: { shape: [, n] }, adapter: { a: { shape: [k] } } } = linear;
    return mergedRanges(linear).map((rows) => ({ layout: "NN", m: lengthOf(rows), n, k }));
  });
}

/** A new adapter, which changes nothing yet: A ~ N(0, 1/(3·in)), B = 0. */
export function drawAdapter(
  pass: KernelPass,
  { a, b }: Adapted["adapter"],
  from: { readonly seed: number; readonly step?: number },
): void {
  const std = 1 / Math.sqrt(3 * a.shape[1]);
  randomNormal(pass, { target: a.weight, std, ...from, tensor: a.index });
  pass.clear(b.weight);
}

/** The restarts of an optimizer's adapters. */
export class Restarts {
  /** `scratch` is float32, of {@link mergedElements} at least. */
  constructor(
    private readonly adapted: readonly Adapted[],
    private readonly scratch: Tensor,
    private readonly matmul: MatmulWorkspace,
  ) {}

  /** Whether a step begins with one. */
  isDue({ step, rates: { jaggedRestartSteps: every = 0 } }: At): boolean {
    return every > 0 && step > 1 && (step - 1) % every === 0;
  }

  /** Steps that the adapters' moments hold at a step, this one included: after a restart they begin anew. */
  since({ step, rates: { jaggedRestartSteps: every = 0 } }: At): number {
    return every > 0 ? (step - 1) % every + 1 : step;
  }

  /** Merges every adapter, which begins anew. */
  record(pass: KernelPass, at: At): void {
    pass.overwrites();
    for (const linear of this.adapted) {
      if (!linear.weight.elsewhere) this.#merge(pass, linear, at);
      const seed = saltedSeed(at.rates.seed, "restarts");
      drawAdapter(pass, linear.adapter, { seed, step: at.step });
    }
  }

  #merge(pass: KernelPass, linear: Adapted, { step, rates: { seed, stochasticRound } }: At): void {
    const { weight: { name, weight, shape, index }, adapter: { a, b, scale: alpha } } = linear;
    const rounding = stochasticRound && weight.dtype !== "float32"
      ? { seed, step, tensor: index }
      : undefined;
    for (const rows of mergedRanges(linear)) {
      const update = viewAs(this.scratch, `${name}.merged`, [lengthOf(rows), shape[1]]);
      const product = { a: b.weight, b: a.weight, c: update, alpha, rows };
      matmul(pass, this.matmul, { layout: "NN", ...product });
      const merged = rowRange(weight, rows.start, rows.end);
      applyUpdate(pass, { weight: merged, update, decay: 1, rounding });
    }
  }
}
