/** Causal grouped-query attention: checks the operands, then runs one of three variants. */
import code from "../../../shaders/attention/attention.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape } from "../../gpu/tensor.ts";
import { expectFirstKeys, expectHeads, rowsPerWalk } from "./attention_heads.ts";
import { attentionFew, FEW_QUERIES } from "./attention_few.ts";
import type { Attention } from "./attention_operands.ts";
import { attentionParts } from "./attention_parts.ts";
import { attentionTexture } from "./attention_texture.ts";
import { LANES, tiledKernels, tiledWalk } from "./attention_tile.ts";
import { forFormat } from "../format.ts";
import { nearIn } from "../lanes.ts";

export type { HeadShape } from "./attention_heads.ts";
export type { Attention, AttentionWorkspace } from "./attention_operands.ts";
export { type AttentionWorkspaceOptions, createAttentionWorkspace } from "./attention_workspace.ts";

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
  const { q, k, v, out, queryLength, heads, headSize } = io;
  const near = Math.min(LANES, nearIn(pass.gpu));
  const { kernels, constants: tile, blockRows: rows } = (near > 1 ? subgroupFor : sharedFor)(
    headSize,
  );
  const kernel = forFormat(kernels, "attention", q, k, v, out);
  const constants = near > 1 ? { ...tile, NEAR: near } : tile;
  const blocks = Math.ceil(queryLength / rows);
  const walked = rowsPerWalk(pass, tiledWalk(headSize));
  for (const part of attentionParts(pass, io, { units: heads * blocks, rows, walked })) {
    pass.dispatch({ ...part, kernel, constants, params: { ...part.params, blocks, heads } });
  }
}
