/**
 * Copies operands of attention to textures, which a software adapter reads up to eight times faster
 * than buffers, as they are: kernels convert what they load.
 */
import type { TextureTensor } from "../../gpu/allocator.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { rowRange, type Tensor } from "../../gpu/tensor.ts";
import { bytesOf } from "../../numbers/layout.ts";

/** WebGPU's default limit of a texture's sides. */
export const MOST_ROWS = 8192, MOST_COLUMNS = 8192;
/**
 * Texels beyond the operands' in each row, a cache line: at a power of two all rows would compete for
 * one cache set.
 */
export const PADDING = 4;
export const TEXEL_BYTES = 16;
/** A copy to a texture moves rows of a multiple of this. */
const COPY_BYTES = 256;
/** Most texels per texture, unless sequences need more: 16 MiB. */
export const TEXELS = 1 << 20;
/** A row of texels holds 2^this rows of an operand: as few as a copy can move. */
export function shiftOf(rowBytes: number): number {
  let shift = 0;
  while (rowBytes * 2 ** shift % COPY_BYTES) shift++;
  return shift;
}

/** Texels of that many rows. */
export function columnsOf(rowBytes: number): number {
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
