/**
 * Logits, loss and every gradient of real architectures against PyTorch's, in float32, from files
 * of every number format and from shards.
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { type ElementType, Safetensors } from "../../src/formats/safetensors.ts";
import { writeSafetensorsSharded } from "../../src/formats/safetensors_shards.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type {
  LossAndGradients,
  LossAndGradientsOptions,
} from "../../src/inference/loss_and_gradients.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { toBfloat16 } from "../oracles/bfloat16.ts";
import { strategyTest } from "../kernels/support_strategies.ts";
import { assertClose, gpuTest } from "../support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/models/"));

const MODELS = [
  "llama-mha",
  "llama-gqa-tied",
  "mistral-window",
  "qwen2-bias",
  "qwen3-qknorm",
  "gemma-geglu",
];

/** Runs the model in a folder on the inputs of `expected`. */
async function run(
  gpu: Gpu,
  folder: string,
  expected: Safetensors,
  { weights, ...options }: Partial<LossAndGradientsOptions> & {
    weights?: "int8" | "nf4" | "bfloat16";
  } = {},
): Promise<LossAndGradients> {
  const [batch, length] = expected.info("input_ids").shape;
  const model = await LlamaForCausalLM.fromPretrained(folder, { gpu, weights });
  const result = await model.lossAndGradients(
    await expected.readFloat32("input_ids"),
    await expected.readFloat32("labels"),
    { batch, length, ...options },
  );
  model.release();
  return result;
}

/** Asserts that each tensor is within a share of PyTorch's largest value. */
async function compare(
  actual: LossAndGradients,
  expected: Safetensors,
  share: number,
  ofGradients = share,
) {
  const close = async (entry: string, values: Float32Array, share: number) => {
    const reference = await expected.readFloat32(entry);
    const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assertClose(entry, values, reference, { atol: share * largest, rtol: 0 });
  };
  await close("logits", actual.logits, share);
  await close("loss", Float32Array.of(actual.loss), share);
  const gradients = [...expected.tensors.keys()].filter((entry) => entry.startsWith("grad."));
  assertEquals(
    gradients.map((entry) => entry.slice(5)).sort(),
    [...actual.gradients.keys()].sort(),
  );
  for (const entry of gradients) {
    await close(entry, actual.gradients.get(entry.slice(5))!, ofGradients);
  }
}

// Both sides sum in float32 in their own order: 1e-4 of a tensor's largest value allows for it.
const ORDER = 1e-4;

/**
 * A weight rounded to p bits is off by 2^-(p+1) at most, half of that on average. Errors of
 * different weights are independent, and the largest of thousands of results is several times the
 * typical one: a few dozen roundings.
 */
const FORMATS: Record<"BF16" | "F16", number> = { BF16: 32 * 2 ** -9, F16: 32 * 2 ** -12 };

for (const name of ["llama-mha", "llama-gqa-tied", "gemma-geglu"]) {
  gpuTest(`${name}: and with embedding and head in blocks of rows`, async (gpu) => {
    using expected = await Safetensors.open(`${FIXTURES}${name}/expected.safetensors`);
    const options = { blockRows: 192, keep: "layer_inputs" } as const; // the last one is shorter
    const apart = await run(gpu, FIXTURES + name, expected, options);
    await compare(apart, expected, ORDER);
  });
}

for (const name of MODELS) {
  strategyTest(
    (strategy) => `${name}: logits, loss and every gradient are PyTorch's, ${strategy}`,
    async (gpu) => {
      using expected = await Safetensors.open(`${FIXTURES}${name}/expected.safetensors`);
      await compare(await run(gpu, FIXTURES + name, expected), expected, ORDER);
    },
  );

  gpuTest(`${name}: and so from shards, from bfloat16 and from float16`, async (gpu) => {
    using expected = await Safetensors.open(`${FIXTURES}${name}/expected.safetensors`);
    const folder = await Deno.makeTempDir();
    try {
      await Deno.copyFile(`${FIXTURES}${name}/config.json`, join(folder, "config.json"));
      const save = (dtype: "F32" | "BF16" | "F16") => resave(FIXTURES + name, folder, dtype);
      await save("F32");
      const shards = await Array.fromAsync(Deno.readDir(folder));
      assert(shards.length > 3, "several shards and an index");
      await compare(await run(gpu, folder, expected), expected, ORDER);
      for (const dtype of ["BF16", "F16"] as const) {
        await save(dtype);
        await compare(await run(gpu, folder, expected), expected, FORMATS[dtype]);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

gpuTest(
  "layers' inputs kept as INT8 change gradients alone, within their rounding",
  async (gpu) => {
    for (const name of MODELS) {
      using expected = await Safetensors.open(`${FIXTURES}${name}/expected.safetensors`);
      const result = await run(gpu, FIXTURES + name, expected, { keep: "layer_inputs_int8" });
      // Half a step is 1/510 of a group's range, some 1% of an input: so much of the largest gradient.
      await compare(result, expected, ORDER, 0.03);
    }
  },
);

/** Rewrites a model in another format, in shards of a few tensors each. */
async function resave(from: string, to: string, dtype: ElementType): Promise<void> {
  using file = await Safetensors.open(from);
  const entries = [...file.tensors.values()].map(({ name, shape }) => ({
    name,
    shape,
    dtype,
    data: (async function* () {
      const values = await file.readFloat32(name);
      yield new Uint8Array(
        dtype === "F32"
          ? values.buffer
          : dtype === "F16"
          ? new Float16Array(values).buffer
          : Uint16Array.from(values, toBfloat16).buffer,
      );
    })(),
  }));
  await writeSafetensorsSharded(to, entries, { maxShardBytes: 100_000 });
}

gpuTest("weights in INT8, NF4 and bfloat16 give the loss within their rounding", async (gpu) => {
  using expected = await Safetensors.open(`${FIXTURES}llama-gqa-tied/expected.safetensors`);
  const [reference] = await expected.readFloat32("loss");
  // INT8 and bfloat16 keep about 8 bits of a weight, NF4 four: independent errors of 0.4% and 6%.
  const allowed = { int8: 4e-3, bfloat16: 4e-3, nf4: 3e-2 };
  for (const weights of ["int8", "bfloat16", "nf4"] as const) {
    const before = gpu.account.live;
    const { loss } = await run(gpu, `${FIXTURES}llama-gqa-tied`, expected, { weights });
    assertClose(weights, [loss], [reference], { atol: 0, rtol: allowed[weights] });
    assertEquals(gpu.account.live, before);
  }
});
