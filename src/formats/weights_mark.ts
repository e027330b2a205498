/** What distinguishes a model's weights from others of the same shapes, without reading all of them. */
import { createHash } from "node:crypto";
import { elementsOf } from "../numbers/layout.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { WeightFile } from "./weight_file.ts";

const HEAD = "lm_head.weight";
/** Elements of a sample, and samples of a tensor: its first elements and its middle ones. */
const SAMPLE = 64, SAMPLES = 2;

/**
 * A hash of names, shapes and some values of every parameter. Training that went on, a merged
 * adapter or another seed change values of each tensor that they train; another folder, other shards,
 * another file format that holds the same values and a copy of a tied embedding as the head change
 * nothing.
 */
export async function weightsMark(
  { config, weights: file }: { readonly config: LlamaConfig; readonly weights: WeightFile },
): Promise<string> {
  const hash = createHash("sha256");
  // Old checkpoints hold RoPE's frequencies, which are no parameter.
  const names = [...file.tensors.keys()].filter((name) =>
    /\.(weight|bias)$/.test(name) && !(config.tieWordEmbeddings && name === HEAD)
  ).sort();
  for (const name of names) {
    const { shape } = file.tensors.get(name)!, size = elementsOf({ shape });
    hash.update(`${name} ${shape}\n`);
    for (let sample = 0; sample < SAMPLES; sample++) {
      const start = Math.floor(sample * size / SAMPLES);
      const values = await file.readFloat32(name, start, Math.min(SAMPLE, size - start));
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  }
  return hash.digest("hex").slice(0, 16);
}
