/** Adapters in peft's folders: what is read, what is refused by name, what is written. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { PeftAdapter } from "../../src/formats/peft/adapter.ts";
import { openAdapted } from "../../src/formats/peft/adapted_model.ts";
import { type AdapterConfig, readAdapterConfig } from "../../src/formats/peft/config.ts";
import { saveAdapter, saveAdapterConfig } from "../../src/formats/peft/save.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import {
  Safetensors,
  type SafetensorsEntry,
  writeSafetensors,
} from "../../src/formats/safetensors.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { loraScale } from "../../src/model/lora_shape.ts";
import { createParameters } from "../../src/model/parameters.ts";
import { adapterCase } from "../model/support_lora.ts";
import { gpuTest } from "../support.ts";
import { assertRefusesAsync } from "../support_errors.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const PLAIN = {
  peft_type: "LORA",
  r: 8,
  lora_alpha: 16,
  target_modules: ["q_proj", "v_proj"],
};

/** Reads an adapter_config.json with these fields changed. */
async function read(change: Record<string, unknown>): Promise<AdapterConfig> {
  let config: AdapterConfig | undefined;
  await withFolder(async (folder) => {
    const json = JSON.stringify({ ...PLAIN, ...change });
    await Deno.writeTextFile(join(folder, "adapter_config.json"), json);
    config = await readAdapterConfig(folder);
  });
  return config!;
}

async function refused(change: Record<string, unknown>, message: string): Promise<void> {
  await assertRefusesAsync(() => read(change), UserError, message);
}

Deno.test("an adapter given as a model is recognised", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "adapter_config.json"), JSON.stringify(PLAIN));
    await assertRefusesAsync(() => openPretrained(folder), UserError, "is an adapter, not a model");
  }));

Deno.test("an adapter beside a model is not applied without a word", () =>
  withFolder(async (folder) => {
    const { adapter, base } = await adapterCase("llama-qv-r8");
    for (const from of [base, adapter]) {
      for await (const { name, isFile } of Deno.readDir(from)) {
        if (isFile) await Deno.copyFile(join(from, name), join(folder, name));
      }
    }
    using alone = await openPretrained(folder);
    assertEquals(alone.warnings.length, 1);
    assert(alone.warnings[0].includes("holds an adapter beside the model"), alone.warnings[0]);
    using adapted = await openAdapted(folder, folder);
    assertEquals(adapted.warnings, []);
  }));

const QUERY = "model.layers.0.self_attn.q_proj";

Deno.test("rank, alpha and base of a configuration", async () => {
  const size = async (change: Record<string, unknown>) => (await read(change)).sizeOf(QUERY);
  assertEquals(await size({}), { rank: 8, alpha: 16 });
  assertEquals((await read({ base_model_name_or_path: "org/m" })).base, "org/m");
  assertEquals((await size({ lora_alpha: undefined })).alpha, 8, "peft's default");
  const stabilised = await read({ r: 4, use_rslora: true });
  // peft 0.21.2: lora_alpha / math.sqrt(r)
  assertEquals(loraScale(stabilised.sizeOf(QUERY), stabilised.variant), 8);
  assertEquals(loraScale(await size({ r: 4 }), (await read({ r: 4 })).variant), 4);
});

Deno.test("patterns of rank and alpha match as peft's get_pattern_key", async () => {
  // peft 0.21.2: [get_pattern_key([pattern], name) == pattern for name in NAMES]
  const NAMES = [
    QUERY,
    "model.layers.10.self_attn.q_proj",
    "model.layers.0.mlp.up_proj",
    "lm_head",
  ];
  const CASES: [pattern: string, matches: boolean[]][] = [
    ["q_proj", [true, true, false, false]],
    ["proj", [false, false, false, false]],
    [".*proj", [true, true, true, false]],
    ["0.self_attn.q_proj", [true, false, false, false]],
    ["layers\\.[0-9]\\..*", [true, false, true, false]],
    ["model.layers.1.self_attn.q_proj", [false, false, false, false]],
    ["^model\\.layers\\.(?P<layer>\\d+)\\.mlp\\.up_proj\\Z", [false, false, true, false]],
    ["lm_head", [false, false, false, true]],
  ];
  for (const [pattern, matches] of CASES) {
    const { sizeOf } = await read({ rank_pattern: { [pattern]: 3 }, alpha_pattern: { q_proj: 5 } });
    assertEquals(NAMES.map((name) => sizeOf(name).rank === 3), matches, pattern);
    assertEquals(NAMES.map((name) => sizeOf(name).alpha === 5), [true, true, false, false]);
  }
  const { sizeOf } = await read({ rank_pattern: { ".*q_proj": 2, q_proj: 3 } });
  assertEquals(sizeOf(QUERY).rank, 2, "the first");
  await refused({ rank_pattern: { "(": 2 } }, 'rank_pattern: "(" is not a regular expression');
  await refused(
    { alpha_pattern: { q: "x" } },
    'alpha_pattern: q must be a positive number, got "x"',
  );
  await refused({ rank_pattern: [4] }, "rank_pattern must be an object of patterns, got [4]");
});

Deno.test("what only its training needed is not judged: the tensors say what is adapted", async () => {
  const UNSLOTH = "(?:.*?(?:language|text).*?(?:self_attn|attn|mlp).*?(?:q_proj|v_proj).*?)" +
    "|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_attn|mlp)\\.(?:(?:q_proj|v_proj)))";
  for (const target_modules of [UNSLOTH, "all-linear", ["lm_head"], null]) {
    await read({ target_modules });
  }
  await read({
    bias: "all",
    exclude_modules: "k_proj",
    fan_in_fan_out: true, // for Conv1D, in GPT-2: peft ignores it on a Linear
    init_lora_weights: "eva",
    eva_config: { rho: 2 },
    layers_to_transform: 3,
    layers_pattern: "layers",
    modules_to_save: ["lm_head"],
    qalora_group_size: 16,
    runtime_config: { ephemeral_gpu_offload: true },
    trainable_token_indices: [1],
    something_new: "that no switch turns on",
  });
});

Deno.test("everything that would compute something else is refused, all of it at once", async () => {
  const unsupported = {
    peft_type: "IA3",
    init_lora_weights: "pissa",
    use_qalora: true,
    use_bdlora: { target_modules_bd_a: ["q_proj"] },
    use_something_new: true,
    lora_bias: true,
    layer_replication: [[0, 4]],
    target_parameters: ["experts"],
    alora_invocation_tokens: [5],
    arrow_config: { top_k: 2 },
    kasa_config: { beta: 1 },
    monteclora_config: { samples: 2 },
    velora_config: { groups: 2 },
  };
  for (const name of Object.keys(unsupported)) await refused(unsupported, name);
  await refused({ peft_type: "IA3" }, 'peft_type "IA3" is not supported (LORA is)');
  await refused({ use_qalora: true }, "use_qalora is not supported, got true");
  await refused({ r: 0 }, "r must be a positive integer, got 0");
  await refused({ trainable_token_indices: [-1] }, "must be token ids, got [-1]");
  const empty = Object.keys(unsupported).slice(2).map((name) => [name, null]);
  await read({ ...Object.fromEntries(empty), layer_replication: [], velora_config: {} });
});

Deno.test("a folder without an adapter", async () => {
  await withFolder(async (folder) => {
    await assertRefusesAsync(
      () => readAdapterConfig(folder),
      UserError,
      "an adapter is a folder with",
    );
    await Deno.writeTextFile(join(folder, "adapter_config.json"), "[]");
    await assertRefusesAsync(() => readAdapterConfig(folder), UserError, "must be a JSON object");
    await Deno.writeTextFile(join(folder, "adapter_config.json"), JSON.stringify(PLAIN));
    const none = await assertRejects(() => PeftAdapter.open(folder), UserError);
    assert(none.message.includes("adapter_model.safetensors: cannot be opened"), none.message);
    await Deno.writeTextFile(join(folder, "adapter_model.bin"), "");
    const pickled = explain(await assertRejects(() => PeftAdapter.open(folder), UserError));
    assert(pickled.includes("PeftModel.from_pretrained(base, folder).save_pretrained"), pickled);
  });
});

/** An adapter of zeros with these tensors. */
async function withTensors(
  tensors: Record<string, readonly number[]>,
  run: (folder: string) => Promise<void>,
  { dtype = "F32", config = {} }: { dtype?: "F32" | "I8"; config?: Record<string, unknown> } = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const entries = Object.entries(tensors).map(([name, shape]): SafetensorsEntry => {
      const elements = shape.reduce((product, side) => product * side, dtype === "F32" ? 4 : 1);
      return { name, shape, dtype, data: new Uint8Array(elements) };
    });
    await writeSafetensors(join(folder, "adapter_model.safetensors"), entries);
    const json = JSON.stringify({ ...PLAIN, ...config });
    await Deno.writeTextFile(join(folder, "adapter_config.json"), json);
    await run(folder);
  });
}

Deno.test("names as peft of any age, unsloth and wrapped models write them", async () => {
  const names = [
    `base_model.model.${QUERY}.lora_A.weight`,
    `base_model.model.${QUERY}.lora_A.default.weight`,
    `${QUERY}.lora_A.weight`,
    `base_model.model._orig_mod.${QUERY}.lora_A.weight`,
    `module.base_model.model.${QUERY}.lora_A.weight`,
  ];
  for (const name of names) {
    await withTensors({ [name]: [8, 4], [name.replace("_A", "_B")]: [4, 8] }, async (folder) => {
      using adapter = await PeftAdapter.open(folder);
      assertEquals(adapter.lora, { modules: { [QUERY]: { rank: 8, alpha: 16 } } }, name);
    });
  }
  const whole = {
    "base_model.model.lm_head.modules_to_save.default.weight": [4, 4],
    "base_model.model.model.embed_tokens.base_layer.weight": [4, 4],
    "base_model.model.model.norm.weight": [4],
  };
  await withTensors(whole, async (folder) => {
    using adapter = await PeftAdapter.open(folder);
    const names = ["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"];
    assertEquals([...adapter.wholes.keys()].sort(), names);
  });
});

Deno.test("tensors that do not fit each other or the configuration are refused by name", async () => {
  const a = `base_model.model.${QUERY}.lora_A.weight`, b = a.replace("_A", "_B");
  const fails = async (
    tensors: Record<string, readonly number[]>,
    message: string,
    options = {},
  ) => {
    await withTensors(tensors, async (folder) => {
      const error = explain(await assertRejects(() => PeftAdapter.open(folder), UserError));
      assert(error.includes(message), error);
    }, options);
  };
  await fails({ [a]: [8, 4] }, `${b} is missing`);
  await fails({ [a]: [4, 4], [b]: [4, 4] }, `has rank 4, ${QUERY} has 8 by r and rank_pattern`);
  await fails({ [a]: [8, 4], [b]: [4, 8] }, "must be of floating point, is I8", { dtype: "I8" });
  const dora = `base_model.model.${QUERY}.lora_magnitude_vector`;
  const plain = { [a]: [8, 4], [b]: [4, 8] }, scaled = { config: { use_dora: true } };
  await fails({ ...plain, [dora]: [4] }, `${dora} is DoRA's, which use_dora switches off`);
  await fails(plain, `${dora} is missing, which use_dora needs`, scaled);
  const head = Object.entries(plain).map((
    [name, shape],
  ) => [name.replace(QUERY, "lm_head"), shape]);
  await fails(Object.fromEntries(head), "is supported on projections, and lm_head", scaled);
  await withTensors({ ...plain, [`${dora}.default.weight`]: [4] }, async (folder) => {
    using adapter = await PeftAdapter.open(folder);
    assertEquals(adapter.lora.dora, true);
  }, scaled);
  const rows = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta";
  const config = { trainable_token_indices: [1] };
  await fails({ [rows]: [2, 4] }, "has 2 rows, trainable_token_indices 1", { config });
});

Deno.test("an adapter of another model is refused", async () => {
  const llama = await adapterCase("llama-qv-r8"), qwen = await adapterCase("qwen2-all-r8");
  const name = "base_model.model.model.layers";
  const refusal = async (base: string, adapter: string) =>
    explain(await assertRejects(() => openAdapted(base, adapter), UserError));
  const other = await refusal(qwen.base, llama.adapter), lines = other.split("\n");
  assertEquals(lines[0], `${llama.adapter}/adapter_model.safetensors: does not fit the model:`);
  assertEquals(lines.at(-1), "  hint: is llama-qv-r8 an adapter of this model?");
  for (
    const fault of [
      `${name}.2.self_attn.q_proj.lora_A.weight belongs to no module of the model`,
      `${name}.0.self_attn.q_proj.lora_A.weight must be [8, 64], is [8, 96]`,
    ]
  ) assertEquals(lines.includes(`  ${fault}`), true, `${fault} in ${other}`);
  const resized = await adapterCase("odd-resized");
  const taller = await refusal(llama.base, resized.adapter);
  assert(taller.includes("embed_tokens.weight must be [70, 96], is [70, 40]"), taller);
  const biased = await adapterCase("tied-bias-all"), odd = await adapterCase("odd-all-r5");
  const bias = await refusal(odd.base, biased.adapter);
  assert(bias.includes("q_proj.base_layer.bias belongs to no parameter of the model"), bias);
});

gpuTest("what peft wrote is written again with the same bits", async (gpu) => {
  const names = ["llama-qv-r8", "odd-all-r5", "odd-patterns", "odd-layers", "odd-vocabulary"];
  for (const name of [...names, "tied-vocabulary", "tied-dora", "odd-dora"]) {
    const { adapter, base } = await adapterCase(name);
    using source = await openAdapted(base, adapter);
    const { lora } = source.adapter, scope = new Scope(gpu);
    const parameters = createParameters(scope, source.config, {
      weights: "float32",
      groupSize: 256,
      embeddings: "float32",
      trained: "adapters",
      lora,
    });
    await source.adapter.load(gpu, parameters);
    await withFolder(async (folder) => {
      await saveAdapter(gpu, parameters, folder);
      await saveAdapterConfig(parameters, folder, { lora, dropout: 0.1, base });
      using again = await openAdapted(base, folder);
      assertEquals(again.adapter.lora, lora);
      assertEquals(again.adapter.config.base, base);
      const file = "adapter_model.safetensors";
      using before = await Safetensors.open(join(adapter, file));
      using after = await Safetensors.open(join(folder, file));
      // The base's own matrices, which peft adds where the vocabulary is adapted, are not repeated.
      const factors = [...before.tensors.keys()].filter((key) => !key.includes("base_layer"));
      assertEquals([...after.tensors.keys()].sort(), factors.sort());
      for (const key of factors) assertEquals(await after.read(key), await before.read(key), key);
    });
    scope.release();
  }
});

gpuTest(
  "values of an adapter that are not finite are counted, and refused",
  (gpu) =>
    withFolder(async (folder) => {
      const { adapter, base } = await adapterCase("llama-qv-r8");
      using whole = await Safetensors.open(join(adapter, "adapter_model.safetensors"));
      const names = [...whole.tensors.keys()];
      const entries = names.map((name): SafetensorsEntry => ({
        name,
        shape: whole.info(name).shape,
        dtype: "F32",
        data: (async function* () {
          const values = await whole.readFloat32(name);
          if (name === names[1]) values[3] = NaN;
          yield new Uint8Array(values.buffer);
        })(),
      }));
      await writeSafetensors(join(folder, "adapter_model.safetensors"), entries);
      await Deno.copyFile(
        join(adapter, "adapter_config.json"),
        join(folder, "adapter_config.json"),
      );
      await assertRefusesAsync(
        () => LlamaForCausalLM.fromPretrained(base, { gpu, adapter: folder }),
        UserError,
        `tensor ${names[1]}: 1 of ${whole.info(names[1]).shape.reduce((a, b) => a * b)} values`,
      );
    }),
);
