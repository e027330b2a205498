import { assertRefusesAsync } from "../support_errors.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { parseLlamaConfig, readLlamaConfig, writeHfConfig } from "../../src/formats/hf_config.ts";
import { LLAMA_TRAITS, type LlamaConfig, PRESETS } from "../../src/model/config.ts";

const MODELS = fromFileUrl(import.meta.resolve("../fixtures/models/"));

const MHA: LlamaConfig = {
  ...LLAMA_TRAITS,
  vocabSize: 256,
  hiddenSize: 64,
  intermediateSize: 172,
  layers: 2,
  heads: 4,
  keyValueHeads: 4,
  headSize: 16,
  maxPositions: 128,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  tieWordEmbeddings: false,
  initializerRange: 0.08,
  bosTokenId: 1,
  eosTokenId: 2,
  padTokenId: undefined,
};

const LLAMA3 = {
  type: "llama3",
  factor: 8,
  lowFreqFactor: 1,
  highFreqFactor: 4,
  originalMaxPositions: 16,
} as const;

Deno.test("hf_config: reads what transformers 5 wrote", async () => {
  assertEquals(await readLlamaConfig(MODELS + "llama-mha"), MHA);
  const tied = await readLlamaConfig(MODELS + "llama-gqa-tied/config.json");
  assertEquals(tied.ropeTheta, 500000);
  assertEquals(tied.ropeScaling, LLAMA3);
  assertEquals([tied.heads, tied.keyValueHeads, tied.headSize], [6, 2, 16]);
  assertEquals(tied.tieWordEmbeddings, true);
});

/** The required fields of a config. */
const LEAST = {
  model_type: "llama",
  vocab_size: 32000,
  hidden_size: 512,
  intermediate_size: 1376,
  num_hidden_layers: 8,
  num_attention_heads: 8,
};

Deno.test("hf_config: reads the style of transformers 4, and its defaults", () => {
  const config = parseLlamaConfig(LEAST);
  assertEquals([config.keyValueHeads, config.headSize], [8, 64]);
  assertEquals([config.maxPositions, config.rmsNormEps, config.ropeTheta], [2048, 1e-6, 10000]);
  assertEquals([config.bosTokenId, config.eosTokenId], [1, 2]); // those of LlamaConfig
  const rope_scaling = {
    type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 16,
  };
  const scaled = parseLlamaConfig({ ...LEAST, rope_theta: 500000, rope_scaling });
  assertEquals([scaled.ropeTheta, scaled.ropeScaling], [500000, LLAMA3]);
  const linear = { ...LEAST, rope_scaling: { type: "linear", factor: 2 }, eos_token_id: [1, 3] };
  assertEquals(parseLlamaConfig(linear).ropeScaling, { type: "linear", factor: 2 });
  assertEquals(parseLlamaConfig(linear).eosTokenId, [1, 3]);
});

Deno.test("hf_config: architectures and the defaults of their classes", () => {
  const parse = (model_type: string, more = {}) =>
    parseLlamaConfig({ ...LEAST, num_key_value_heads: undefined, model_type, ...more });
  const mistral = parse("mistral");
  assertEquals(mistral.slidingWindow?.size, 4096);
  assertEquals(mistral.keyValueHeads, 8);
  assertEquals(parse("mistral", { sliding_window: null }).slidingWindow, undefined);
  const qwen2 = parse("qwen2", { num_key_value_heads: 2 });
  assertEquals([qwen2.attentionBias, qwen2.outputBias, qwen2.bosTokenId], [true, false, undefined]);
  const windowed = parse("qwen2", {
    num_key_value_heads: 2,
    use_sliding_window: true,
    sliding_window: 16,
    max_window_layers: 1,
  });
  assertEquals(windowed.slidingWindow?.layers.slice(0, 2), [false, true]);
  const qwen3 = parse("qwen3", { num_key_value_heads: 2 });
  assertEquals([qwen3.qkNorm, qwen3.headSize], [true, 128]);
  const gemma = parse("gemma", { num_key_value_heads: 1, hidden_act: "gelu" });
  assertEquals(
    [gemma.activation, gemma.normOffset, gemma.embeddingScale, gemma.tieWordEmbeddings],
    ["gelu", 1, Math.sqrt(gemma.hiddenSize), true],
  );
  const activation = (fields: object) =>
    parse("gemma", { num_key_value_heads: 1, ...fields }).activation;
  // transformers 5.17 reads hidden_act alone.
  assertEquals(activation({}), "gelu_tanh");
  assertEquals(
    activation({ hidden_act: "gelu", hidden_activation: "gelu_pytorch_tanh" }),
    "gelu",
  );
  const biased = parse("llama", { attention_bias: true, mlp_bias: true });
  assertEquals([biased.attentionBias, biased.outputBias, biased.mlpBias], [true, true, true]);
});

Deno.test("hf_config: reports all faults at once", () => {
  const error = assertThrows(
    () =>
      parseLlamaConfig({
        ...LEAST,
        vocab_size: 0,
        intermediate_size: undefined,
        hidden_size: 513,
        num_key_value_heads: 3,
        attention_bias: "yes",
        hidden_act: "relu",
        rope_scaling: { rope_type: "su", factor: 4 },
        eos_token_id: "</s>",
      }, "model/config.json"),
    UserError,
  );
  assertEquals(error.message.split("\n").map((line: string) => line.trim()), [
    "model/config.json: num_attention_heads must divide hidden_size, got 8 and 513",
    "num_key_value_heads must divide num_attention_heads, got 3 and 8",
    'hidden_act "relu" is not supported (silu, swish, gelu, gelu_pytorch_tanh, gelu_new, gelu_fast are)',
    'attention_bias must be true or false, got "yes"',
    "vocab_size must be a positive integer, got 0",
    "intermediate_size is missing (a positive integer)",
    'rope_scaling: rope_type "su" is not supported (default, linear, dynamic, yarn, longrope, llama3 are)',
    'eos_token_id must be a token id or null, got "</s>"',
  ]);
});

const REFUSED: [unknown, string][] = [
  [{ ...LEAST, model_type: "mamba" }, 'model_type "mamba" is not supported'],
  [{ ...LEAST, model_type: "qwen3", head_dim: 12 }, "head_dim must be a multiple of 8 in qwen3"],
  [{ ...LEAST, model_type: "gemma", hidden_activation: "silu" }, 'hidden_activation "silu" is not'],
  [{ ...LEAST, model_type: "mistral", sliding_window: -1 }, "sliding_window must be a positive"],
  [{ ...LEAST, model_type: undefined }, "model_type is missing"],
  [[], "must be a JSON object"],
  [{ ...LEAST, head_dim: 6 }, "head_dim must be a multiple of 4, got 6"],
  [{ ...LEAST, num_hidden_layers: -1 }, "num_hidden_layers must be a positive integer, got -1"],
  [{ ...LEAST, vocab_size: "32000" }, 'vocab_size must be a positive integer, got "32000"'],
  [{ ...LEAST, rms_norm_eps: 0 }, "rms_norm_eps must be a positive number, got 0"],
  [{ ...LEAST, attention_dropout: 0.1 }, "attention_dropout 0.1 is not supported"],
  [{ ...LEAST, quantization_config: { quant_method: "gptq" } }, '("gptq") is not supported'],
  [{ ...LEAST, rope_parameters: { rope_theta: -1 } }, "rope_parameters: rope_theta must be a posi"],
  [{ ...LEAST, rope_scaling: { type: "llama3" } }, "rope_scaling: factor is missing"],
];

for (const [json, message] of REFUSED) {
  Deno.test(`hf_config: refuses: ${message}`, () => {
    assertThrows(() => parseLlamaConfig(json), UserError, message);
  });
}

Deno.test("hf_config: a run's folder is not a model, but says where its model is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const tuned = join(folder, "adapter"), model = join(folder, "checkpoint-500");
    const fails = (hint: string) =>
      assertRefusesAsync(() => readLlamaConfig(folder), UserError, hint);
    await Deno.mkdir(tuned);
    await Deno.writeTextFile(join(tuned, "adapter_config.json"), "{}");
    await fails(`it has an adapter, ${tuned}: give that, and its base as the model`);
    await Deno.mkdir(model);
    await Deno.writeTextFile(join(model, "config.json"), "{}");
    await fails(`the model is in ${model}`);
    await assertRefusesAsync(() => loadTokenizer(folder), UserError, `the model is in ${model}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("hf_config: what is written is read again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const configs: LlamaConfig[] = [
      MHA,
      { ...MHA, ropeScaling: LLAMA3, ropeTheta: 500000, eosTokenId: [1, 2], padTokenId: 0 },
      { ...MHA, ropeScaling: { type: "linear", factor: 2 }, keyValueHeads: 2, headSize: 32 },
      ...await Promise.all(
        ["gemma-geglu", "mistral-window", "qwen2-bias", "qwen3-qknorm"].map((name) =>
          readLlamaConfig(MODELS + name)
        ),
      ),
      ...Object.values(PRESETS),
    ];
    for (const config of configs) {
      await writeHfConfig(folder, config, "float32");
      const none = { bosTokenId: undefined, eosTokenId: undefined, padTokenId: undefined };
      assertEquals(await readLlamaConfig(folder), { ...none, ...config });
    }
    await Deno.writeTextFile(join(folder, "config.json"), '{"model_type": ');
    await assertRejects(
      () => readLlamaConfig(folder),
      UserError,
      "config.json: is not valid JSON: Unexpected end of JSON input",
    );
    await assertRejects(
      () => readLlamaConfig(join(folder, "none")),
      UserError,
      "none: cannot be read",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
