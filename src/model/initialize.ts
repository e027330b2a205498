/** Initialises weights for pre-training, on the device. */
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { rowRange, rowStep, type Tensor, viewAs } from "../gpu/tensor.ts";
import { elementsOf } from "../numbers/layout.ts";
import { packTensor } from "../numbers/plain.ts";
import { groupQuantize } from "../kernels/quantise/group_quantize.ts";
import { randomNormal } from "../kernels/misc/random_normal.ts";
import { ranges } from "../kernels/ranges.ts";
import type { LlamaConfig } from "./config.ts";
import type { LlamaParameters, Parameter } from "./parameters.ts";

/** What values are drawn from. */
interface Drawing {
  readonly seed: number;
  /** float32: what an INT8 matrix is drawn into, as many rows at a time as fit, and quantised from. */
  readonly scratch: Tensor;
}

/**
 * Matrices from N(0, initializerRange²), norms at one, biases at zero, as transformers does; adapters
 * are left to others.
 */
export function initialize(
  gpu: Gpu,
  pass: KernelPass,
  config: LlamaConfig,
  parameters: Pick<LlamaParameters, "all">,
  from: Drawing,
): void {
  for (const parameter of withoutAdapters(parameters)) {
    for (const _ of drawn(gpu, pass, config, parameter, from));
  }
}

/** Elements that are drawn before the device is waited for: a second on a processor. */
const DRAWN_AT_ONCE = 1 << 25;

/**
 * The same, until the device has done it; `onProgress` is called with the share that it has done, at
 * last with 1.
 */
export async function initializeAll(
  gpu: Gpu,
  config: LlamaConfig,
  parameters: LlamaParameters,
  { onProgress, ...from }: Drawing & { readonly onProgress?: (share: number) => void },
): Promise<void> {
  const pass = new KernelPass(gpu), all = withoutAdapters(parameters);
  const total = all.reduce((sum, parameter) => sum + elementsOf(parameter), 0);
  let done = 0, recorded = 0;
  const finish = async () => {
    pass.submit();
    await gpu.settled();
    done += recorded;
    recorded = 0;
    onProgress?.(done / total);
  };
  for (const parameter of all) {
    for (const elements of drawn(gpu, pass, config, parameter, from)) {
      recorded += elements;
      if (recorded >= DRAWN_AT_ONCE) await finish();
    }
  }
  if (recorded) await finish();
}

/** All that are drawn here. */
function withoutAdapters({ all }: Pick<LlamaParameters, "all">): Parameter[] {
  return all.filter(({ kind, elsewhere }) => kind !== "adapter" && !elsewhere);
}

/** Records a parameter in blocks of rows that are drawn at once, and yields the elements of each. */
function* drawn(
  gpu: Gpu,
  pass: KernelPass,
  config: LlamaConfig,
  { kind, name, shape, weight, index: tensor }: Parameter,
  { seed, scratch }: Drawing,
): Generator<number> {
  if (kind === "norm" || kind === "bias") {
    const value = kind === "norm" ? 1 - config.normOffset : 0;
    gpu.write(weight, packTensor(weight, new Float32Array(shape[0]).fill(value)));
    return yield shape[0];
  }
  const isQuantised = weight.dtype === "int8", std = config.initializerRange;
  const room = isQuantised ? scratch.byteLength / 4 : DRAWN_AT_ONCE;
  for (const { start, end } of ranges(shape[0], rowsWithin(room, weight))) {
    const target = rowRange(weight, start, end);
    const source = isQuantised ? viewAs(scratch, name, target.shape) : target;
    randomNormal(pass, { target: source, firstRow: start, std, seed, tensor });
    if (isQuantised) groupQuantize(pass, { source, target });
    yield elementsOf(target);
  }
}

/** Rows of a matrix, whole groups, of at most so many elements. */
function rowsWithin(elements: number, weight: Tensor): number {
  const rows = Math.floor(elements / weight.stride), step = rowStep(weight);
  return Math.max(step, rows - rows % step);
}
