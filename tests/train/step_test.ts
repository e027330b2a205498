/** Micro-batches against one large batch, and the low-rank sum against a repeated batch. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import { initialize } from "../../src/model/initialize.ts";
import { ShapeError } from "../../src/numbers/shape_error.ts";
import type { Batch } from "../../src/model/batch.ts";
import { uploadRope } from "../../src/model/llama.ts";
import { UserError } from "../../src/options/user_error.ts";
import { buildTraining, type TrainingShape } from "../../src/train/build.ts";
import { METHODS } from "../../src/train/methods.ts";
import { type Objective, weightedCrossEntropy } from "../../src/train/objective.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { assertClose, download, gpuTest, randomStream } from "../support.ts";
import { RATES } from "../optim/support_rates.ts";
import { TINY } from "./support.ts";

const LENGTH = 16;

/** All weights in float32. */
const SHAPE = {
  seqLen: LENGTH,
  dtype: "float32",
  activationCheckpointing: false,
  weights: "float32",
  embeddings: "float32",
  trained: "all",
  weightGroupSize: 256,
} as const satisfies Partial<TrainingShape>;

function batchOf(sequences: number, seed: number): Batch {
  const next = randomStream(seed), tokens = sequences * LENGTH;
  const draw = () => Math.floor(next() * TINY.vocabSize);
  const targets = Int32Array.from({ length: tokens }, (_, i) => (i % 5 === 0 ? -100 : draw()));
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

/**
 * The weights after some steps in float32 from one initialisation, the last summed loss, and the
 * parameters whose gradients were taken as factors, with from what projections and refreshes were.
 */
async function train(
  gpu: Gpu,
  batchSize: number,
  steps: readonly (readonly Batch[])[],
  { galore, wholeGradients, tied = false, exchange, objective }: {
    galore: boolean;
    /** Form the gradients of projected matrices, instead of computing with their factors. */
    wholeGradients?: boolean;
    tied?: boolean;
    /** Keep the gradients of a step, and hand them over before they are applied. */
    exchange?: (gradients: readonly Tensor[]) => Promise<void>;
    objective?: Objective;
  },
): Promise<{ weights: Map<string, Float32Array>; loss: number; factored: Map<string, string> }> {
  const shape: TrainingShape = {
    ...SHAPE,
    batchSize,
    optimizer: {
      rules: METHODS.adamw.rules,
      projection: galore ? { rank: 8, quantised: false, groupSize: 256 } : undefined,
      gradientAccumulation: steps[0].length,
      exchange: !!exchange,
      wholeGradients,
    },
  };
  const config = { ...TINY, tieWordEmbeddings: tied };
  const training = buildTraining(gpu, config, shape, gpu.capabilities, objective);
  const { model, optimizer } = training;
  const factored = new Map<string, string>(), { takeFactors } = optimizer;
  optimizer.takeFactors = (pass, parameter, factors) => {
    const taken = takeFactors.call(optimizer, pass, parameter, factors);
    const { route } = optimizer.states.find((state) => state.parameter === parameter)!;
    if (taken) factored.set(parameter.name, `${route!.project}, ${route!.refresh}`);
    return taken;
  };
  uploadRope(gpu, model);
  const pass = new KernelPass(gpu);
  const scratch = optimizer.scratch.gradient;
  initialize(gpu, pass, config, model.parameters, { seed: 3, scratch });
  pass.submit();
  for (const [index, batches] of steps.entries()) {
    const options = { step: index + 1, lr: 0.01, rates: RATES, lossIndex: 0 };
    const step = new RecordedStep(gpu, training, batches, options);
    await step.accumulate();
    if (exchange) {
      await exchange(optimizer.states.map(({ accumulated }) => accumulated!));
      await step.apply();
    }
    if (optimizer.refreshes.now) {
      optimizer.refreshes.record(await download(gpu, optimizer.scratch.similarities));
    }
  }
  const weights = new Map<string, Float32Array>();
  for (const { name, weight } of model.parameters.all) {
    weights.set(name, await download(gpu, weight));
  }
  return { weights, loss: (await download(gpu, training.losses))[0], factored };
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

gpuTest("the factors of a gradient give the steps of the gradient", async (gpu) => {
  const [a, b, c, d] = [1, 2, 3, 4].map((seed) => batchOf(2, seed));
  const steps = [[a, b], [c, d]];
  const factors = await train(gpu, 2, steps, { galore: true });
  const whole = await train(gpu, 2, steps, { galore: true, wholeGradients: true });
  assertSame(factors, whole);
  // Seven matrices of each of two layers, the smaller of which are formed for a refresh.
  assertEquals([factors.factored.size, whole.factored.size], [14, 0]);
  const routes = new Set(factors.factored.values());
  assertEquals(routes, new Set(["factors, gradient", "factors, factors"]));
});

gpuTest("in the low-rank space the second micro-batch counts as much as the first", async (gpu) => {
  const [a, b] = [1, 2].map((seed) => batchOf(2, seed));
  const mixed = await train(gpu, 2, [[a, b]], { galore: true });
  const alone = await train(gpu, 2, [[a, a]], { galore: true });
  // The first chooses the subspace either way, so the steps differ only in their sums.
  for (const [name, values] of mixed.weights) {
    const other = alone.weights.get(name)!;
    assert(values.some((value, i) => Math.abs(value - other[i]) > 1e-5), name);
  }
});

gpuTest("the updates of kept gradients are paced, watched and stopped within", async (gpu) => {
  const shape: TrainingShape = {
    ...SHAPE,
    batchSize: 2,
    optimizer: {
      rules: METHODS.adamw.rules,
      projection: { rank: 8, quantised: false, groupSize: 256, fira: true },
      gradientAccumulation: 2,
      clips: true,
    },
  };
  const training = buildTraining(gpu, TINY, shape, gpu.capabilities), { optimizer } = training;
  uploadRope(gpu, training.model);
  const pass = new KernelPass(gpu), { gradient: scratch } = optimizer.scratch;
  initialize(gpu, pass, TINY, training.model.parameters, { seed: 3, scratch });
  pass.submit();
  const [{ parameter: { weight } }] = optimizer.states;
  /** Stopped when it has made some refreshes, or by when it is given the updates. */
  const stoppedAfter = async (refreshes: number, mayAbandon: boolean) => {
    const controller = new AbortController();
    let seen = 0;
    const step = new RecordedStep(gpu, training, [batchOf(2, 1), batchOf(2, 2)], {
      ...{ step: 1, lr: 0.01, rates: { ...RATES, maxGradNorm: 1 }, lossIndex: 0, paced: true },
      watch: (part) => () => {
        if (part === "refresh" && ++seen === refreshes) controller.abort();
      },
    });
    const stopping = { signal: controller.signal, mayAbandon };
    assertEquals(await step.accumulate(stopping), { end: "submitted" });
    assertEquals(seen, 0);
    if (!refreshes) controller.abort();
    return { ...await step.apply(stopping), seen, total: optimizer.refreshes.at(1) };
  };
  const before = await download(gpu, weight);
  assertEquals(await stoppedAfter(0, false), { end: "untouched", seen: 0, total: 14 });
  assertEquals(await download(gpu, weight), before);
  const { end, seen } = await stoppedAfter(2, true);
  assertEquals(end, "abandoned");
  assert(seen >= 2 && seen < 14, `${seen} refreshes`);
  assertEquals((await stoppedAfter(2, false)).end, "submitted");
  assertEquals(optimizer.refreshes.total, 14);
});

for (const galore of [false, true]) {
  const space = galore ? "in the low-rank space" : "in full";
  gpuTest(
    `gradients that wait for an exchange give the bits of fused ones, ${space}`,
    async (gpu) => {
      const steps = [1, 2].map((seed) => [batchOf(2, seed), batchOf(2, seed + 9)]);
      let seen = 0;
      const exchange = (gradients: readonly Tensor[]) => {
        seen += gradients.length;
        return Promise.resolve();
      };
      const apart = await train(gpu, 2, steps, { galore, exchange });
      const fused = await train(gpu, 2, steps, { galore });
      assertEquals(apart, fused);
      assertEquals(seen, 2 * fused.weights.size);
    },
  );

  gpuTest(
    `two processes that sum their gradients are one with both batches, ${space}`,
    async (gpu) => {
      // Both start with the same batch, and so share a subspace; then each has its own.
      const [first, a, b] = [1, 2, 3].map((seed) => batchOf(2, seed));
      const sums: Float32Array[][] = [];
      let replay = -1;
      // The other process is simulated by an earlier run, which records its second step's
      // gradients.
      const record = async (gradients: readonly Tensor[]) => {
        const values = [];
        for (const gradient of gradients) values.push(await download(gpu, gradient));
        sums.push(values);
      };
      const add = async (gradients: readonly Tensor[]) => {
        if (++replay === 0) return;
        for (const [i, gradient] of gradients.entries()) {
          const own = await download(gpu, gradient);
          // Each has the mean over its own targets; together they are half of that, twice.
          gpu.write(
            gradient,
            packTensor(gradient, own.map((x, n) => 0.5 * (x + sums[1][i][n]))),
          );
        }
      };
      await train(gpu, 2, [[first], [a]], { galore, exchange: record });
      const both = await train(gpu, 2, [[first], [b]], { galore, exchange: add });
      const whole = await train(gpu, 2, [[first, first], [a, b]], { galore });
      for (const [name, values] of whole.weights) {
        assertClose(name, both.weights.get(name)!, values, { atol: 3e-6, rtol: 1e-5 });
      }
    },
  );
}

gpuTest("weights of the loss: twice is as often, and none is not at all", async (gpu) => {
  const [a, b] = [1, 2].map((seed) => batchOf(2, seed));
  const only = { ...a, targets: a.targets.map((it, n) => n % 2 ? -100 : it) };
  const even = weightedCrossEntropy(
    "even",
    ({ targets }) => Float32Array.from(targets, (_, n) => n % 2 ? 0 : 3),
  );
  const weighted = await train(gpu, 2, [[a]], { galore: false, objective: even });
  const tokens = only.targets.filter((target) => target >= 0).length;
  const masked = await train(gpu, 2, [[{ ...only, tokens }]], { galore: false });
  assertSame({ ...weighted, loss: weighted.loss / 3 }, masked);
  // Equal weights change nothing: the mean is over the sum of weights.
  const ones = weightedCrossEntropy(
    "ones",
    ({ targets }) => new Float32Array(targets.length).fill(2),
  );
  const alike = await train(gpu, 2, [[a, b]], { galore: false, objective: ones });
  const plain = await train(gpu, 2, [[a, b]], { galore: false });
  assertSame({ ...alike, loss: alike.loss / 2 }, plain);
});

gpuTest("weights of the loss that teach nothing are refused", async (gpu) => {
  const batch = batchOf(2, 1);
  for (
    const [weights, message] of [
      [[0, 0], "step 1: the weights of objective mine sum to 0 over all targets, so nothing would"],
      [[1, -1], "objective mine: a weight must be finite and at least 0, got -1 for target 1"],
      [[1, NaN], "objective mine: a weight must be finite and at least 0, got NaN for target 1"],
      [[Infinity, 1], "got Infinity for target "],
    ] as const
  ) {
    const objective = weightedCrossEntropy(
      "mine",
      ({ targets }) => Float32Array.from(targets, (_, n) => weights[n % 2]),
    );
    await assertRejects(
      () => train(gpu, 1, [[batch]], { galore: false, objective }),
      UserError,
      message,
    );
  }
  const short = weightedCrossEntropy("mine", () => new Float32Array(3));
  await assertRejects(
    () => train(gpu, 1, [[batch]], { galore: false, objective: short }),
    ShapeError,
    "objective mine: weights must be one for each of",
  );
});
