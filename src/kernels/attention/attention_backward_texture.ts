/** The gradients of attention for software adapters; see attention_texture.ts. */
import keysCode from "../../../shaders/attention/attention_backward_keys_texture.wgsl" with {
  type: "text",
};
import queriesCode from "../../../shaders/attention/attention_backward_queries_texture.wgsl" with {
  type: "text",
};
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange, type Tensor } from "../../gpu/tensor.ts";
import type { AttentionBackward, AttentionWorkspace } from "./attention_operands.ts";
import {
  firstKeysOf,
  groupWalks,
  rowsPerWalk,
  sequencesPerRange,
  unitsPerDispatch,
} from "./attention_heads.ts";
import { rowBytesOf, sequencesPerStage, shiftOf, stage } from "./attention_stage.ts";
import { TEXTURE_CONSTANTS, textureWalk, THREAD_ROWS, THREADS } from "./attention_texture.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges } from "../ranges.ts";

const queryKernels = kernelByFormat("attention_backward_queries_texture", queriesCode, {
  constants: TEXTURE_CONSTANTS,
});
const keyKernels = kernelByFormat("attention_backward_keys_texture", keysCode, {
  constants: TEXTURE_CONSTANTS,
});

/** For each range of sequences, records staging, then dq, then dk and dv; delta must exist. */
export function attentionBackwardTexture(
  pass: KernelPass,
  workspace: AttentionWorkspace,
  io: AttentionBackward,
): void {
  const { q, k, v, dout, dq, dk, dv, delta, batch, length } = io;
  const { heads, keyValueHeads, headSize } = io;
  const operation = "attentionBackward";
  if (!workspace.dout) {
    throw new ShapeError(
      `${operation}: the workspace was made without room for gradients`,
      "createAttentionWorkspace needs backward: true",
    );
  }
  const textures = { q: workspace.q, k: workspace.k, v: workspace.v, dout: workspace.dout };
  const staged = Object.entries({ q, k, v, dout }).map(([name, source]) => {
    const target = textures[name as keyof typeof textures];
    return { source, target, length, capacity: length };
  });
  const constants = { HEAD_QUADS: headSize / 4 };
  const queryKernel = forFormat(queryKernels, operation, q, dq);
  const keyKernel = forFormat(keyKernels, operation, q, dk, dv);

  const blocks = Math.ceil(length / THREAD_ROWS);
  const group = heads / keyValueHeads;
  const pairs = THREADS * THREAD_ROWS * length * headSize;
  const walk = textureWalk(headSize), walked = rowsPerWalk(pass, walk);
  const held = sequencesPerStage(operation, staged);
  const operands = [{ tensor: q, rows: length }, { tensor: k, rows: length }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands, held))) {
    const sequences = end - start;
    for (const each of staged) stage(pass, each, start, end);
    const range = (tensor: Tensor) => rowRange(tensor, start * length, end * length);
    const firstKeys = firstKeysOf(io.firstKeys, range(q));
    const bound = { ...textures, delta, ...firstKeys.operands };
    const params = {
      blocks,
      heads,
      group,
      length,
      q_quads: q.stride / 4,
      k_quads: k.stride / 4,
      q_shift: shiftOf(rowBytesOf(q)),
      k_shift: shiftOf(rowBytesOf(k)),
      sequence: start,
      pair_stride: delta.stride / 2,
      ...firstKeys.params,
      scale: 1 / Math.sqrt(headSize),
    };
    const queryUnits = THREADS * unitsPerDispatch(pass, 3 * pairs);
    for (const { start: first_key, end: end_key } of ranges(length, walked)) {
      for (const { start: first, end: count } of ranges(sequences * heads * blocks, queryUnits)) {
        pass.dispatch({
          kernel: queryKernel,
          constants,
          operands: { ...bound, dq: range(dq) },
          params: { ...params, first_key, end_key, first, count },
          workgroups: [Math.ceil((count - first) / THREADS)],
        });
      }
    }
    const keyUnits = THREADS * unitsPerDispatch(pass, 4 * group * pairs);
    for (const queries of groupWalks(group, length, walk, walked)) {
      for (
        const { start: first, end: count } of ranges(sequences * keyValueHeads * blocks, keyUnits)
      ) {
        pass.dispatch({
          kernel: keyKernel,
          constants,
          operands: { ...bound, dk: range(dk), dv: range(dv) },
          params: { ...params, ...queries, first, count },
          workgroups: [Math.ceil((count - first) / THREADS)],
        });
      }
    }
  }
}
