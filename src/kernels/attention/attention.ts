/** Causal grouped-query attention: checks the operands, then runs one of three variants. */
import code from "../../../shaders/attention/attention.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, rowRange } from "../../gpu/tensor.ts";
import {
  expectFirstKeys,
  expectHeads,
  firstKeysOf,
  rowsPerWalk,
  sequencesPerRange,
  unitsPerDispatch,
} from "./attention_heads.ts";
import { attentionFew, FEW_QUERIES } from "./attention_few.ts";
import type { Attention } from "./attention_operands.ts";
import { attentionTexture } from "./attention_texture.ts";
import { LANES, tiledKernels, tiledWalk } from "./attention_tile.ts";
import { forFormat } from "../format.ts";
import { nearIn } from "../lanes.ts";
import { ranges } from "../ranges.ts";

export type { HeadShape } from "./attention_heads.ts";
export type { Attention, AttentionWorkspace } from "./attention_operands.ts";
export { type AttentionWorkspaceOptions, createAttentionWorkspace } from "./attention_stage.ts";

/** Threads that share a row exchange its statistics in workgroup memory, or near ones registers. */
const sharedFor = tiledKernels("forward", "attention", code, {
  variants: ["attention_near_shared"],
});
const subgroupFor = tiledKernels("forward", "attention", code, {
  suffix: ".subgroups",
  variants: ["attention_near_subgroup"],
  constants: { NEAR: [4, 8, LANES] },
});

/**
 * Causal grouped-query attention, scaled by 1/√D: query i sees the keys j ≤ i + keyLength − Tq. In
 * training Tq = keyLength = S; in decoding Tq counts the new tokens. Dao et al. 2022. First keys
 * implement a sliding window or separate packed examples; blocks of keys that they hide cost
 * nothing. On software adapters long sequences (thousands of keys) take several dispatches, and
 * `out` is rounded to its format after each. Throws {@link ShapeError} on operands that do not
 * match.
 */
export function attention(pass: KernelPass, io: Attention): void {
  const { q, k, v, out, logsumexp, batch, queryLength, keyLength, keyCapacity } = io;
  const { heads, keyValueHeads, headSize } = io;
  expectHeads("attention", io);
  if (!(1 <= queryLength && queryLength <= keyLength && keyLength <= keyCapacity)) {
    throw new ShapeError(
      `attention: lengths must be 1 ≤ queries ≤ keys ≤ capacity, got ` +
        `${queryLength}, ${keyLength}, ${keyCapacity}`,
    );
  }
  const rows = batch * queryLength;
  expectShape("attention", "q", q, [rows, heads * headSize]);
  expectShape("attention", "k", k, [batch * keyCapacity, keyValueHeads * headSize]);
  expectShape("attention", "v", v, k.shape);
  expectShape("attention", "out", out, q.shape);
  expectDType("attention", "logsumexp", logsumexp, "float32");
  expectShape("attention", "logsumexp", logsumexp, [rows, heads]);
  expectFirstKeys("attention", io.firstKeys, rows);

  if (io.workspace) attentionTexture(pass, io.workspace, io);
  else if (queryLength < FEW_QUERIES) attentionFew(pass, io);
  else attentionTiled(pass, io);
}

function attentionTiled(pass: KernelPass, io: Attention): void {
  const { q, k, v, out, logsumexp, batch, queryLength, keyLength, keyCapacity } = io;
  const { heads, keyValueHeads, headSize } = io;
  const near = Math.min(LANES, io.near ?? nearIn(pass.gpu));
  const { kernels, constants, blockRows } = (near > 1 ? subgroupFor : sharedFor)(headSize);
  const kernel = forFormat(kernels, "attention", q, k, v, out);
  const blocks = Math.ceil(queryLength / blockRows);
  const most = unitsPerDispatch(pass, 2 * blockRows * keyLength * headSize);
  const walked = rowsPerWalk(pass, tiledWalk(headSize), io.loopRounds);
  const operands = [{ tensor: q, rows: queryLength }, { tensor: k, rows: keyCapacity }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands))) {
    const queries = [start * queryLength, end * queryLength] as const;
    const keys = [start * keyCapacity, end * keyCapacity] as const;
    const bound = rowRange(q, ...queries), firstKeys = firstKeysOf(io.firstKeys, bound);
    for (const { start: first_key, end: end_key } of ranges(keyLength, walked)) {
      for (const { start: first, end: last } of ranges((end - start) * heads * blocks, most)) {
        pass.dispatch({
          kernel,
          constants: near > 1 ? { ...constants, NEAR: near } : constants,
          operands: {
            q: bound,
            k: rowRange(k, ...keys),
            v: rowRange(v, ...keys),
            out: rowRange(out, ...queries),
            logsumexp,
            ...firstKeys.operands,
          },
          params: {
            first,
            blocks,
            heads,
            group: heads / keyValueHeads,
            query_length: queryLength,
            key_length: keyLength,
            key_capacity: keyCapacity,
            first_key,
            end_key,
            q_quads: q.stride / 4,
            k_quads: k.stride / 4,
            sequence: start,
            lse_stride: logsumexp.stride,
            ...firstKeys.params,
            scale: 1 / Math.sqrt(headSize),
          },
          workgroups: [last - first],
        });
      }
    }
  }
}
