/** Attention for software adapters: operands copied to textures, four rows per thread. */
import code from "../../../shaders/attention/attention_texture.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange } from "../../gpu/tensor.ts";
import type { Attention, AttentionWorkspace } from "./attention_operands.ts";
import {
  firstKeysOf,
  headConstants,
  rowsPerWalk,
  sequencesPerRange,
  unitsPerDispatch,
  type Walk,
} from "./attention_heads.ts";
import { rowBytesOf, sequencesPerStage, shiftOf, stage, type Staged } from "./attention_stage.ts";
import { MOST_HEAD_SIZE } from "./attention_workspace.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges } from "../ranges.ts";

/** Threads per workgroup, as in the WGSL. */
export const THREADS = 8;
/** Rows per thread, as in the WGSL. */
const THREAD_ROWS = 4;

/** The constants of the kernels that read textures. */
export const TEXTURE_CONSTANTS = headConstants(MOST_HEAD_SIZE);

const kernels = kernelByFormat("attention_texture", code, { constants: TEXTURE_CONSTANTS });

/** Enough for its loops over the head and over rows. */
function textureWalk(headSize: number): Walk {
  return { step: THREAD_ROWS, rounds: 1 + headSize / 4 + 1 + THREAD_ROWS + 1 };
}

/** Records copies and attention for each range of sequences. */
export function attentionTexture(
  pass: KernelPass,
  workspace: AttentionWorkspace,
  io: Attention,
): void {
  const { q, k, v, out, logsumexp, batch, queryLength, keyLength, keyCapacity } = io;
  const { heads, keyValueHeads, headSize } = io;
  const kernel = forFormat(kernels, "attention", q, k, v, out);
  const blocks = Math.ceil(queryLength / THREAD_ROWS);
  const work = 2 * THREADS * THREAD_ROWS * keyLength * headSize;
  const unitsAtOnce = THREADS * unitsPerDispatch(pass, work);
  const walked = rowsPerWalk(pass, textureWalk(headSize));
  const keys = { length: keyLength, capacity: keyCapacity };
  const staged: Staged[] = [
    { source: q, target: workspace.q, length: queryLength, capacity: queryLength },
    { source: k, target: workspace.k, ...keys },
    { source: v, target: workspace.v, ...keys },
  ];
  const held = sequencesPerStage("attention", staged);
  const operands = [{ tensor: q, rows: queryLength }, { tensor: k, rows: keyCapacity }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands, held))) {
    const sequences = end - start;
    const bound = rowRange(q, start * queryLength, end * queryLength);
    const firstKeys = firstKeysOf(io.firstKeys, bound);
    for (const each of staged) stage(pass, each, start, end);
    for (const { start: first_key, end: end_key } of ranges(keyLength, walked)) {
      for (const { start: first, end: count } of ranges(sequences * heads * blocks, unitsAtOnce)) {
        pass.dispatch({
          kernel,
          constants: { HEAD_QUADS: headSize / 4 },
          operands: {
            q: workspace.q,
            k: workspace.k,
            v: workspace.v,
            out: rowRange(out, start * queryLength, end * queryLength),
            logsumexp,
            ...firstKeys.operands,
          },
          params: {
            first,
            count,
            blocks,
            heads,
            group: heads / keyValueHeads,
            query_length: queryLength,
            key_length: keyLength,
            first_key,
            end_key,
            q_quads: q.stride / 4,
            k_quads: k.stride / 4,
            q_shift: shiftOf(rowBytesOf(q)),
            k_shift: shiftOf(rowBytesOf(k)),
            sequence: start,
            lse_stride: logsumexp.stride,
            ...firstKeys.params,
            scale: 1 / Math.sqrt(headSize),
          },
          workgroups: [Math.ceil((count - first) / THREADS)],
        });
      }
    }
  }
}
