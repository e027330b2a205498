/** Stages operands of attention in a float32 texture, which a software adapter reads fastest. */
import code from "../../../shaders/attention/attention_stage.wgsl" with { type: "text" };
import type { TextureTensor } from "../../gpu/allocator.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf } from "../../numbers/layout.ts";
import { rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";

const WORKGROUP_SIZE = 64;

const kernels = kernelByFormat("attention_stage", code, { constants: { WORKGROUP_SIZE } });

export interface AttentionStage {
  /** (B·capacity, C) float32 or bfloat16, C a multiple of 4. */
  readonly source: Tensor;
  /** (sequences · length, C / 4) texels of four elements, overwritten. */
  readonly target: TextureTensor;
  /** The first sequence, and their number. */
  readonly start: number;
  readonly sequences: number;
  /** Rows staged per sequence, stored contiguously, and rows per sequence in the source. */
  readonly length: number;
  readonly capacity: number;
}

/** target[s · length + t] = source[(start + s) · capacity + t], in float32. */
export function attentionStage(
  pass: KernelPass,
  { source, target, start, sequences, length, capacity }: AttentionStage,
): void {
  const width = columnsOf(source.shape) / 4;
  const count = sequences * length * width;
  pass.dispatch({
    kernel: forFormat(kernels, "attention", source),
    operands: {
      source: rowRange(source, start * capacity, (start + sequences) * capacity),
      target_texels: target,
    },
    params: { count, width, length, capacity, quads: source.stride / 4 },
    // A texture has at most 8,192 rows of 512 texels, which just fits one grid dimension.
    workgroups: [Math.ceil(count / WORKGROUP_SIZE)],
  });
}
