/** The gradients of attention for software adapters; see attention_texture.ts. */
import productCode from "../../../shaders/attention/attention_backward_product_texture.wgsl" with {
  type: "text",
};
import scoresCode from "../../../shaders/attention/attention_backward_scores_texture.wgsl" with {
  type: "text",
};
import { ShapeError } from "../../numbers/shape_error.ts";
import type { Dispatch, KernelPass } from "../../gpu/pass.ts";
import { rowRange, type Tensor } from "../../gpu/tensor.ts";
import type { AttentionBackward, AttentionWorkspace } from "./attention_operands.ts";
import { firstKeysOf, sequencesPerRange, unitsPerDispatch } from "./attention_heads.ts";
import { rowBytesOf, sequencesPerStage, shiftOf, stage } from "./attention_stage.ts";
import { blocksOf, SCORES_BLOCK, slices } from "./attention_slices.ts";
import { TEXTURE_CONSTANTS, THREADS } from "./attention_texture.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges } from "../ranges.ts";

const scoreKernels = kernelByFormat("attention_backward_scores_texture", scoresCode, {
  constants: { ...TEXTURE_CONSTANTS, GRADIENT: [0, 1] },
});
const productKernels = kernelByFormat("attention_backward_product_texture", productCode, {
  constants: { ...TEXTURE_CONSTANTS, OF_KEYS: [0, 1] },
});

/** Rows of a thread of a product, as in the WGSL. */
const THREAD_ROWS = 4;
/** Keys of a thread of scores, as in the WGSL: long sequences then have work for all cores. */
const THREAD_KEYS = 1024;

/** Dispatches of a kernel over some units. */
interface Work extends Pick<Required<Dispatch>, "kernel" | "constants" | "operands" | "params"> {
  readonly units: number;
  /** Most pairs of a query and a key of each. */
  readonly pairs: number;
}

/**
 * For each range of sequences, records staging; then, for as many heads and queries as the workspace
 * holds scores of, p with dv, and ds with dk and dq. Delta must exist.
 */
export function attentionBackwardTexture(
  pass: KernelPass,
  workspace: AttentionWorkspace,
  io: AttentionBackward,
): void {
  const { q, k, v, dout, dq, dk, dv, delta, batch, length } = io;
  const { heads, keyValueHeads, headSize } = io;
  const operation = "attentionBackward";
  if (!workspace.backward) {
    throw new ShapeError(
      `${operation}: the workspace was made without room for gradients`,
      "createAttentionWorkspace needs backward: true",
    );
  }
  const kept = workspace.backward, { p, ds } = kept;
  const textures = { q: workspace.q, k: workspace.k, v: workspace.v, dout: kept.dout };
  const staged = Object.entries({ q, k, v, dout }).map(([name, source]) => {
    const target = textures[name as keyof typeof textures];
    return { source, target, length, capacity: length };
  });
  const scoreKernel = forFormat(scoreKernels, operation, q, k, v, dout);
  const productKernel = forFormat(productKernels, operation, q, dq, dk, dv);
  const q_quads = q.stride / 4, q_shift = shiftOf(rowBytesOf(q));
  const k_quads = k.stride / 4, k_shift = shiftOf(rowBytesOf(k));
  const firstKeys = firstKeysOf(io.firstKeys, delta);

  const held = sequencesPerStage(operation, staged);
  const operands = [{ tensor: q, rows: length }, { tensor: k, rows: length }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands, held))) {
    for (const each of staged) stage(pass, each, start, end);
    for (const { accumulate, last, ...slice } of slices(kept, io, end - start)) {
      const shape = { heads, group: heads / keyValueHeads, length, sequence: start };
      const record = ({ kernel, units, pairs, constants, operands, params }: Work) => {
        const atOnce = THREADS * unitsPerDispatch(pass, THREADS * pairs * headSize);
        for (const { start: first, end: count } of ranges(units, atOnce)) {
          pass.dispatch({
            kernel,
            constants: { HEAD_QUADS: headSize / 4, ...constants },
            operands: { ...operands, ...firstKeys.operands },
            params: { ...shape, ...slice, ...firstKeys.params, ...params, first, count },
            workgroups: [Math.ceil((count - first) / THREADS)],
          });
        }
      };
      const { key_heads, members } = slice, queries = slice.end_query - slice.first_query;
      const scale = 1 / Math.sqrt(headSize), pair_stride = delta.stride / 2;
      const scores = (GRADIENT: 0 | 1, operands: Work["operands"]) =>
        record({
          kernel: scoreKernel,
          units: key_heads * members * blocksOf(queries) * Math.ceil(length / THREAD_KEYS),
          pairs: SCORES_BLOCK * Math.min(length, THREAD_KEYS),
          constants: { GRADIENT },
          operands: { ...operands, delta },
          params: { q_quads, k_quads, q_shift, k_shift, pair_stride, scale },
        });
      const product = (
        OF_KEYS: 0 | 1,
        { gradient, ...operands }: Work["operands"] & { readonly gradient: Tensor },
      ) =>
        record({
          kernel: productKernel,
          units: OF_KEYS
            ? key_heads * Math.ceil(length / THREAD_ROWS)
            : key_heads * members * Math.ceil(queries / THREAD_ROWS),
          pairs: THREAD_ROWS * (OF_KEYS ? members * queries : length),
          constants: { OF_KEYS },
          operands: { ...operands, gradient: rowRange(gradient, start * length, end * length) },
          params: OF_KEYS
            ? { factor_quads: q_quads, factor_shift: q_shift, row_quads: k_quads, accumulate, last }
            : {
              factor_quads: k_quads,
              factor_shift: k_shift,
              row_quads: q_quads,
              accumulate: 0,
              last: 1,
            },
        });
      scores(0, { left: textures.q, right: textures.k, p: ds, /* never read */ scores: p });
      product(1, { gradient: dv, sums: kept.dv, factor: textures.dout, scores: p });
      scores(1, { left: textures.dout, right: textures.v, p, scores: ds });
      product(1, { gradient: dk, sums: kept.dk, factor: textures.q, scores: ds });
      product(0, { gradient: dq, sums: kept.dk, factor: textures.k, scores: ds });
    }
  }
}
