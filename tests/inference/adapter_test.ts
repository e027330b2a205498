import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import {
  Safetensors,
  type SafetensorsEntry,
  writeSafetensors,
} from "../../src/formats/safetensors.ts";
import { UserError } from "../../src/options/user_error.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { assertClose, gpuTest, randomNormal } from "../support.ts";

const BASE = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));
// A rank that is not a multiple of 8, so that its rows are padded.
const RANK = 3, ALPHA = 12, TARGETS = ["q_proj", "v_proj", "down_proj"];

interface Factors {
  readonly shape: readonly number[];
  readonly a: Float32Array<ArrayBuffer>; // (r, in)
  readonly b: Float32Array<ArrayBuffer>; // (out, r)
}

async function randomFactors(): Promise<Map<string, Factors>> {
  using base = await Safetensors.open(BASE);
  const factors = new Map<string, Factors>();
  for (const [name, { shape }] of base.tensors) {
    if (!TARGETS.some((target) => name.endsWith(`${target}.weight`))) continue;
    const seed = factors.size;
    factors.set(name, {
      shape,
      a: randomNormal(RANK * shape[1], seed, 0.1),
      b: randomNormal(shape[0] * RANK, 100 + seed, 0.1),
    });
  }
  return factors;
}

const entry = (
  name: string,
  shape: readonly number[],
  values: Float32Array<ArrayBuffer>,
): SafetensorsEntry => ({
  name,
  shape,
  dtype: "F32",
  data: (async function* () {
    yield await Promise.resolve(new Uint8Array(values.buffer));
  })(),
});

async function writeAdapter(folder: string, factors: Map<string, Factors>): Promise<void> {
  await Deno.mkdir(folder);
  const entries = [...factors].flatMap(([name, { shape: [out, inner], a, b }]) => {
    const module = `base_model.model.${name.slice(0, -".weight".length)}`;
    return [
      entry(`${module}.lora_A.weight`, [RANK, inner], a),
      entry(`${module}.lora_B.weight`, [out, RANK], b),
    ];
  });
  await writeSafetensors(join(folder, "adapter_model.safetensors"), entries);
  const config = { peft_type: "LORA", r: RANK, lora_alpha: ALPHA, target_modules: TARGETS };
  await Deno.writeTextFile(join(folder, "adapter_config.json"), JSON.stringify(config));
}

/** W + α/r · B·A, as peft's `merge_and_unload` leaves it. */
async function writeMerged(folder: string, factors: Map<string, Factors>): Promise<void> {
  await Deno.mkdir(folder);
  using base = await Safetensors.open(BASE);
  const entries: SafetensorsEntry[] = [];
  for (const [name, { shape }] of base.tensors) {
    const weight = await base.readFloat32(name);
    const { a, b } = factors.get(name) ?? {};
    for (let i = 0; a && b && i < weight.length; i++) {
      const row = Math.floor(i / shape[1]), column = i % shape[1];
      let update = 0;
      for (let r = 0; r < RANK; r++) update += b[row * RANK + r] * a[r * shape[1] + column];
      weight[i] += ALPHA / RANK * update;
    }
    entries.push(entry(name, shape, weight as Float32Array<ArrayBuffer>));
  }
  await writeSafetensors(join(folder, "model.safetensors"), entries);
  await Deno.copyFile(join(BASE, "config.json"), join(folder, "config.json"));
}

gpuTest("a model with an adapter is the merged model", async (gpu) => {
  const folder = await Deno.makeTempDir();
  try {
    const factors = await randomFactors(), adapter = join(folder, "adapter");
    await writeAdapter(adapter, factors);
    await writeMerged(join(folder, "merged"), factors);
    const adapted = await LlamaForCausalLM.fromPretrained(BASE, { gpu, adapter });
    const merged = await LlamaForCausalLM.fromPretrained(join(folder, "merged"), { gpu });
    const plain = await LlamaForCausalLM.fromPretrained(BASE, { gpu });

    const ids = [5, 17, 200, 3, 3, 90, 41], size = { batch: 1, length: ids.length };
    const logits = (model: LlamaForCausalLM) =>
      model.lossAndGradients(ids, ids, size).then(({ logits }) => logits);
    const [one, other, without] = [
      await logits(adapted),
      await logits(merged),
      await logits(plain),
    ];
    const change = one.reduce((most, value, i) => Math.max(most, Math.abs(value - without[i])), 0);
    assert(change > 0.1, `the adapter changes logits by ${change}`);
    // x·(W + s·B·A) against x·W + s·(x·A)·B in float32: roundings of sums of about 1.
    assertClose("logits", one, other, { atol: 2e-5, rtol: 2e-5 });

    const generate = (model: LlamaForCausalLM) =>
      Array.fromAsync(model.generate(ids, { maxNewTokens: 16, temperature: 0 }));
    assertEquals(await generate(adapted), await generate(merged));
    for (const model of [adapted, merged, plain]) model.release();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

gpuTest(
  "an adapter of another model, or a missing one, is refused and leaves nothing allocated",
  async (gpu) => {
    const folder = await Deno.makeTempDir();
    try {
      const live = gpu.account.live, adapter = join(folder, "adapter");
      await writeAdapter(adapter, await randomFactors());
      const load = (base: string, adapter: string) =>
        LlamaForCausalLM.fromPretrained(base, { gpu, adapter });
      const other = fromFileUrl(import.meta.resolve("../fixtures/models/llama-mha"));
      await assertRejects(() => load(other, adapter), UserError, "does not fit the model");
      await assertRejects(
        () => load(BASE, join(folder, "none")),
        UserError,
        `adapter ${join(folder, "none")}: no such file or folder`,
      );
      assertEquals(gpu.account.live, live);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
