import code from "../../../shaders/misc/sum.wgsl" with { type: "text" };
import partsCode from "../../../shaders/misc/sum_parts.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { expectDType, type Tensor } from "../../gpu/tensor.ts";
import { flatRanges, flatView } from "../flat.ts";
import { HELD, kernelByLanes, sharedBy } from "../lanes.ts";
import { shader } from "../shader.ts";
import { strategyFor, valuesOf } from "../strategy.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("sum", code, { constants: { WORKGROUP_SIZE } });
const partsKernels = kernelByLanes("sum_parts", partsCode, {
  held: HELD.loop,
  constants: { STREAMS: valuesOf("sumStreams") },
});

/** Most parts that one thread each sums up, or one workgroup. */
const MOST_PARTS = 1024;

const scratch = new WeakMap<Gpu, Tensor>();

/** Operands of {@link sum}. */
export interface Sum {
  /** float32 of any shape, its padding zero. */
  readonly x: Tensor;
  /** float32. */
  readonly out: Tensor;
  /** Element of `out`, a vector, that receives the sum. */
  readonly index: number;
  /** Factor of the sum; 1 by default. */
  readonly scale?: number;
  /** Sums squares. */
  readonly squared?: boolean;
  /** Adds to the existing values. */
  readonly accumulate?: boolean;
}

/** out[index] (+)= scale · Σ x (or Σ x²), in a fixed order. Throws {@link ShapeError} on a bad operand. */
export function sum(
  pass: KernelPass,
  { x, out, index, scale = 1, squared = false, accumulate = false }: Sum,
): void {
  expectDType("sum", "x", x, "float32");
  expectDType("sum", "out", out, "float32");
  if (out.shape.length !== 1 || !(index >= 0 && index < elementsOf(out))) {
    throw new ShapeError(
      `sum: out must be a vector with an element ${index}, got (${out.shape.join(", ")})`,
    );
  }
  const { gpu } = pass;
  const { sumLanes: lanes, sumThreads, sumStreams } = strategyFor(gpu.capabilities);
  const by = sharedBy(pass, partsKernels, lanes);
  const partsPerGroup = sumStreams * by.rowsPerGroup;
  let parts = scratch.get(gpu);
  if (!parts) scratch.set(gpu, parts = gpu.rawTensor("sum.parts", MOST_PARTS));
  for (const range of flatRanges(pass, x)) {
    const quads = (range.end - range.start) / 4;
    const most = Math.min(sumThreads / lanes, MOST_PARTS);
    const groups = Math.max(1, Math.floor(most / partsPerGroup));
    pass.dispatch({
      kernel: by.kernel,
      constants: { ...by.constants, STREAMS: sumStreams },
      operands: { x: flatView(x, range), parts },
      params: { quads, squared: squared ? 1 : 0 },
      workgroups: [groups],
    });
    pass.dispatch({
      kernel,
      operands: { parts, out },
      params: {
        parts: groups * partsPerGroup,
        index,
        scale,
        accumulate: accumulate || range.start > 0 ? 1 : 0,
      },
      workgroups: [1],
    });
  }
}
