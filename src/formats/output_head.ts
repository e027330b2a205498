/**
 * The output head of a checkpoint whose config.json ties it to the embedding, as transformers 5
 * takes it: what the file has counts.
 */
import type { LlamaConfig } from "../model/config.ts";
import { elementsOf } from "../numbers/layout.ts";
import { renamed } from "./module_names.ts";
import type { WeightFile } from "./weight_file.ts";

const EMBEDDING = "model.embed_tokens.weight", HEAD = "lm_head.weight";
/** Elements compared at a time. */
const BLOCK = 1 << 20;

export interface WithHead {
  readonly config: LlamaConfig;
  readonly weights: WeightFile;
  /** For the user. */
  readonly warnings: readonly string[];
}

/**
 * A head that differs from the embedding is kept, with a warning; where only the head was saved, it
 * is the embedding too.
 */
export async function withHead(config: LlamaConfig, weights: WeightFile): Promise<WithHead> {
  const { tensors, path } = weights;
  if (!config.tieWordEmbeddings || !tensors.has(HEAD)) return { config, weights, warnings: [] };
  if (!tensors.has(EMBEDDING)) {
    const names = new Map([...tensors.keys()].map((name) => [name, name]));
    return { config, weights: renamed(weights, names.set(EMBEDDING, HEAD)), warnings: [] };
  }
  if (await areEqual(weights)) return { config, weights, warnings: [] };
  return {
    config: { ...config, tieWordEmbeddings: false },
    weights,
    warnings: [
      `${path}: config.json ties the head to the embedding, but ${HEAD} differs from it: the head ` +
      "is kept, as in transformers, and the saved model says tie_word_embeddings: false",
    ],
  };
}

async function areEqual(weights: WeightFile): Promise<boolean> {
  const embedding = weights.tensors.get(EMBEDDING)!, head = weights.tensors.get(HEAD)!;
  if (String(embedding.shape) !== String(head.shape)) return false;
  const size = elementsOf(embedding);
  for (let start = 0; start < size; start += BLOCK) {
    const count = Math.min(BLOCK, size - start);
    const [a, b] = [
      await weights.readFloat32(EMBEDDING, start, count),
      await weights.readFloat32(HEAD, start, count),
    ];
    for (let i = 0; i < count; i++) if (a[i] !== b[i]) return false;
  }
  return true;
}
