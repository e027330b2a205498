/** Initialises weights for pre-training, on the device. */
import type { Gpu } from "../gpu/gpu.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, rowStep, type Tensor, viewAs } from "../gpu/tensor.ts";
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
  parameters: LlamaParameters,
  { seed, scratch }: { seed: number; scratch: Tensor },
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

/** Rows of an INT8 matrix that float32 scratch memory holds: whole groups. */
function rowsIn(scratch: Tensor, weight: Tensor): number {
  const rows = Math.floor(scratch.byteLength / (4 * weight.stride)), step = rowStep(weight);
  return Math.max(step, rows - rows % step);
}
