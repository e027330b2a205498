/** Converts a folder in Hugging Face's layout to a GGUF file. */
import { basename, resolve } from "../packages/std_path.ts";
import { readTokenizerFiles, tokenizerFromFiles } from "../tokenizers/hf_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { isGgufPath } from "../files/gguf_path.ts";
import { UserError } from "../options/user_error.ts";
import { readGenerationConfig, sampledAs } from "../formats/generation_config.ts";
import { openPretrained } from "../formats/pretrained_model.ts";
import { inBlocks, type WeightFile, type WeightInfo } from "../formats/weight_file.ts";
import type { LlamaConfig } from "../model/config.ts";
import { describeParameters } from "../model/description.ts";
import { statOf } from "../files/stat.ts";
import { conversing } from "./model_folder.ts";
import { writeModelfile } from "./modelfile.ts";
import { type GgufEntry, type GgufType, writeGguf } from "./write_gguf.ts";

/** Options of {@link exportGguf}. */
export interface ExportOptions {
  /** Folder of a model (config.json, safetensors, tokenizer files), of a run or of a checkpoint. */
  readonly model: string;
  /** The file to write. */
  readonly output: string;
  /** Format of the matrices. */
  readonly type: GgufType;
  /** The model's name in the file; by default its folder's. */
  readonly name?: string;
  /** Called with the share of the tensors written. */
  readonly onProgress?: (share: number) => void;
}

/** What {@link exportGguf} wrote. */
export interface ExportResult {
  /** Size of the file. */
  readonly bytes: number;
  /** Path of Ollama's Modelfile beside it. */
  readonly modelfile: string;
  /** What is remarkable about the model, and its properties that llama.cpp does not implement. */
  readonly warnings: readonly string[];
}

/**
 * Writes the model of a folder as GGUF, tokenizer included; replaces `output`. Throws a {@link
 * UserError} if there is no such model, or GGUF cannot hold it.
 */
export async function exportGguf(
  { model, output, type, name = basename(resolve(model)), onProgress }: ExportOptions,
): Promise<ExportResult> {
  await refuseFolder(output);
  using source = await openPretrained(model);
  const { config, weights, path } = source;
  if (isGgufPath(path)) {
    throw new UserError(
      `${model}: is a GGUF file already`,
      "llama.cpp's llama-quantize converts it to other types; export takes a model's folder",
    );
  }
  const generation = await readGenerationConfig(path);
  const { file, files } = await readTokenizerFiles(path);
  const tokenizer = tokenizerFromFiles(file, files), { ends } = conversing("default", tokenizer);

  const names = describeParameters(config).map(({ name }) => name);
  // Tied checkpoints may still contain the head, and old ones RoPE's frequencies.
  const missing = names.filter((name) => !weights.tensors.has(name));
  if (missing.length) {
    throw new UserError(`${model}: has no tensor ${missing.slice(0, 4).join(", ")}`);
  }
  await writeGguf(output, {
    config,
    tensors: names.map((name, at) => {
      const written = () => onProgress?.((at + 1) / names.length);
      return entryOf(weights, weights.tensors.get(name)!, written);
    }),
    tokenizerFiles: files,
    name,
    ends: [...ends, ...generation.eosTokenIds],
    sampled: sampledAs(generation),
    type,
  });
  return {
    bytes: (await Deno.stat(output)).size,
    modelfile: await writeModelfile(output, {
      tokenizer,
      generation,
      maxPositions: config.maxPositions,
    }),
    warnings: [
      ...source.warnings,
      ...windowWarnings(config),
      ...longRopeWarnings(config),
      ...activationWarnings(config),
      ...cutWarnings(tokenizer, config),
    ],
  };
}

function windowWarnings({ slidingWindow }: LlamaConfig): string[] {
  if (!slidingWindow?.layers.some((windowed) => windowed)) return [];
  return [
    `llama.cpp has no sliding window for this architecture: beyond ${slidingWindow.size} tokens ` +
    "its results differ",
  ];
}

function longRopeWarnings({ ropeScaling: scaling }: LlamaConfig): string[] {
  if (scaling?.type !== "longrope") return [];
  return [
    "llama.cpp chooses LongRoPE's factors by the size of its context, not by the sequence: for the " +
    `short ones give it at most ${scaling.originalMaxPositions} tokens`,
  ];
}

function activationWarnings({ activation }: LlamaConfig): string[] {
  if (activation !== "gelu") return [];
  return [
    "llama.cpp computes GELU by its tanh approximation, this model exactly: its results differ a little",
  ];
}

/** As llama.cpp's converter warns. */
function cutWarnings(tokenizer: Tokenizer, { vocabSize }: LlamaConfig): string[] {
  const beyond = tokenizer.vocabSize - vocabSize;
  if (beyond <= 0) return [];
  return [`tokens ${vocabSize} and later have no row in the model: ${beyond} left out`];
}

/** Refuses to replace a folder by a file. */
async function refuseFolder(output: string): Promise<void> {
  const info = await statOf(output);
  if (info?.isDirectory) throw new UserError(`${output} is a folder`, "name a .gguf file in it");
}

function entryOf(weights: WeightFile, info: WeightInfo, written: () => void): GgufEntry {
  const { name, shape } = info;
  const data = async function* () {
    yield* inBlocks(weights, info);
    written();
  };
  return { name, shape, data: data() };
}
