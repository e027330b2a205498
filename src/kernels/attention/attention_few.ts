/** Attention for graphics cards where queries are few: decoding. */
import code from "../../../shaders/attention/attention_few.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange } from "../../gpu/tensor.ts";
import {
  firstKeysOf,
  headConstants,
  rowsPerWalk,
  sequencesPerRange,
  unitsPerDispatch,
} from "./attention_heads.ts";
import type { Attention } from "./attention_operands.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges } from "../ranges.ts";

/** Keys of a block, and parts that sum up its values, as in the WGSL. */
const BLOCK_KEYS = 256, PARTS = 16;

/** Rows of a workgroup: heads that share keys, times queries. */
const ROWS = [1, 2, 4];

const kernels = kernelByFormat("attention_few", code, { constants: { ...headConstants(), ROWS } });

/** Fewer queries than this leave most of a tile of attention.wgsl idle. */
export const FEW_QUERIES = 8;

/** Records attention over operands whose shapes are checked. */
export function attentionFew(pass: KernelPass, io: Attention): void {
  const { q, k, v, out, logsumexp, batch, queryLength, keyLength, keyCapacity } = io;
  const { heads, keyValueHeads, headSize } = io;
  const kernel = forFormat(kernels, "attention", q, k, v, out);
  const group = heads / keyValueHeads, groupRows = group * queryLength;
  const rows = ROWS.find((rows) => rows >= groupRows) ?? ROWS.at(-1)!;
  const constants = { HEAD_QUADS: headSize / 4, ROWS: rows };
  const blocks = Math.ceil(groupRows / rows);
  const most = unitsPerDispatch(pass, 2 * rows * keyLength * headSize);
  const rounds = 1 + constants.HEAD_QUADS + PARTS * (rows + 1);
  const walked = rowsPerWalk(pass, { step: BLOCK_KEYS, rounds }, io.loopRounds);
  const operands = [{ tensor: q, rows: queryLength }, { tensor: k, rows: keyCapacity }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands))) {
    const queries = [start * queryLength, end * queryLength] as const;
    const keys = [start * keyCapacity, end * keyCapacity] as const;
    const bound = rowRange(q, ...queries), firstKeys = firstKeysOf(io.firstKeys, bound);
    for (const { start: first_key, end: end_key } of ranges(keyLength, walked)) {
      const units = (end - start) * keyValueHeads * blocks;
      for (const { start: first, end: last } of ranges(units, most)) {
        pass.dispatch({
          kernel,
          constants,
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
            key_heads: keyValueHeads,
            group,
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
