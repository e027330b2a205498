/** How any model on disk is to be sampled. */
import type { LlamaConfig } from "../model/config.ts";
import { isGgufPath } from "../files/gguf_path.ts";
import { type GenerationConfig, readGenerationConfig } from "./generation_config.ts";
import { samplingOf } from "./gguf/sampling.ts";
import { readGgufMetadata } from "./gguf/split.ts";

/** From generation_config.json, or a `.gguf` file's metadata. Throws a {@link UserError}. */
export async function readGeneration(path: string, config: LlamaConfig): Promise<GenerationConfig> {
  if (!isGgufPath(path)) return await readGenerationConfig(path);
  const metadata = await readGgufMetadata(path);
  const { eosTokenId = [], bosTokenId, padTokenId } = config;
  const ids = { eosTokenIds: [eosTokenId].flat(), bosTokenId, padTokenId };
  return { ...ids, ...samplingOf(metadata), ignored: [] };
}
