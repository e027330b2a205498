/** Hugging Face's config.json and generation_config.json of the supported architectures. */
import { dirname, join } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import { type LlamaConfig, MODEL_TYPES, type ModelType } from "../model/config.ts";
import { statOf } from "../files/stat.ts";
import { type Architecture, ARCHITECTURES, traitsOf } from "./architectures.ts";
import { writeJson } from "../files/atomic.ts";
import { Fields, isObject } from "../files/fields.ts";
import type { Sampled } from "./generation_config.ts";
import { ropeFromJson, ropeToJson } from "./hf_rope.ts";
import { modelsInside } from "../files/models_inside.ts";
import { ggufModels } from "../files/gguf_path.ts";
import { readJsonObject } from "../files/json_file.ts";
import { quoted } from "../text.ts";

const CONFIG = "config.json";

/** Our own key, which transformers keeps: max_position_embeddings may be larger. */
const TRAINED_LENGTH = "trained_seq_len";

/** Reads a config.json, or that of a folder. Throws a {@link UserError} with all faults. */
export async function readLlamaConfig(path: string): Promise<LlamaConfig> {
  const info = await statOf(path);
  const file = info?.isDirectory ? join(path, CONFIG) : path;
  const json = await readJsonObject(file);
  if (!json) throw new UserError(`${file}: cannot be read: no such file`, await hintFor(file));
  return parseLlamaConfig(json, file);
}

/** What is in the folder of a missing config.json instead. */
async function hintFor(file: string): Promise<string | undefined> {
  const folder = await Array.fromAsync(Deno.readDir(dirname(file))).catch(() => []);
  const names = folder.map(({ name }) => name);
  if (names.includes("params.json")) {
    return "it has a params.json: weights in their makers' own layout; give a copy that " +
      "transformers saved";
  }
  const models = ggufModels(names);
  if (models.length > 1) return `it has ${models.join(", ")}: give the path of one`;
  return await modelsInside(dirname(file));
}

/**
 * A configuration in the style of transformers 4 (`rope_theta`, `rope_scaling`) or 5
 * (`rope_parameters`). Absent fields default to those of the architecture's class in transformers,
 * except sizes, which are required. `origin` appears in the error.
 */
export function parseLlamaConfig(json: unknown, origin = CONFIG): LlamaConfig {
  if (!isObject(json)) throw new UserError(`${origin}: must be a JSON object`);
  const fields = new Fields(json);
  const modelType = modelTypeOf(json, origin);
  const architecture = ARCHITECTURES[modelType];
  const { defaults } = architecture;
  const hiddenSize = fields.count("hidden_size");
  const heads = fields.count("num_attention_heads");
  // Null means no grouping, absent the class's default.
  const keyValueHeads = json.num_key_value_heads === null
    ? heads
    : fields.count("num_key_value_heads", defaults.keyValueHeads ?? heads);
  const headSize = headSizeOf(fields, architecture, hiddenSize, heads);
  if (heads % keyValueHeads !== 0 && heads > 0 && keyValueHeads > 0) {
    fields.fault(
      `num_key_value_heads must divide num_attention_heads, got ${keyValueHeads} and ${heads}`,
    );
  }
  refuseUnsupported(fields);
  const layers = fields.count("num_hidden_layers");
  const traits = traitsOf(modelType, architecture, fields, hiddenSize);
  if (traits.qkNorm && headSize > 0 && headSize % 8 !== 0) {
    fields.fault(`head_dim must be a multiple of 8 in ${modelType}, got ${headSize}`);
  }
  const maxPositions = fields.count("max_position_embeddings", defaults.maxPositions);
  const slidingWindow = architecture.window?.(fields, layers > 0 ? layers : 0);
  const config: LlamaConfig = {
    ...traits,
    vocabSize: fields.count("vocab_size"),
    hiddenSize,
    intermediateSize: fields.count("intermediate_size"),
    layers,
    heads,
    keyValueHeads,
    headSize,
    maxPositions,
    ...(json[TRAINED_LENGTH] === undefined ? {} : { trainedLength: fields.count(TRAINED_LENGTH) }),
    rmsNormEps: fields.positive("rms_norm_eps", 1e-6),
    ...ropeFromJson(fields, { headSize, maxPositions }),
    ...(slidingWindow?.layers.some(Boolean) ? { slidingWindow } : {}),
    tieWordEmbeddings: fields.flag("tie_word_embeddings", defaults.tieWordEmbeddings),
    initializerRange: fields.positive("initializer_range", 0.02),
    bosTokenId: fields.tokenId("bos_token_id", defaults.bosTokenId),
    eosTokenId: fields.tokenIds("eos_token_id", defaults.eosTokenId),
    padTokenId: fields.tokenId("pad_token_id", defaults.padTokenId),
  };
  fields.finish(origin);
  return config;
}

/** Old folders name only the class of their model. */
function modelTypeOf(json: Record<string, unknown>, origin: string): ModelType {
  const { model_type: given, architectures } = json;
  const classes = given === undefined && Array.isArray(architectures) ? architectures : [];
  const known = MODEL_TYPES.find((type) =>
    type === given || classes.includes(ARCHITECTURES[type].className)
  );
  if (known) return known;
  throw new UserError(
    `${origin}: model_type ${
      given === undefined ? "is missing and" : quoted(given)
    } is not supported`,
    `supported are ${MODEL_TYPES.join(", ")}`,
  );
}

function headSizeOf(
  fields: Fields,
  { defaults }: Architecture,
  hiddenSize: number,
  heads: number,
): number {
  const given = fields.json.head_dim ?? defaults.headSize;
  if (given === undefined && hiddenSize % heads !== 0 && hiddenSize > 0 && heads > 0) {
    fields.fault(`num_attention_heads must divide hidden_size, got ${heads} and ${hiddenSize}`);
    return NaN;
  }
  const headSize = given === undefined
    ? hiddenSize / heads
    : fields.count("head_dim", given as number);
  // RoPE works on pairs and attention on vectors of four.
  if (headSize > 0 && headSize % 4 !== 0) {
    fields.fault(`head_dim must be a multiple of 4, got ${headSize}`);
  }
  return headSize;
}

/** Refuses features of a configuration that are not supported here. */
function refuseUnsupported(fields: Fields): void {
  const { json } = fields;
  if (json.use_bidirectional_attention) {
    fields.fault("use_bidirectional_attention is not supported");
  }
  const dropout = json.attention_dropout ?? 0;
  if (dropout !== 0) fields.fault(`attention_dropout ${quoted(dropout)} is not supported`);
  if (isObject(json.quantization_config)) {
    const method = quoted(json.quantization_config.quant_method);
    fields.fault(`quantization_config (${method}) is not supported: give the original weights`);
  }
}

/** Formats of saved weights, as config.json calls them. */
export type SavedDType = "float32" | "bfloat16" | "float16";

/**
 * Writes config.json and generation_config.json so that transformers 4 and 5 load them; RoPE is
 * written in both styles. If the model has an `original` config.json,
 * that is written instead, with the dtype, vocabulary and positions of the new weights.
 */
export async function writeHfConfig(
  folder: string,
  config: LlamaConfig,
  dtype: SavedDType,
  original?: Readonly<Record<string, unknown>>,
): Promise<void> {
  const dtypes = { dtype, torch_dtype: dtype }; // torch_dtype: its name in transformers 4
  if (original) {
    const written = {
      ...original,
      ...vocabularyJson(config, original),
      ...positionsJson(config, original),
      ...dtypes,
    };
    return await writeJson(join(folder, CONFIG), written);
  }
  await writeJson(join(folder, CONFIG), {
    architectures: [ARCHITECTURES[config.modelType].className],
    model_type: config.modelType,
    ...dtypes,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headSize,
    ...activationJson(config),
    max_position_embeddings: config.maxPositions,
    ...(config.trainedLength === undefined ? {} : { [TRAINED_LENGTH]: config.trainedLength }),
    rms_norm_eps: config.rmsNormEps,
    ...ropeToJson(config),
    ...windowJson(config),
    attention_bias: config.outputBias,
    mlp_bias: config.mlpBias,
    attention_dropout: 0,
    tie_word_embeddings: config.tieWordEmbeddings,
    initializer_range: config.initializerRange,
    use_cache: true,
    ...tokenIds(config),
  });
  await writeGenerationConfig(folder, config);
}

/** What a derived model may have otherwise: more tokens, or a head apart from its embedding. */
function vocabularyJson(
  { modelType, vocabSize, tieWordEmbeddings }: LlamaConfig,
  original: Readonly<Record<string, unknown>>,
) {
  const { vocab_size: rows = vocabSize } = original;
  const tied = original.tie_word_embeddings ?? ARCHITECTURES[modelType].defaults.tieWordEmbeddings;
  return {
    ...(rows !== vocabSize && { vocab_size: vocabSize }),
    ...(tied !== tieWordEmbeddings && { tie_word_embeddings: tieWordEmbeddings }),
  };
}

/** Positions and RoPE, where they are not those of the original. */
function positionsJson(
  { modelType, headSize, maxPositions, trainedLength, ropeTheta, ropeScaling }: LlamaConfig,
  original: Readonly<Record<string, unknown>>,
) {
  const trained = trainedLength === undefined ? {} : { [TRAINED_LENGTH]: trainedLength };
  const own = original.max_position_embeddings ?? ARCHITECTURES[modelType].defaults.maxPositions;
  const rope = ropeFromJson(new Fields(original), { headSize, maxPositions: Number(own) });
  const now = { ropeTheta, ropeScaling };
  if (own === maxPositions && JSON.stringify([rope]) === JSON.stringify([now])) return trained;
  return {
    ...trained,
    max_position_embeddings: maxPositions,
    ...ropeToJson({ ...now, headSize, maxPositions }),
    original_max_position_embeddings: undefined, // would replace the scaling's own
  };
}

/** Writes the generation_config.json of a model without one; greedy unless it is to be sampled. */
export async function writeGenerationConfig(
  folder: string,
  config: LlamaConfig,
  sampled?: Sampled,
): Promise<void> {
  const sampling = sampled && {
    do_sample: true,
    temperature: sampled.temperature,
    top_k: sampled.topK,
    top_p: sampled.topP,
  };
  await writeJson(join(folder, "generation_config.json"), { ...tokenIds(config), ...sampling });
}

/** Nulls are written explicitly: transformers replaces absent ids by LLaMA's 1 and 2. */
function tokenIds({ bosTokenId, eosTokenId, padTokenId }: LlamaConfig) {
  return {
    bos_token_id: bosTokenId ?? null,
    eos_token_id: eosTokenId ?? null,
    pad_token_id: padTokenId ?? null,
  };
}

function activationJson({ modelType, activation }: LlamaConfig) {
  const name = activation === "gelu_tanh" ? "gelu_pytorch_tanh" : activation;
  return modelType === "gemma"
    ? { hidden_act: name, hidden_activation: name }
    : { hidden_act: name };
}

/** The window in its architecture's fields; Mistral replaces an absent one by its default. */
function windowJson({ modelType, slidingWindow, layers }: LlamaConfig) {
  if (modelType === "mistral") return { sliding_window: slidingWindow?.size ?? null };
  if (modelType !== "qwen2" && modelType !== "qwen3") return {};
  if (!slidingWindow) return { use_sliding_window: false, sliding_window: null };
  const type = (layer: number) =>
    slidingWindow.layers[layer] ? "sliding_attention" : "full_attention";
  return {
    use_sliding_window: true,
    sliding_window: slidingWindow.size,
    max_window_layers: Math.max(0, slidingWindow.layers.indexOf(true)),
    layer_types: Array.from({ length: layers }, (_, layer) => type(layer)),
  };
}
