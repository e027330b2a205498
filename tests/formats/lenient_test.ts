/**
 * Odd checkpoints, against transformers: the same logits, or a refusal that says what is wrong.
 * tests/golden/make_lenient.py makes the folders and the values.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { parseLlamaConfig, writeHfConfig } from "../../src/formats/hf_config.ts";
import { readRawConfig } from "../../src/formats/model_files.ts";
import { causalName } from "../../src/formats/module_names.ts";
import { openWeights } from "../../src/formats/open_weights.ts";
import { readBaseConfig } from "../../src/formats/pretrained_model.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { saveWeights } from "../../src/formats/pretrained.ts";
import { Safetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import { UserError } from "../../src/options/user_error.ts";
import { assertClose, gpuTest } from "../support.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/lenient/"));
const IDS = [1, 2, 3, 4, 5, 6];

async function logitsOf(gpu: Gpu, folder: string) {
  const model = await LlamaForCausalLM.fromPretrained(folder, { gpu, weights: "float32" });
  const shape = { batch: 1, length: IDS.length };
  const { logits } = await model.lossAndGradients(IDS, IDS, shape);
  model.release();
  return { logits, warnings: model.warnings };
}

gpuTest("odd checkpoints have the logits that transformers gets", async (gpu) => {
  using expected = await Safetensors.open(FIXTURES + "logits.safetensors");
  const names = [...expected.tensors.keys()].sort();
  assertEquals(
    names.join(),
    "base_model,float16,float64,float8,gelu,gemma_gelu,index_and_single,index_lists_less,index_names_other_file," +
      "old_frequencies,plain,tied,tied_equal_head,tied_head_only,tied_other_head",
  );
  // Of wrapped models transformers would load nothing, and warn.
  const wrapped = ["compiled", "compiled_layers", "twice"];
  for (const name of [...names, ...wrapped]) {
    const { logits, warnings } = await logitsOf(gpu, FIXTURES + name);
    const reference = await expected.readFloat32(wrapped.includes(name) ? "plain" : name);
    assertClose(name, logits, reference, { atol: 2e-5, rtol: 0 });
    assertEquals(warnings.length, name === "tied_other_head" ? 1 : 0, name);
  }
});

gpuTest("a head that differs from the embedding is saved, and config.json says so", async (gpu) => {
  const path = FIXTURES + "tied_other_head", folder = await Deno.makeTempDir();
  try {
    const model = await LlamaForCausalLM.fromPretrained(path, { gpu, weights: "float32" });
    const { parameters, config, warnings } = model;
    assertStringIncludes(
      warnings[0],
      "config.json ties the head to the embedding, but lm_head.weight differs from it",
    );
    using original = await openWeights(path);
    await saveWeights(gpu, parameters, folder, "float32", { original });
    await writeHfConfig(folder, config, "float32", await readRawConfig(path));
    model.release();
    const json = JSON.parse(await Deno.readTextFile(join(folder, "config.json")));
    assertEquals(json.tie_word_embeddings, false);
    using saved = await openWeights(folder);
    const head = "lm_head.weight";
    assertEquals(await saved.readFloat32(head), await original.readFloat32(head));
    const { logits } = await logitsOf(gpu, folder);
    using expected = await Safetensors.open(FIXTURES + "logits.safetensors");
    const reference = await expected.readFloat32("tied_other_head");
    assertClose("saved", logits, reference, { atol: 2e-5, rtol: 0 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a plan counts the head that the weights have", async () => {
  const ties = async (name: string) => (await readBaseConfig(FIXTURES + name)).tieWordEmbeddings;
  assertEquals(await ties("tied"), true);
  assertEquals(await ties("tied_equal_head"), true);
  assertEquals(await ties("tied_other_head"), false);
  assertEquals(await ties("tied_other_head/config.json"), true, "only the configuration is given");
});

gpuTest("checkpoints that would train or answer wrongly are refused", async (gpu) => {
  const refused = (name: string, message: string) =>
    assertRefusesAsync(() => logitsOf(gpu, FIXTURES + name), UserError, message);
  await refused(
    "untied_no_head",
    "lm_head.weight is missing\n  hint: a head that was not saved is usually tied",
  );
  await refused(
    "nan",
    "tensor model.layers.0.mlp.up_proj.weight: 368 of 384 values are NaN or infinite\n  hint: the",
  );
  await refused(
    "scaled_float8",
    "model.layers.0.mlp.up_proj.weight_scale_inv belongs to no parameter",
  );
});

Deno.test("config.json: what transformers makes of odd fields, for every architecture", async () => {
  const { types, cases } = JSON.parse(await Deno.readTextFile(FIXTURES + "configs.json"));
  // More than transformers builds, but cannot compute: key-value heads must divide heads.
  const refusable = (change: object) => "num_key_value_heads" in change;
  let compared = 0;
  for (const { type, change, expected } of cases) {
    const json = Object.fromEntries(
      Object.entries({ ...types[type], ...change }).filter(([, value]) => value !== "(absent)"),
    );
    // What transformers refuses is refused here, or has one meaning only.
    if (expected === null) continue;
    let config: LlamaConfig;
    try {
      config = parseLlamaConfig(json);
    } catch (error) {
      if (error instanceof UserError && refusable(change)) continue;
      throw error;
    }
    compared++;
    assertEquals(
      {
        keyValueHeads: config.keyValueHeads,
        headSize: config.headSize,
        rmsNormEps: config.rmsNormEps,
        attentionBias: config.attentionBias,
        outputBias: config.outputBias,
        mlpBias: config.mlpBias,
        activation: config.activation,
        tied: config.tieWordEmbeddings,
        window: config.slidingWindow?.size ?? null,
        positions: config.maxPositions,
        bos: config.bosTokenId ?? null,
        eos: config.eosTokenId ?? null,
        pad: config.padTokenId ?? null,
      },
      expected,
      `${type} ${JSON.stringify(change)}`,
    );
  }
  assertEquals(compared, 137);
  assertEquals(parseLlamaConfig({ ...types.llama, num_key_value_heads: null }).keyValueHeads, 2);
  const { model_type: _, ...untyped } = types.qwen2;
  const old = parseLlamaConfig({ ...untyped, architectures: ["Qwen2ForCausalLM"] });
  assertEquals(old.modelType, "qwen2");
});

Deno.test("float8: every code has PyTorch's value", async () => {
  using file = await Safetensors.open(FIXTURES + "float8.safetensors");
  for (const [name, dtype] of [["e4m3", "F8_E4M3"], ["e5m2", "F8_E5M2"]]) {
    assertEquals(file.info(name).dtype, dtype);
    assertEquals(await file.readFloat32(name), await file.readFloat32(`${name}.values`));
  }
});

Deno.test("names of wrapped modules are those of the modules", () => {
  const name = "model.layers.0.mlp.up_proj.weight";
  for (
    const wrapped of [
      name,
      "layers.0.mlp.up_proj.weight",
      "model.model.layers.0.mlp.up_proj.weight",
      "module.model.layers.0.mlp.up_proj.weight",
      "base_model.model.model.layers.0.mlp.up_proj.weight",
      "_orig_mod.model.layers.0.mlp.up_proj.weight",
      "model.layers.0._checkpoint_wrapped_module.mlp._orig_mod.up_proj.weight",
      "_fsdp_wrapped_module.model.layers.0._fsdp_wrapped_module.mlp.up_proj.weight",
    ]
  ) assertEquals(causalName(wrapped), name, wrapped);
  assertEquals(causalName("model.lm_head.weight"), "lm_head.weight");
  assertEquals(causalName("embed_tokens.weight"), "model.embed_tokens.weight");
  assertEquals(causalName("norm.weight"), "model.norm.weight");
});

Deno.test("a tensor under two names is refused", async () => {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    const entry = (name: string) =>
      ({ name, dtype: "F32", shape: [1], data: new Uint8Array(4) }) as const;
    await writeSafetensors(path, [entry("norm.weight"), entry("model.norm.weight")]);
    await assertRefusesAsync(
      () => openWeights(path),
      UserError,
      "tensors model.norm.weight and norm.weight are both model.norm.weight",
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("weights in their makers' own layout are named as such", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(folder, "params.json"), "{}");
    await Deno.writeTextFile(join(folder, "consolidated.00.pth"), "");
    await assertRefusesAsync(
      () => openPretrained(folder),
      UserError,
      "config.json: cannot be read: no such file\n  hint: it has a params.json: weights in their",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
