/** Attention for software adapters: operands staged in textures, four rows per thread. */
import code from "../../../shaders/attention/attention_texture.wgsl" with { type: "text" };
import type { Allocator, TextureTensor } from "../../gpu/allocator.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange } from "../../gpu/tensor.ts";
import type { Attention, AttentionWorkspace } from "./attention_operands.ts";
import {
  alignedSequences,
  firstKeysOf,
  headConstants,
  type HeadShape,
  rowsPerWalk,
  sequencesPerRange,
  unitsPerDispatch,
  type Walk,
} from "./attention_heads.ts";
import { attentionStage } from "./attention_stage.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges } from "../ranges.ts";
import type { AttentionVariant } from "../strategy.ts";

/** Threads per workgroup and rows per thread, as in the WGSL. */
export const THREADS = 8, THREAD_ROWS = 4;

/** WebGPU's default limit of a texture's sides. */
const MOST_ROWS = 8192;
/** Most texels per texture, unless a single sequence needs more: 16 MiB. */
const TEXELS = 1 << 20;
/** Beyond this the unrolled kernels take many seconds to compile. */
const MOST_HEAD_SIZE = 128;

/** The constants of the kernels that read textures. */
export const TEXTURE_CONSTANTS = headConstants(MOST_HEAD_SIZE);

const kernels = kernelByFormat("attention_texture", code, { constants: TEXTURE_CONSTANTS });

/** What a workspace of attention is sized for. */
export interface AttentionWorkspaceOptions extends HeadShape {
  /** The adapter's: {@link strategyFor}. */
  readonly variant: AttentionVariant;
  /** Sequences, B. */
  readonly batch: number;
  /** Most queries and keys per sequence. */
  readonly length: number;
  /** Whether {@link attentionBackward} will use it too. */
  readonly backward: boolean;
}

/** Scratch memory for attention over such sequences; all layers share it. */
export function createAttentionWorkspace(
  allocator: Allocator,
  options: AttentionWorkspaceOptions,
): AttentionWorkspace | undefined {
  switch (options.variant) {
    case "tiled":
      return undefined;
    case "texture":
      return createTextures(allocator, options);
    default:
      return options.variant satisfies never;
  }
}

/** Undefined if a sequence does not fit or a head is too large: operands are then read directly. */
function createTextures(
  allocator: Allocator,
  { batch, length, heads, keyValueHeads, headSize, backward }: AttentionWorkspaceOptions,
): AttentionWorkspace | undefined {
  const widths = [heads, keyValueHeads].map((count) => count * headSize / 4);
  // Assume two bytes per element: what is aligned in bfloat16 is also aligned in float32.
  const step = Math.min(batch, alignedSequences(...widths.map((quads) => quads * 8 * length)));
  const fitting = Math.floor(Math.min(MOST_ROWS, TEXELS / widths[0]) / length);
  const rows = Math.min(batch, Math.max(step, Math.floor(fitting / step) * step)) * length;
  if (rows > MOST_ROWS || headSize > MOST_HEAD_SIZE) return undefined;
  const texture = (name: string, width: number): TextureTensor =>
    allocator.texture({
      name: `attention.${name}`,
      // One more cache line: at a power of two all rows would compete for one cache set.
      width: width + 4,
      height: rows,
      purpose: "workspace",
    });
  return {
    q: texture("q", widths[0]),
    k: texture("k", widths[1]),
    v: texture("v", widths[1]),
    dout: backward ? texture("dout", widths[0]) : undefined,
  };
}

/** For the longest of the three kernels, assuming no loop is unrolled; 2 for each further head. */
export function textureWalk(headSize: number): Walk {
  const products = 2 * (headSize / 4 + 1), rows = THREAD_ROWS + 1;
  return { step: THREAD_ROWS, rounds: 1 + products + rows + 2 };
}

/** How many sequences of operands this large the textures hold; refuses those of another model. */
export function sequencesPerStage(
  operation: string,
  { q, k }: AttentionWorkspace,
  { heads, keyValueHeads, headSize }: HeadShape,
  queryLength: number,
  keyLength: number,
): number {
  const sequences = Math.floor(Math.min(q.height / queryLength, k.height / keyLength));
  const fits = sequences >= 1 && q.width * 4 >= heads * headSize &&
    k.width * 4 >= keyValueHeads * headSize;
  if (!fits) {
    throw new ShapeError(
      `${operation}: the workspace holds (${q.height}, ${4 * (q.width - 4)}) queries, ` +
        `(${queryLength}, ${heads * headSize}) are needed for ${keyLength} keys`,
      "was it made for another model, or for shorter sequences?",
    );
  }
  return sequences;
}

/** Records staging and attention for each range of sequences. */
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
  const walked = rowsPerWalk(pass, textureWalk(headSize), io.loopRounds);
  const held = sequencesPerStage("attention", workspace, io, queryLength, keyLength);
  const operands = [{ tensor: q, rows: queryLength }, { tensor: k, rows: keyCapacity }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands, held))) {
    const sequences = end - start;
    const queries = { start, sequences, length: queryLength, capacity: queryLength };
    const keys = { start, sequences, length: keyLength, capacity: keyCapacity };
    const bound = rowRange(q, start * queryLength, end * queryLength);
    const firstKeys = firstKeysOf(io.firstKeys, bound);
    attentionStage(pass, { source: q, target: workspace.q, ...queries });
    attentionStage(pass, { source: k, target: workspace.k, ...keys });
    attentionStage(pass, { source: v, target: workspace.v, ...keys });
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
            q_quads: out.stride / 4,
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
