/** Steps that train adapters: micro-batches, activation checkpointing, and an unchanged base. */
import { assert, assertEquals } from "@std/assert";
import { openAdapted } from "../../src/formats/peft/adapted_model.ts";
import { loadWeights } from "../../src/formats/pretrained.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Batch } from "../../src/model/batch.ts";
import { uploadRope } from "../../src/model/llama.ts";
import type { WeightType } from "../../src/model/parameters.ts";
import { buildTraining } from "../../src/train/build.ts";
import { METHODS } from "../../src/train/methods.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { assertClose, download, gpuTest, randomStream } from "../support.ts";
import { RATES } from "../optim/support_rates.ts";
import { adapterCase } from "../model/support_lora.ts";

const LENGTH = 16, VOCABULARY = 61;

function batchOf(sequences: number, seed: number): Batch {
  const next = randomStream(seed), tokens = sequences * LENGTH;
  const draw = () => Math.floor(next() * VOCABULARY);
  const targets = Int32Array.from({ length: tokens }, (_, i) => (i % 5 === seed ? -100 : draw()));
  const counted = targets.filter((target) => target >= 0).length;
  return { inputs: Uint32Array.from({ length: tokens }, draw), targets, tokens: counted };
}

function joined(a: Batch, b: Batch): Batch {
  return {
    inputs: Uint32Array.of(...a.inputs, ...b.inputs),
    targets: Int32Array.of(...a.targets, ...b.targets),
    tokens: a.tokens + b.tokens,
  };
}

interface Trained {
  /** By name, after the last step. */
  readonly adapters: ReadonlyMap<string, Float32Array>;
  /** Bytes before and after, by name. */
  readonly frozen: ReadonlyMap<string, readonly [Uint8Array, Uint8Array]>;
  readonly loss: number;
}

/** Two steps on the adapter of a fixture. */
async function train(
  gpu: Gpu,
  steps: readonly (readonly Batch[])[],
  { batchSize, weights = "float32", checkpointing = false }: {
    batchSize: number;
    weights?: WeightType;
    checkpointing?: boolean;
  },
): Promise<Trained> {
  const { adapter, base } = await adapterCase("odd-all-r5");
  using source = await openAdapted(base, adapter);
  const scope = new Scope(gpu);
  const training = buildTraining(scope, source.config, {
    batchSize,
    seqLen: LENGTH,
    dtype: "float32",
    activationCheckpointing: checkpointing,
    weights,
    weightGroupSize: 256,
    embeddings: "float32",
    trained: "adapters",
    lora: { ...source.adapter.lora, dropout: 0 },
    optimizer: { rules: METHODS.lora.rules, gradientAccumulation: steps[0].length },
  }, gpu.capabilities);
  const { model, load } = training, { all } = model.parameters;
  uploadRope(gpu, model);
  await loadWeights(gpu, model.parameters, source.weights, { workspace: load });
  await source.adapter.load(gpu, model.parameters);
  const base0 = all.filter(({ trainable }) => !trainable);
  const before = new Map<string, Uint8Array>();
  for (const { name, weight } of base0) before.set(name, await gpu.read(weight));

  for (const [index, batches] of steps.entries()) {
    const options = { step: index + 1, lr: 0.01, rates: RATES, lossIndex: 0 };
    await new RecordedStep(gpu, training, batches, options).give();
  }
  const adapters = new Map<string, Float32Array>();
  for (const { kind, name, weight } of all) {
    if (kind === "adapter") adapters.set(name, await download(gpu, weight));
  }
  const frozen = new Map<string, readonly [Uint8Array, Uint8Array]>();
  for (const { name, weight } of base0) {
    frozen.set(name, [before.get(name)!, await gpu.read(weight)]);
  }
  const loss = (await download(gpu, training.losses))[0];
  scope.release();
  return { adapters, frozen, loss };
}

function assertSame(a: Trained, b: Trained): void {
  for (const [name, values] of a.adapters) {
    // Factors move by about 0.01 a step. Sums in another order differ by some 1e-7 of a gradient,
    // which Adam's division by a small root may raise a hundredfold.
    assertClose(name, values, b.adapters.get(name)!, { atol: 3e-6, rtol: 1e-5 });
  }
  assertClose("loss", [a.loss], [b.loss], { atol: 0, rtol: 1e-5 });
}

gpuTest("two micro-batches equal one batch of both, and the base is unchanged", async (gpu) => {
  const [a, b, c, d] = [1, 2, 3, 4].map((seed) => batchOf(2, seed));
  const apart = await train(gpu, [[a, b], [c, d]], { batchSize: 2 });
  const together = await train(gpu, [[joined(a, b)], [joined(c, d)]], { batchSize: 4 });
  assertSame(apart, together);
  for (const [name, [before, after]] of apart.frozen) assertEquals(after, before, name);
});

gpuTest("QLoRA: checkpointed activations train the same, and the base stays", async (gpu) => {
  const steps = [[batchOf(2, 1)], [batchOf(2, 2)]];
  const kept = await train(gpu, steps, { batchSize: 2, weights: "nf4" });
  const again = await train(gpu, steps, { batchSize: 2, weights: "nf4", checkpointing: true });
  assertEquals(again.adapters, kept.adapters);
  assertEquals(again.loss, kept.loss);
  for (const [name, [before, after]] of kept.frozen) assertEquals(after, before, name);
  assert(kept.frozen.size === 21 && kept.adapters.size === 28);
});
