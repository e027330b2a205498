/** Runs of peft and transformers with variants of LoRA, step by step: tests/golden/make_lora_training.py. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { openAdapted } from "../../src/formats/peft/adapted_model.ts";
import { loadWeights } from "../../src/formats/pretrained.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Batch } from "../../src/model/batch.ts";
import { uploadRope } from "../../src/model/llama.ts";
import type { WeightType } from "../../src/model/parameters.ts";
import type { OptimizerRates } from "../../src/optim/rates.ts";
import { buildTraining } from "../../src/train/build.ts";
import { METHODS } from "../../src/train/methods.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { download, gpuTest } from "../support.ts";
import { RATES } from "../optim/support_rates.ts";
import { assertCloseToLargest } from "../model/support_lora.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));
const STEPS = 24;

interface Case {
  readonly base: string;
  readonly rates: Partial<OptimizerRates>;
  readonly weights?: WeightType;
}

const CASES: Readonly<Record<string, Case>> = {
  clipped: { base: "odd", rates: { maxGradNorm: 0.1 } },
  // Scaled by α/√r, with ranks above the sides of the matrices.
  rslora: { base: "odd", rates: {} },
  // B at four times the rate of A, and an embedding with a rate of its own.
  loraplus: { base: "tied", rates: { loraplusLrRatio: 4, loraplusLrEmbedding: 1e-3 } },
  neftune: { base: "odd", rates: { neftuneNoiseAlpha: 5 } },
  // Bounded by the length that a micro-batch is padded to, not by the run's longest.
  "neftune-padded-nf4": { base: "wide", rates: { neftuneNoiseAlpha: 8 }, weights: "nf4" },
  dora: { base: "odd", rates: {} },
  // With ranks above sides, rsLoRA and LoRA+, by which lengths learn as B does.
  "dora-wide": { base: "tied", rates: { loraplusLrRatio: 2 } },
  // Lengths are of weights alone; biases that peft has trained stay as they are.
  "dora-biases": { base: "tied", rates: {} },
};

for (const [name, { base, rates, weights = "float32" }] of Object.entries(CASES)) {
  gpuTest(`${name}: ${STEPS} steps are peft's`, async (gpu) => {
    const folder = `${FIXTURES}lora_training/${name}`;
    using expected = await Safetensors.open(`${folder}/expected.safetensors`);
    using source = await openAdapted(`${FIXTURES}lora/${base}`, folder);
    const batches = await batchesOf(expected);
    const scope = new Scope(gpu);
    const training = buildTraining(scope, source.config, {
      batchSize: 2,
      seqLen: batches[0].inputs.length / 2,
      dtype: "float32",
      activationCheckpointing: false,
      weights,
      weightGroupSize: 256,
      embeddings: "float32",
      trained: "adapters",
      lora: { ...source.adapter.lora, dropout: 0 },
      optimizer: { rules: METHODS.lora.rules, gradientAccumulation: 1, clips: !!rates.maxGradNorm },
    }, gpu.capabilities);
    const { model: { parameters }, losses: out } = training;
    uploadRope(gpu, training.model);
    await loadWeights(gpu, parameters, source.weights, { workspace: training.load });
    await source.adapter.load(gpu, parameters);

    const losses: number[] = [];
    for (let step = 1; step <= STEPS; step++) {
      const batch = batches[(step - 1) % batches.length];
      const options = { step, lr: 0.01, rates: { ...RATES, ...rates }, lossIndex: 0 };
      await new RecordedStep(gpu, training, [batch], options).give();
      losses.push((await download(gpu, out))[0] / batch.tokens);
    }
    // Both sum in float32, in their own order: 1e-5 of a loss, and 1e-4 of the largest value of a
    // tensor that 24 steps have moved by a tenth or more of it.
    assertCloseToLargest("losses", losses, await expected.readFloat32("losses"), 1e-5);
    const trained = parameters.all.filter(({ trainable }) => trainable);
    assertEquals(
      trained.map(({ name }) => `final.${name}`).sort(),
      [...expected.tensors.keys()].filter((entry) => entry.startsWith("final.")).sort(),
    );
    for (const { name, weight, shape } of trained) {
      const values = await download(gpu, weight);
      const [rows, columns] = shape, isTransposed = name.endsWith("lora_embedding_A");
      const stored = isTransposed
        ? values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)])
        : values;
      assertCloseToLargest(name, stored, await expected.readFloat32(`final.${name}`), 1e-4);
    }
    scope.release();
  });
}

/** Labels stand at their tokens, and are shifted by one here. */
async function batchesOf(expected: Safetensors): Promise<Batch[]> {
  const [count, rows, length] = expected.info("input_ids").shape, size = rows * length;
  const ids = await expected.readFloat32("input_ids"),
    labels = await expected.readFloat32("labels");
  const lengths = expected.tensors.has("lengths") ? await expected.readFloat32("lengths") : [];
  return Array.from({ length: count }, (_, index) => {
    const at = index * size;
    const targets = Int32Array.from(
      { length: size },
      (_, n) => (n % length === length - 1 ? -100 : labels[at + n + 1]),
    );
    const inputs = Uint32Array.from(ids.subarray(at, at + size));
    const tokens = targets.filter((target) => target >= 0).length;
    return { inputs, targets, tokens, longest: lengths[index] };
  });
}
