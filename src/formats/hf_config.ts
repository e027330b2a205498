/** Hugging Face's config.json and generation_config.json of a LLaMA. */
import { join } from "@std/path";
import { UserError } from "../gpu/errors.ts";
import { LLAMA_TRAITS, type LlamaConfig, type RopeScaling } from "../model/config.ts";
import { writeJson } from "./atomic.ts";
import { Fields, isObject } from "./fields.ts";

const CONFIG = "config.json";

/** Reads a config.json, or that of a folder. Throws a {@link UserError} with all its faults. */
export async function readLlamaConfig(path: string): Promise<LlamaConfig> {
  const info = await Deno.stat(path).catch(() => null);
  const file = info?.isDirectory ? join(path, CONFIG) : path;
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    throw new UserError(`${file}: cannot be read: ${(error as Error).message}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${file}: is no valid JSON: ${(error as Error).message}`);
  }
  return parseLlamaConfig(json, file);
}

/**
 * A configuration in the style of transformers 4 (`rope_theta`, `rope_scaling`) or 5
 * (`rope_parameters`). Absent fields have the defaults of transformers' LlamaConfig, except sizes,
 * which must be given. `origin` is named in the error.
 */
export function parseLlamaConfig(json: unknown, origin = CONFIG): LlamaConfig {
  if (!isObject(json)) throw new UserError(`${origin}: must be a JSON object`);
  const fields = new Fields(json);
  if (json.model_type !== "llama") {
    throw new UserError(
      `${origin}: model_type ${JSON.stringify(json.model_type) ?? "is missing and"} is not ` +
        "supported, only llama is",
    );
  }
  const hiddenSize = fields.count("hidden_size");
  const heads = fields.count("num_attention_heads");
  const keyValueHeads = fields.count("num_key_value_heads", heads);
  const headSize = headSizeOf(fields, hiddenSize, heads);
  if (heads % keyValueHeads !== 0 && heads > 0 && keyValueHeads > 0) {
    fields.fault(
      `num_key_value_heads must divide num_attention_heads, got ${keyValueHeads} and ${heads}`,
    );
  }
  refuseUnsupported(fields);
  const config: LlamaConfig = {
    ...LLAMA_TRAITS,
    vocabSize: fields.count("vocab_size"),
    hiddenSize,
    intermediateSize: fields.count("intermediate_size"),
    layers: fields.count("num_hidden_layers"),
    heads,
    keyValueHeads,
    headSize,
    maxPositions: fields.count("max_position_embeddings", 2048),
    rmsNormEps: fields.positive("rms_norm_eps", 1e-6),
    ...ropeOf(fields),
    tieWordEmbeddings: fields.flag("tie_word_embeddings", false),
    initializerRange: fields.positive("initializer_range", 0.02),
    bosTokenId: fields.tokenId("bos_token_id", 1),
    eosTokenId: fields.tokenIds("eos_token_id", 2),
    padTokenId: fields.tokenId("pad_token_id"),
  };
  fields.finish(origin);
  return config;
}

function headSizeOf(fields: Fields, hiddenSize: number, heads: number): number {
  const given = fields.json.head_dim ?? undefined;
  if (given === undefined && hiddenSize % heads !== 0 && hiddenSize > 0 && heads > 0) {
    fields.fault(`num_attention_heads must divide hidden_size, got ${heads} and ${hiddenSize}`);
    return NaN;
  }
  const headSize = given === undefined ? hiddenSize / heads : fields.count("head_dim");
  // Rotary embedding works on pairs and attention on vectors of four.
  if (headSize > 0 && headSize % 4 !== 0) {
    fields.fault(`head_dim must be a multiple of 4, got ${headSize}`);
  }
  return headSize;
}

/** What LlamaConfig can ask for and this trainer does not compute. */
function refuseUnsupported(fields: Fields): void {
  const { json } = fields;
  for (const name of ["attention_bias", "mlp_bias"]) {
    if (fields.flag(name, false)) fields.fault(`${name} true is not supported`);
  }
  const activation = json.hidden_act ?? "silu";
  if (activation !== "silu") {
    fields.fault(`hidden_act ${JSON.stringify(activation)} is not supported, only "silu" is`);
  }
  const dropout = json.attention_dropout ?? 0;
  if (dropout !== 0) fields.fault(`attention_dropout ${JSON.stringify(dropout)} is not supported`);
  if (isObject(json.quantization_config)) {
    const method = JSON.stringify(json.quantization_config.quant_method);
    fields.fault(`quantization_config (${method}) is not supported: give the original weights`);
  }
}

function ropeOf(fields: Fields): Pick<LlamaConfig, "ropeTheta" | "ropeScaling"> {
  const { json } = fields;
  const name = isObject(json.rope_parameters) ? "rope_parameters" : "rope_scaling";
  const rope = json[name] ?? {};
  if (!isObject(rope)) {
    fields.fault(`${name} must be an object or null, got ${JSON.stringify(rope)}`);
    return { ropeTheta: NaN };
  }
  const nested = new Fields({ rope_theta: json.rope_theta, ...rope });
  const ropeTheta = nested.positive("rope_theta", 10000);
  if ((rope.partial_rotary_factor ?? json.partial_rotary_factor ?? 1) !== 1) {
    nested.fault("partial_rotary_factor other than 1 is not supported");
  }
  const ropeScaling = scalingOf(nested);
  for (const fault of nested.faults) fields.fault(`${name}: ${fault}`);
  return ropeScaling ? { ropeTheta, ropeScaling } : { ropeTheta };
}

function scalingOf(rope: Fields): RopeScaling | undefined {
  const type = rope.json.rope_type ?? rope.json.type ?? "default";
  switch (type) {
    case "default":
      return undefined;
    case "linear":
      return { type: "linear", factor: rope.positive("factor") };
    case "llama3":
      return {
        type: "llama3",
        factor: rope.positive("factor"),
        lowFreqFactor: rope.positive("low_freq_factor"),
        highFreqFactor: rope.positive("high_freq_factor"),
        originalMaxPositions: rope.count("original_max_position_embeddings"),
      };
    default:
      rope.fault(
        `rope_type ${JSON.stringify(type)} is not supported (default, linear, llama3 are)`,
      );
  }
}

/**
 * Writes config.json and generation_config.json so that transformers 4 and 5 load them; rope is
 * given in both styles, and 5 takes `rope_parameters`.
 */
export async function writeHfConfig(
  folder: string,
  config: LlamaConfig,
  dtype: "float32" | "bfloat16",
): Promise<void> {
  // Null is written, never left out: transformers takes an absent id for LLaMA's 1 and 2.
  const ids = {
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: config.eosTokenId ?? null,
    pad_token_id: config.padTokenId ?? null,
  };
  const scaling = scalingJson(config.ropeScaling);
  await writeJson(join(folder, CONFIG), {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    dtype,
    torch_dtype: dtype, // its name in transformers 4
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headSize,
    hidden_act: "silu",
    max_position_embeddings: config.maxPositions,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    rope_scaling: scaling,
    rope_parameters: { ...(scaling ?? { rope_type: "default" }), rope_theta: config.ropeTheta },
    attention_bias: false,
    mlp_bias: false,
    attention_dropout: 0,
    tie_word_embeddings: config.tieWordEmbeddings,
    initializer_range: config.initializerRange,
    use_cache: true,
    ...ids,
  });
  await writeJson(join(folder, "generation_config.json"), ids);
}

function scalingJson(scaling: RopeScaling | undefined) {
  if (!scaling) return null;
  const { type, factor } = scaling;
  if (type === "linear") return { rope_type: type, factor };
  return {
    rope_type: type,
    factor,
    low_freq_factor: scaling.lowFreqFactor,
    high_freq_factor: scaling.highFreqFactor,
    original_max_position_embeddings: scaling.originalMaxPositions,
  };
}
