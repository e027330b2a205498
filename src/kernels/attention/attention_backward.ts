/** The gradients of attention: delta, then dq, then dk and dv, in one of two variants. */
import keysCode from "../../../shaders/attention/attention_backward_keys.wgsl" with {
  type: "text",
};
import queriesCode from "../../../shaders/attention/attention_backward_queries.wgsl" with {
  type: "text",
};
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { attentionBackwardTexture } from "./attention_backward_texture.ts";
import { attentionDelta } from "./attention_delta.ts";
import {
  expectFirstKeys,
  expectHeads,
  firstKeysOf,
  groupWalks,
  rowsPerWalk,
  sequencesPerRange,
  unitsPerDispatch,
} from "./attention_heads.ts";
import type { AttentionBackward } from "./attention_operands.ts";
import { type TiledKernel, tiledKernels, tiledWalk } from "./attention_tile.ts";
import { forFormat } from "../format.ts";
import { ranges } from "../ranges.ts";

export type { AttentionBackward } from "./attention_operands.ts";

const queryKernelsFor = tiledKernels("queries", "attention_backward_queries", queriesCode);
const keyKernelsFor = tiledKernels("keys", "attention_backward_keys", keysCode);

/**
 * The gradients of causal attention over whole sequences, from recomputed probabilities: one kernel
 * for delta, one for dq, one for dk and dv. Dao 2023, algorithm 2. On software adapters gradients of
 * heads and sequences that are too large for a workspace take several dispatches, and are rounded to
 * their format after each. Throws {@link ShapeError} on operands that do not match.
 */
export function attentionBackward(pass: KernelPass, io: AttentionBackward): void {
  expectOperands(io);
  attentionDelta(pass, io);
  if (io.workspace) attentionBackwardTexture(pass, io.workspace, io);
  else attentionBackwardTiled(pass, io);
}

function attentionBackwardTiled(pass: KernelPass, io: AttentionBackward): void {
  const { q, k, v, dout, dq, dk, dv, delta, batch, length } = io;
  const { heads, keyValueHeads, headSize } = io;
  const operation = "attentionBackward";
  const overQueries = queryKernelsFor(headSize), overKeys = keyKernelsFor(headSize);
  const queryKernel = forFormat(overQueries.kernels, operation, q, k, v, dout, dq);
  const keyKernel = forFormat(overKeys.kernels, operation, q, k, v, dout, dk, dv);

  const blocksOf = ({ blockRows }: TiledKernel) => Math.ceil(length / blockRows);
  const pairsOf = ({ blockRows }: TiledKernel) => blockRows * length * headSize;
  const group = heads / keyValueHeads;
  const walk = tiledWalk(headSize), walked = rowsPerWalk(pass, walk);
  const operands = [{ tensor: q, rows: length }, { tensor: k, rows: length }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands))) {
    const range = (tensor: Tensor) => rowRange(tensor, start * length, end * length);
    const firstKeys = firstKeysOf(io.firstKeys, range(q));
    const params = {
      heads,
      group,
      length,
      q_quads: q.stride / 4,
      k_quads: k.stride / 4,
      sequence: start,
      pair_stride: delta.stride / 2,
      ...firstKeys.params,
      scale: 1 / Math.sqrt(headSize),
    };
    const bound = {
      ...{ q: range(q), k: range(k), v: range(v), dout: range(dout), delta },
      ...firstKeys.operands,
    };
    const queryUnits = (end - start) * heads * blocksOf(overQueries);
    for (const { start: first_key, end: end_key } of ranges(length, walked)) {
      for (
        const { start: first, end: last } of ranges(
          queryUnits,
          unitsPerDispatch(pass, 3 * pairsOf(overQueries)),
        )
      ) {
        pass.dispatch({
          kernel: queryKernel,
          constants: overQueries.constants,
          operands: { ...bound, dq: range(dq) },
          params: { ...params, blocks: blocksOf(overQueries), first, first_key, end_key },
          workgroups: [last - first],
        });
      }
    }
    const keyUnits = (end - start) * keyValueHeads * blocksOf(overKeys);
    for (const queries of groupWalks(group, length, walk, walked)) {
      for (
        const { start: first, end: last } of ranges(
          keyUnits,
          unitsPerDispatch(pass, 4 * group * pairsOf(overKeys)),
        )
      ) {
        pass.dispatch({
          kernel: keyKernel,
          constants: overKeys.constants,
          operands: { ...bound, dk: range(dk), dv: range(dv) },
          params: { ...params, blocks: blocksOf(overKeys), ...queries, first },
          workgroups: [last - first],
        });
      }
    }
  }
}

function expectOperands(io: AttentionBackward): void {
  const operation = "attentionBackward";
  expectHeads(operation, io);
  const rows = io.batch * io.length;
  const queryShape = [rows, io.heads * io.headSize];
  const keyShape = [rows, io.keyValueHeads * io.headSize];
  for (const name of ["q", "out", "dout", "dq"] as const) {
    expectShape(operation, name, io[name], queryShape);
  }
  for (const name of ["k", "v", "dk", "dv"] as const) {
    expectShape(operation, name, io[name], keyShape);
  }
  for (const [name, columns] of [["logsumexp", io.heads], ["delta", 2 * io.heads]] as const) {
    expectDType(operation, name, io[name], "float32");
    expectShape(operation, name, io[name], [rows, columns]);
  }
  expectFirstKeys(operation, io.firstKeys, rows);
}
