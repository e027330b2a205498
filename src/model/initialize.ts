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
import type { LlamaParameters } from "./parameters.ts";

/**
 * Matrices from N(0, initializerRange²), norms at one, biases at zero, as transformers does. An
 * INT8 matrix is drawn into `scratch` (float32), as many rows at a time as fit, and quantised from
 * there.
 */
export function initialize(
  gpu: Gpu,
  pass: KernelPass,
  config: LlamaConfig,
  parameters: Pick<LlamaParameters, "all">,
  { seed, scratch }: { readonly seed: number; readonly scratch: Tensor },
): void {
  const std = config.initializerRange;
  for (const { kind, name, shape, weight, index: tensor } of parameters.all) {
    if (kind === "norm") {
      const one = 1 - config.normOffset;
      gpu.write(weight, packTensor(weight, new Float32Array(shape[0]).fill(one)));
    } else if (kind === "bias") {
      gpu.write(weight, packTensor(weight, new Float32Array(shape[0])));
    } else if (weight.dtype === "int8") {
      for (const { start, end } of ranges(shape[0], rowsIn(scratch, weight))) {
        const source = viewAs(scratch, name, [end - start, shape[1]]);
        randomNormal(pass, { target: source, firstRow: start, std, seed, tensor });
        groupQuantize(pass, { source, target: rowRange(weight, start, end) });
      }
    } else {
      randomNormal(pass, { target: weight, std, seed, tensor });
    }
  }
}

/** Elements that are drawn before the device is waited for: a second on a processor. */
const DRAWN_AT_ONCE = 1 << 25;

/** The same, until the device has done it; `onProgress` is called with the share that it has done. */
export async function initializeAll(
  gpu: Gpu,
  config: LlamaConfig,
  parameters: LlamaParameters,
  { onProgress, ...from }: {
    readonly seed: number;
    readonly scratch: Tensor;
    readonly onProgress?: (share: number) => void;
  },
): Promise<void> {
  const pass = new KernelPass(gpu), { all } = parameters;
  const total = all.reduce((sum, parameter) => sum + elementsOf(parameter), 0);
  let drawn = 0, waited = 0;
  for (const parameter of all) {
    initialize(gpu, pass, config, { all: [parameter] }, from);
    drawn += elementsOf(parameter);
    if (drawn - waited < DRAWN_AT_ONCE) continue;
    pass.submit();
    await gpu.settled();
    waited = drawn;
    onProgress?.(drawn / total);
  }
  pass.submit();
}

/** Rows of an INT8 matrix that float32 scratch memory holds: whole groups. */
function rowsIn(scratch: Tensor, weight: Tensor): number {
  const rows = Math.floor(scratch.byteLength / (4 * weight.stride)), step = rowStep(weight);
  return Math.max(step, rows - rows % step);
}
