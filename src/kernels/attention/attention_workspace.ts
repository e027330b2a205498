/** Scratch memory of attention on software adapters. */
import type { Allocator, TextureTensor } from "../../gpu/allocator.ts";
import { bytesOf, padded } from "../../numbers/layout.ts";
import { alignedSequences, type HeadShape } from "./attention_heads.ts";
import type { AttentionWorkspace } from "./attention_operands.ts";
import { createScores } from "./attention_slices.ts";
import {
  columnsOf,
  MOST_COLUMNS,
  MOST_ROWS,
  PADDING,
  shiftOf,
  TEXEL_BYTES,
  TEXELS,
} from "./attention_stage.ts";
import type { ActivationType } from "../format.ts";
import type { AttentionVariant } from "../strategy.ts";

/** Beyond this the unrolled kernels take many seconds to compile. */
export const MOST_HEAD_SIZE = 128;

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
  /** Format of operands; float32 by default, with room for either. */
  readonly dtype?: ActivationType;
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
  options: AttentionWorkspaceOptions,
): AttentionWorkspace | undefined {
  const { batch, length, heads, keyValueHeads, headSize, backward, dtype = "float32" } = options;
  const [queries, keys] = [heads, keyValueHeads].map((count) =>
    bytesOf(dtype, padded(count * headSize))
  );
  if (columnsOf(queries) + PADDING > MOST_COLUMNS) return undefined;
  const step = Math.min(batch, alignedSequences(queries * length, keys * length));
  const fitting = Math.floor(
    Math.min(MOST_ROWS, TEXELS / (queries / TEXEL_BYTES)) / length / step,
  ) * step;
  const rows = Math.min(batch, Math.max(step, fitting)) * length;
  if (rows > MOST_ROWS || headSize > MOST_HEAD_SIZE) return undefined;
  const texture = (name: string, rowBytes: number): TextureTensor =>
    allocator.texture({
      name: `attention.${name}`,
      width: columnsOf(rowBytes) + PADDING,
      height: Math.ceil(rows / 2 ** shiftOf(rowBytes)),
      format: "rgba32uint",
      purpose: "workspace",
    });
  const staged = { q: texture("q", queries), k: texture("k", keys), v: texture("v", keys) };
  if (!backward) return staged;
  return {
    ...staged,
    backward: {
      dout: texture("dout", queries),
      ...createScores(allocator, options),
    },
  };
}
