/** Attention for graphics cards where queries are few: decoding. */
import code from "../../../shaders/attention/attention_few.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { headConstants, rowsPerWalk } from "./attention_heads.ts";
import type { Attention } from "./attention_operands.ts";
import { attentionParts } from "./attention_parts.ts";
import { forFormat, kernelByFormat } from "../format.ts";

/** Keys of a block, and parts that sum up its values, as in the WGSL. */
const BLOCK_KEYS = 256, PARTS = 16;

/** Rows of a workgroup: heads that share keys, times queries. */
const ROWS = [1, 2, 4];

const kernels = kernelByFormat("attention_few", code, { constants: { ...headConstants(), ROWS } });

/** Fewer queries than this leave most of a tile of attention.wgsl idle. */
export const FEW_QUERIES = 8;

/** Records attention over operands whose shapes are checked. */
export function attentionFew(pass: KernelPass, io: Attention): void {
  const { q, k, v, out, queryLength, heads, keyValueHeads, headSize } = io;
  const kernel = forFormat(kernels, "attention", q, k, v, out);
  const groupRows = heads / keyValueHeads * queryLength;
  const rows = ROWS.find((rows) => rows >= groupRows) ?? ROWS.at(-1)!;
  const constants = { HEAD_QUADS: headSize / 4, ROWS: rows };
  const blocks = Math.ceil(groupRows / rows);
  const rounds = 1 + constants.HEAD_QUADS + PARTS * (rows + 1);
  const walked = rowsPerWalk(pass, { step: BLOCK_KEYS, rounds });
  for (const part of attentionParts(pass, io, { units: keyValueHeads * blocks, rows, walked })) {
    const params = { ...part.params, blocks, key_heads: keyValueHeads };
    pass.dispatch({ ...part, kernel, constants, params });
  }
}
