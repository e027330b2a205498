/**
 * ggml's tensor types: elements stored in blocks, most of them quantised. Everything is
 * little-endian. Source: ggml's block structures and its dequantisers (ggml-quants).
 *
 * Products of a scale and a code are exact in float64 and the sum is rounded once, when it is
 * stored as float32: the same bits as arithmetic in float32.
 */
import { GGMLQuantizationType } from "../../packages/huggingface_gguf.ts";
import { toFloat32 } from "../element_types.ts";
import { decodeMXFP4, decodeNVFP4 } from "./float4.ts";
import {
  decodeIQ1M,
  decodeIQ1S,
  decodeIQ2S,
  decodeIQ2XS,
  decodeIQ2XXS,
  decodeIQ3S,
  decodeIQ3XXS,
  decodeIQ4NL,
  decodeIQ4XS,
} from "./i_quants.ts";
import { decodeQ2K, decodeQ3K, decodeQ4K, decodeQ5K, decodeQ6K } from "./k_quants.ts";
import { decodeQ4, decodeQ4Minimum, decodeQ5, decodeQ5Minimum, decodeQ8 } from "./simple_quants.ts";
import { decodeQ1, decodeQ2, decodeTQ1, decodeTQ2 } from "./ternary.ts";

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

const Type = GGMLQuantizationType;

/** By ggml's id in a file: all types that llama.cpp's quantiser writes. */
export const BLOCK_TYPES: ReadonlyMap<number, BlockType> = new Map([
  [Type.F32, { name: "F32", elements: 1, bytes: 4, decode: (b) => toFloat32("F32", b) }],
  [Type.F16, { name: "F16", elements: 1, bytes: 2, decode: (b) => toFloat32("F16", b) }],
  [Type.BF16, { name: "BF16", elements: 1, bytes: 2, decode: (b) => toFloat32("BF16", b) }],
  [Type.Q8_0, blocks("Q8_0", 32, 34, decodeQ8)],
  [Type.Q4_0, blocks("Q4_0", 32, 18, decodeQ4)],
  [Type.Q4_1, blocks("Q4_1", 32, 20, decodeQ4Minimum)],
  [Type.Q5_0, blocks("Q5_0", 32, 22, decodeQ5)],
  [Type.Q5_1, blocks("Q5_1", 32, 24, decodeQ5Minimum)],
  [Type.Q2_K, blocks("Q2_K", 256, 84, decodeQ2K)],
  [Type.Q3_K, blocks("Q3_K", 256, 110, decodeQ3K)],
  [Type.Q4_K, blocks("Q4_K", 256, 144, decodeQ4K)],
  [Type.Q5_K, blocks("Q5_K", 256, 176, decodeQ5K)],
  [Type.Q6_K, blocks("Q6_K", 256, 210, decodeQ6K)],
  [Type.IQ4_NL, blocks("IQ4_NL", 32, 18, decodeIQ4NL)],
  [Type.IQ4_XS, blocks("IQ4_XS", 256, 136, decodeIQ4XS)],
  [Type.IQ3_XXS, blocks("IQ3_XXS", 256, 98, decodeIQ3XXS)],
  [Type.IQ3_S, blocks("IQ3_S", 256, 110, decodeIQ3S)],
  [Type.IQ2_XXS, blocks("IQ2_XXS", 256, 66, decodeIQ2XXS)],
  [Type.IQ2_XS, blocks("IQ2_XS", 256, 74, decodeIQ2XS)],
  [Type.IQ2_S, blocks("IQ2_S", 256, 82, decodeIQ2S)],
  [Type.IQ1_S, blocks("IQ1_S", 256, 50, decodeIQ1S)],
  [Type.IQ1_M, blocks("IQ1_M", 256, 56, decodeIQ1M)],
  [Type.TQ1_0, blocks("TQ1_0", 256, 54, decodeTQ1)],
  [Type.TQ2_0, blocks("TQ2_0", 256, 66, decodeTQ2)],
  [Type.Q1_0, blocks("Q1_0", 128, 18, decodeQ1)],
  [Type.Q2_0, blocks("Q2_0", 64, 18, decodeQ2)],
  [Type.MXFP4, blocks("MXFP4", 32, 17, decodeMXFP4)],
  [Type.NVFP4, blocks("NVFP4", 64, 36, decodeNVFP4)],
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
