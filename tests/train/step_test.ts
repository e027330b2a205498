/** Micro-batches against one large batch, and the low-rank sum against a repeated batch. */
import { assert } from "@std/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { initialize } from "../../src/model/initialize.ts";
import { uploadRope } from "../../src/model/llama.ts";
import { buildTraining, type TrainingShape } from "../../src/train/build.ts";
import { METHODS } from "../../src/train/methods.ts";
import { type MicroBatch, trainStep } from "../../src/train/step.ts";
import { assertClose, download, gpuTest, randomStream } from "../support.ts";
import { RATES } from "../optim/rates.ts";
import { TINY } from "./support.ts";

const LENGTH = 16;

function batchOf(sequences: number, seed: number): MicroBatch {
  const next = randomStream(seed), tokens = sequences * LENGTH;
  const draw = () => Math.floor(next() * TINY.vocabSize);
  const targets = Int32Array.from({ length: tokens }, (_, i) => (i % 5 === 0 ? -100 : draw()));
  const counted = targets.filter((target) => target >= 0).length;
  return { inputs: Uint32Array.from({ length: tokens }, draw), targets, tokens: counted };
}

function joined(a: MicroBatch, b: MicroBatch): MicroBatch {
  return {
    inputs: Uint32Array.of(...a.inputs, ...b.inputs),
    targets: Int32Array.of(...a.targets, ...b.targets),
    tokens: a.tokens + b.tokens,
  };
}

/** The weights after some steps in float32 from one initialisation, and the last summed loss. */
async function train(
  gpu: Gpu,
  batchSize: number,
  steps: readonly (readonly MicroBatch[])[],
  { galore, tied = false }: { galore: boolean; tied?: boolean },
): Promise<{ weights: Map<string, Float32Array>; loss: number }> {
  const shape: TrainingShape = {
    batchSize,
    seqLen: LENGTH,
    dtype: "float32",
    activationCheckpointing: false,
    weights: "float32",
    embeddings: "float32",
    trained: "all",
    weightGroupSize: 256,
    optimizer: {
      rules: METHODS.adamw.rules,
      projection: galore ? { rank: 8, quantised: false, groupSize: 256 } : undefined,
      gradientAccumulation: steps[0].length,
    },
  };
  const config = { ...TINY, tieWordEmbeddings: tied };
  const training = buildTraining(gpu, config, shape, gpu.capabilities);
  const { model, optimizer } = training;
  uploadRope(gpu, model);
  const pass = new KernelPass(gpu);
  const scratch = optimizer.scratch.gradient;
  initialize(gpu, pass, config, model.parameters, { seed: 3, scratch });
  pass.submit();
  for (const [index, batches] of steps.entries()) {
    trainStep(gpu, training, batches, { step: index + 1, lr: 0.01, rates: RATES, lossIndex: 0 });
    if (optimizer.refreshes) {
      optimizer.recordSimilarities(await download(gpu, optimizer.scratch.similarities));
    }
  }
  const weights = new Map<string, Float32Array>();
  for (const { name, weight } of model.parameters.all) {
    weights.set(name, await download(gpu, weight));
  }
  return { weights, loss: (await download(gpu, training.losses))[0] };
}

function assertSame(
  a: Awaited<ReturnType<typeof train>>,
  b: Awaited<ReturnType<typeof train>>,
): void {
  for (const [name, values] of a.weights) {
    // Weights move by about 0.01 a step. Sums in another order differ by some 1e-7 of a gradient,
    // which Adam's division by a small root may raise a hundredfold.
    assertClose(name, values, b.weights.get(name)!, { atol: 3e-6, rtol: 1e-5 });
  }
  assertClose("loss", [a.loss], [b.loss], { atol: 0, rtol: 1e-5 });
}

for (const tied of [false, true]) {
  gpuTest(`two micro-batches are one batch of both${tied ? ", tied" : ""}`, async (gpu) => {
    const [a, b, c, d] = [1, 2, 3, 4].map((seed) => batchOf(2, seed));
    const options = { galore: false, tied };
    const apart = await train(gpu, 2, [[a, b], [c, d]], options);
    const together = await train(gpu, 4, [[joined(a, b)], [joined(c, d)]], options);
    assertSame(apart, together);
  });
}

gpuTest("in the low-rank space, a batch that comes twice counts as once", async (gpu) => {
  const batches = [1, 2, 3].map((seed) => batchOf(2, seed));
  const once = await train(gpu, 2, batches.map((batch) => [batch]), { galore: true });
  const twice = await train(gpu, 2, batches.map((batch) => [batch, batch]), { galore: true });
  assertSame({ ...once, loss: 2 * once.loss }, twice);
});

gpuTest("in the low-rank space the second micro-batch counts as much as the first", async (gpu) => {
  const [a, b] = [1, 2].map((seed) => batchOf(2, seed));
  const mixed = await train(gpu, 2, [[a, b]], { galore: true });
  const alone = await train(gpu, 2, [[a, a]], { galore: true });
  // The first chooses the subspace either way, so the rows of a step differ by their sums only.
  for (const [name, values] of mixed.weights) {
    const other = alone.weights.get(name)!;
    assert(values.some((value, i) => Math.abs(value - other[i]) > 1e-5), name);
  }
});
