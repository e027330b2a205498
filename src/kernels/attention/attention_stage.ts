/**
 * Copies operands of attention to textures, which a software adapter reads up to eight times faster
 * than buffers, as they are: kernels convert what they load.
 */
import type { Allocator, TextureTensor } from "../../gpu/allocator.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange, type Tensor } from "../../gpu/tensor.ts";
import { bytesOf, padded } from "../../numbers/layout.ts";
import { alignedSequences, type HeadShape } from "./attention_heads.ts";
import type { AttentionWorkspace } from "./attention_operands.ts";
import type { ActivationType } from "../format.ts";
import type { AttentionVariant } from "../strategy.ts";

/** WebGPU's default limit of a texture's sides. */
const MOST_ROWS = 8192, MOST_COLUMNS = 8192;
/**
 * Texels beyond the operands' in each row, a cache line: at a power of two all rows would compete for
 * one cache set.
 */
const PADDING = 4;
const TEXEL_BYTES = 16;
/** A copy to a texture moves rows of a multiple of this. */
const COPY_BYTES = 256;
/** Most texels per texture, unless sequences need more: 16 MiB. */
const TEXELS = 1 << 20;
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
  return {
    q: texture("q", queries),
    k: texture("k", keys),
    v: texture("v", keys),
    dout: backward ? texture("dout", queries) : undefined,
  };
}

/** A row of texels holds 2^this rows of an operand: as few as a copy can move. */
export function shiftOf(rowBytes: number): number {
  let shift = 0;
  while (rowBytes * 2 ** shift % COPY_BYTES) shift++;
  return shift;
}

/** Texels of that many rows. */
function columnsOf(rowBytes: number): number {
  return rowBytes * 2 ** shiftOf(rowBytes) / TEXEL_BYTES;
}

/** An operand that is copied to a texture. */
export interface Staged {
  readonly source: Tensor;
  readonly target: TextureTensor;
  /** Rows copied per sequence, stored contiguously, and rows per sequence in the source. */
  readonly length: number;
  readonly capacity: number;
}

export function rowBytesOf({ dtype, stride }: Tensor): number {
  return bytesOf(dtype, stride);
}

/** How many sequences of each operand the textures hold; refuses those of another model. */
export function sequencesPerStage(operation: string, operands: readonly Staged[]): number {
  const held = operands.map(({ source, target, length }) => {
    const rowBytes = rowBytesOf(source), fits = columnsOf(rowBytes) <= target.width;
    const rows = fits ? target.height * 2 ** shiftOf(rowBytes) : 0;
    if (rows < length) {
      throw new ShapeError(
        `${operation}: the workspace holds ${rows} rows of ${source.name}, ` +
          `(${length}, ${source.stride}) are needed`,
        "was it made for another model, or for shorter sequences?",
      );
    }
    return Math.floor(rows / length);
  });
  return Math.min(...held);
}

/** Copies the rows of sequences `start` to `end` to the texture, as they are. */
export function stage(
  pass: KernelPass,
  { source, target, length, capacity }: Staged,
  start: number,
  end: number,
): void {
  const rowBytes = rowBytesOf(source), columns = columnsOf(rowBytes);
  if (length === capacity) {
    pass.copyToTexture(rowRange(source, start * length, end * length), target, columns);
    return;
  }
  const texels = length * rowBytes / TEXEL_BYTES;
  for (let sequence = start; sequence < end; sequence++) {
    const first = sequence * capacity, rows = rowRange(source, first, first + length);
    pass.copyToTexture(rows, target, columns, (sequence - start) * texels);
  }
}
