/**
 * ggml's tensor types: elements stored in blocks, most of them quantised. Everything is
 * little-endian. Source: ggml's block structures and its dequantisers (ggml-quants).
 *
 * Products of a scale and a code are exact in float64 and the sum is rounded once, when it is
 * stored as float32: the same bits as arithmetic in float32.
 */
import { GGMLQuantizationType } from "@huggingface/gguf";
import { toFloat32 } from "../element_types.ts";
import { decodeQ4K, decodeQ5K, decodeQ6K } from "./k_quants.ts";

export interface BlockType {
  readonly name: string;
  /** Elements per block, and their bytes. */
  readonly elements: number;
  readonly bytes: number;
  /** Whole blocks as float32. */
  readonly decode: (blocks: Uint8Array) => Float32Array<ArrayBuffer>;
}

/** Decodes the block at byte `at` to `out`, starting at element `to`. */
export type BlockDecoder = (view: DataView, at: number, out: Float32Array, to: number) => void;

const { F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K } = GGMLQuantizationType;

/** By ggml's id in a file. */
export const BLOCK_TYPES: ReadonlyMap<number, BlockType> = new Map([
  [F32, { name: "F32", elements: 1, bytes: 4, decode: (b) => toFloat32("F32", b) }],
  [F16, { name: "F16", elements: 1, bytes: 2, decode: (b) => toFloat32("F16", b) }],
  [BF16, { name: "BF16", elements: 1, bytes: 2, decode: (b) => toFloat32("BF16", b) }],
  [Q8_0, blocks("Q8_0", 32, 34, decodeQ8)],
  [Q4_0, blocks("Q4_0", 32, 18, decodeQ4)],
  [Q4_1, blocks("Q4_1", 32, 20, decodeQ4Minimum)],
  [Q5_0, blocks("Q5_0", 32, 22, decodeQ5)],
  [Q5_1, blocks("Q5_1", 32, 24, decodeQ5Minimum)],
  [Q4_K, blocks("Q4_K", 256, 144, decodeQ4K)],
  [Q5_K, blocks("Q5_K", 256, 176, decodeQ5K)],
  [Q6_K, blocks("Q6_K", 256, 210, decodeQ6K)],
] as [number, BlockType][]);

/** The name of a type, supported or not. */
export function blockTypeName(id: number): string {
  return GGMLQuantizationType[id] ?? `number ${id}`;
}

function blocks(name: string, elements: number, bytes: number, decode: BlockDecoder): BlockType {
  return {
    name,
    elements,
    bytes,
    decode: (data) => {
      const count = data.length / bytes;
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const out = new Float32Array(count * elements);
      for (let i = 0; i < count; i++) decode(view, i * bytes, out, i * elements);
      return out;
    },
  };
}

/** Scale (float16), 32 signed bytes. */
function decodeQ8(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  for (let i = 0; i < 32; i++) out[to + i] = scale * view.getInt8(at + 2 + i);
}

/** Scale, 16 bytes: the first 16 elements in the low halves, the others in the high; minus 8. */
function decodeQ4(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + 2 + i);
    out[to + i] = scale * ((pair & 15) - 8);
    out[to + 16 + i] = scale * ((pair >> 4) - 8);
  }
}

/** Scale, minimum, 16 bytes as above. */
function decodeQ4Minimum(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true), minimum = view.getFloat16(at + 2, true);
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + 4 + i);
    out[to + i] = scale * (pair & 15) + minimum;
    out[to + 16 + i] = scale * (pair >> 4) + minimum;
  }
}

/** Scale, 32 fifth bits, 16 bytes as above; minus 16. */
function decodeQ5(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true);
  fiveBits(view, at + 2, (i, code) => out[to + i] = scale * (code - 16));
}

/** Scale, minimum, 32 fifth bits, 16 bytes as above. */
function decodeQ5Minimum(view: DataView, at: number, out: Float32Array, to: number): void {
  const scale = view.getFloat16(at, true), minimum = view.getFloat16(at + 2, true);
  fiveBits(view, at + 4, (i, code) => out[to + i] = scale * code + minimum);
}

function fiveBits(view: DataView, at: number, each: (index: number, code: number) => void): void {
  const high = view.getUint32(at, true);
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + 4 + i);
    each(i, (pair & 15) | ((high >>> i) & 1) << 4);
    each(16 + i, (pair >> 4) | ((high >>> (16 + i)) & 1) << 4);
  }
}
