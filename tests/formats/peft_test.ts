/** Adapters in peft's folders: what is read, what is refused by name, what is written. */
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { loadAdapter, readAdapterConfig, saveAdapter } from "../../src/formats/peft.ts";
import { readLlamaConfig } from "../../src/formats/hf_config.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import {
  Safetensors,
  type SafetensorsEntry,
  writeSafetensors,
} from "../../src/formats/safetensors.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { PROJECTIONS } from "../../src/model/description.ts";
import { createParameters, type LoraShape } from "../../src/model/parameters.ts";
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
async function read(change: Record<string, unknown>): Promise<LoraShape & { base?: string }> {
  let shape: LoraShape | undefined;
  await withFolder(async (folder) => {
    const json = JSON.stringify({ ...PLAIN, ...change });
    await Deno.writeTextFile(join(folder, "adapter_config.json"), json);
    shape = await readAdapterConfig(folder);
  });
  return shape!;
}

async function refused(change: Record<string, unknown>, message: string): Promise<void> {
  await assertRefusesAsync(() => read(change), UserError, message);
}

Deno.test("an adapter given as a model is recognised", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "adapter_config.json"), JSON.stringify(PLAIN));
    await assertRefusesAsync(() => openPretrained(folder), UserError, "is an adapter, not a model");
  }));

Deno.test("rank, alpha and base of a configuration", async () => {
  const targets = ["q_proj", "v_proj"] as const;
  const base = undefined;
  assertEquals(await read({}), { rank: 8, alpha: 16, targets, base });
  assertEquals(await read({ base_model_name_or_path: "org/m" }), {
    rank: 8,
    alpha: 16,
    targets,
    base: "org/m",
  });
  assertEquals((await read({ lora_alpha: undefined })).alpha, 8, "peft's default");
  // alpha / √r, as alpha / r
  assertEquals(await read({ r: 4, use_rslora: true }), { rank: 4, alpha: 32, targets, base });
});

Deno.test("targets as names, as paths of modules, and all-linear", async () => {
  const targets = async (target_modules: unknown) => (await read({ target_modules })).targets;
  assertEquals(await targets(["v_proj", "q_proj"]), ["q_proj", "v_proj"]);
  assertEquals(await targets("all-linear"), PROJECTIONS);
  const { adapter } = await adapterCase("qwen2-all-r8"); // peft writes paths for all-linear
  assertEquals((await readAdapterConfig(adapter)).targets, PROJECTIONS);
});

Deno.test("targets that are not adapted here are refused by name", async () => {
  await refused(
    { target_modules: ".*\\.(q|v)_proj" },
    "target_modules is not supported (a list of q_proj, k_proj, v_proj, o_proj, gate_proj, " +
      'up_proj, down_proj, or "all-linear", is), got ".*\\\\.(q|v)_proj"',
  );
  await refused(
    { target_modules: ["q_proj", "lm_head"] },
    'target_modules ["lm_head"] are not supported',
  );
  await refused({ target_modules: null }, "target_modules is missing");
});

Deno.test("everything that would compute something else is refused, all of it at once", async () => {
  const unsupported = {
    peft_type: "IA3",
    bias: "all",
    init_lora_weights: "pissa",
    use_dora: true,
    use_qalora: true,
    use_bdlora: { target_modules_bd_a: ["q_proj"] },
    fan_in_fan_out: true,
    lora_bias: true,
    modules_to_save: ["lm_head"],
    rank_pattern: { q_proj: 4 },
    alpha_pattern: { q_proj: 4 },
    layers_to_transform: 3,
    layer_replication: [[0, 4]],
    exclude_modules: "q_proj",
    trainable_token_indices: [1],
    target_parameters: ["experts"],
    alora_invocation_tokens: [5],
    arrow_config: { top_k: 2 },
    kasa_config: { beta: 1 },
    monteclora_config: { samples: 2 },
    velora_config: { groups: 2 },
  };
  for (const name of Object.keys(unsupported)) await refused(unsupported, name);
  await refused({ peft_type: "IA3" }, 'peft_type "IA3" is not supported (LORA is)');
  await refused({ rank_pattern: { q_proj: 4 } }, 'rank_pattern is not supported, got {"q_proj":4}');
  await refused({ r: 0 }, "r must be a positive integer, got 0");
  const empty = Object.keys(unsupported).slice(3).map((name) => [name, null]);
  await read({ ...Object.fromEntries(empty), modules_to_save: [], rank_pattern: {}, bias: "none" });
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
  });
});

/** Parameters of a base with room for an adapter of this shape. */
async function parametersOf(scope: Scope, base: string, lora: LoraShape) {
  return createParameters(scope, await readLlamaConfig(base), {
    weights: "float32",
    groupSize: 256,
    embeddings: "float32",
    trained: "adapters",
    lora,
  });
}

/** Loads weights into parameters of a base, and returns the error. */
async function refusal(gpu: Gpu, base: string, lora: LoraShape, folder: string): Promise<string> {
  const scope = new Scope(gpu);
  const parameters = await parametersOf(scope, base, lora);
  const error = await assertRejects(() => loadAdapter(gpu, parameters, folder), UserError);
  scope.release();
  return explain(error);
}

gpuTest("an adapter of another model, or of other layers, is refused", async (gpu) => {
  const llama = await adapterCase("llama-qv-r8"), qwen = await adapterCase("qwen2-all-r8");
  const lora = await readAdapterConfig(llama.adapter);
  const name = "base_model.model.model.layers";
  const other = await refusal(gpu, qwen.base, lora, llama.adapter);
  const lines = other.split("\n");
  assertEquals(lines[0], `${llama.adapter}/adapter_model.safetensors: does not fit the model:`);
  assertEquals(lines.at(-1), "  hint: is llama-qv-r8 an adapter of this model?");
  for (
    const fault of [
      `${name}.2.self_attn.q_proj.lora_A.weight belongs to no projection that the adapter targets`,
      `${name}.0.self_attn.q_proj.lora_A.weight must be [8, 64], is [8, 96]`,
    ]
  ) assertEquals(lines.includes(`  ${fault}`), true, `${fault} in ${other}`);
  const deeper = await refusal(gpu, llama.base, { ...lora, targets: PROJECTIONS }, llama.adapter);
  assertEquals(deeper.includes(`${name}.0.self_attn.k_proj.lora_A.weight is missing`), true);
  assertEquals(deeper.includes("and 22 more"), true, deeper);
});

gpuTest("an adapter of integers, or without its file, is refused", async (gpu) => {
  const { adapter, base } = await adapterCase("llama-qv-r8");
  const lora = await readAdapterConfig(adapter);
  await withFolder(async (folder) => {
    const none = await refusal(gpu, base, lora, folder);
    assertEquals(none.includes("adapter_model.safetensors: cannot be opened"), true, none);
    using file = await Safetensors.open(join(adapter, "adapter_model.safetensors"));
    const entries = [...file.tensors.values()].map(({ name, shape }): SafetensorsEntry => ({
      name,
      shape,
      dtype: "I8",
      data: new Uint8Array(shape[0] * shape[1]),
    }));
    await writeSafetensors(join(folder, "adapter_model.safetensors"), entries);
    const integers = await refusal(gpu, base, lora, folder);
    assertEquals(integers.includes("must be of floating point, is I8"), true, integers);
  });
});

gpuTest("what peft wrote is written again with the same bits", async (gpu) => {
  for (const name of ["llama-qv-r8", "odd-all-r5"]) {
    const { adapter, base } = await adapterCase(name);
    const lora = await readAdapterConfig(adapter);
    const scope = new Scope(gpu);
    const parameters = await parametersOf(scope, base, lora);
    await loadAdapter(gpu, parameters, adapter);
    await withFolder(async (folder) => {
      const { rank: loraRank, alpha: loraAlpha } = lora;
      const options = { loraRank, loraAlpha, loraDropout: 0.1, base };
      await saveAdapter(gpu, parameters, folder, options);
      assertEquals(await readAdapterConfig(folder), { ...lora, base });
      const file = "adapter_model.safetensors";
      using before = await Safetensors.open(join(adapter, file));
      using after = await Safetensors.open(join(folder, file));
      assertEquals([...after.tensors.keys()].sort(), [...before.tensors.keys()].sort());
      for (const key of before.tensors.keys()) {
        assertEquals(await after.read(key), await before.read(key), key);
      }
    });
    scope.release();
  }
});
