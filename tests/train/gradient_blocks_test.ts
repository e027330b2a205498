/** Gradients and updates in blocks of rows, against the same steps with whole ones. */
import { assertEquals } from "@std/assert";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { initialize } from "../../src/model/initialize.ts";
import type { Batch } from "../../src/model/batch.ts";
import { uploadRope } from "../../src/model/llama.ts";
import type { GradientBlocks, OptimizerShape } from "../../src/optim/optimizer_shape.ts";
import { buildTraining, type TrainingShape } from "../../src/train/build.ts";
import { weightedCrossEntropy } from "../../src/train/objective.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { assertClose, download, gpuTest, randomStream } from "../support.ts";
import { RATES } from "../optim/support_rates.ts";
import { TINY } from "./support.ts";

const LENGTH = 16, BATCH = 2;
/** Two blocks of 2,048 rows and a short one; rows of 40 are stored as they are, of 44 in 48. */
const CONFIG = { ...TINY, layers: 1, vocabSize: 4301 };
/** Of one byte, so that the smallest blocks are taken. */
const SMALL = { whole: 1, block: 1 };

interface Case {
  readonly embeddings: TrainingShape["embeddings"];
  readonly rule: "adam" | "adam8bit";
  readonly tied: boolean;
  readonly hiddenSize?: number;
  readonly weighted?: boolean;
  readonly batch?: number;
  /** Of projected matrices; by default all are trained with whole gradients. */
  readonly projected?: TrainingShape["weights"];
  /** Over two micro-batches, in INT8. */
  readonly summed?: true;
}

function shapeOf(
  { embeddings, rule, projected, summed, batch = BATCH }: Case,
  blocks?: GradientBlocks,
): TrainingShape {
  return {
    batchSize: batch,
    seqLen: LENGTH,
    dtype: embeddings === "float32" ? "float32" : "bfloat16",
    activationCheckpointing: true,
    weights: projected ?? (embeddings === "float32" ? "float32" : "int8"),
    embeddings,
    trained: "all",
    weightGroupSize: 256,
    optimizer: {
      rules: { matrices: "adam", embeddings: rule, others: "adam" },
      projection: projected && { rank: 8, quantised: true, groupSize: 256 },
      gradientAccumulation: summed ? 2 : 1,
      accumulatorQuant: summed,
      blocks,
    },
  };
}

function batchOf(seed: number, sequences: number): Batch {
  const next = randomStream(seed), tokens = sequences * LENGTH;
  const draw = () => Math.floor(next() * CONFIG.vocabSize);
  const targets = Int32Array.from({ length: tokens }, (_, i) => (i % 5 === 0 ? -100 : draw()));
  const counted = targets.filter((target) => target >= 0).length;
  return { inputs: Uint32Array.from({ length: tokens }, draw), targets, tokens: counted };
}

/** The bytes of every weight and state after two steps. */
async function train(gpu: Gpu, of: Case, blocks?: GradientBlocks) {
  const { tied, hiddenSize = TINY.hiddenSize } = of;
  const config = { ...CONFIG, tieWordEmbeddings: tied, hiddenSize };
  const objective = of.weighted
    ? weightedCrossEntropy(
      "uneven",
      ({ targets }) => Float32Array.from(targets, (_, n) => n % 3),
    )
    : undefined;
  const shape = shapeOf(of, blocks);
  const training = buildTraining(gpu, config, shape, gpu.capabilities, objective);
  const { model, optimizer } = training;
  uploadRope(gpu, model);
  const pass = new KernelPass(gpu), scratch = optimizer.scratch.gradient;
  initialize(gpu, pass, config, model.parameters, { seed: 3, scratch });
  pass.submit();
  for (let step = 1; step <= 2; step++) {
    const options = { step, lr: 0.01, rates: { ...RATES, stochasticRound: true }, lossIndex: 0 };
    const batch = batchOf(step, of.batch ?? BATCH);
    const batches = of.summed ? [batch, batchOf(step + 2, of.batch ?? BATCH)] : [batch];
    await new RecordedStep(gpu, training, batches, options).give();
  }
  const tensors = new Map<string, Uint8Array>();
  const values = new Map<string, Float32Array>();
  for (const { parameter: { name, weight }, state } of optimizer.states) {
    tensors.set(name, await gpu.read(weight));
    if (weight.constants) tensors.set(`${name}.constants`, await gpu.read(weight.constants));
    if (weight.dtype !== "int8") values.set(name, await download(gpu, weight));
    for (const [label, tensor] of Object.entries(state)) {
      if (tensor) tensors.set(`${name}.${label}`, await gpu.read(tensor));
    }
  }
  const [loss] = await download(gpu, training.losses);
  return {
    tensors,
    values,
    loss,
    blocks: optimizer.states.flatMap(({ blockRows }) => blockRows ?? []),
    updates: optimizer.states.flatMap(({ parameter: { name }, updateRows }) =>
      updateRows ? [[name, updateRows]] : []
    ),
  };
}

const CASES: Record<string, Case> = {
  "float32, tied": { embeddings: "float32", rule: "adam", tied: true },
  "float32, tied, summed in INT8": {
    embeddings: "float32",
    rule: "adam",
    tied: true,
    summed: true,
  },
  "INT8, groups that straddle rows": { embeddings: "int8", rule: "adam", tied: false },
  "bfloat16 by stochastic rounding, 8-bit moments": {
    embeddings: "bfloat16",
    rule: "adam8bit",
    tied: false,
    hiddenSize: 44,
    weighted: true,
  },
};

for (const [name, of] of Object.entries(CASES)) {
  gpuTest(`blocks of rows give the bits of whole gradients: ${name}`, async (gpu) => {
    const whole = await train(gpu, of), blocks = await train(gpu, of, SMALL);
    assertEquals([whole.blocks, blocks.blocks], [[], of.tied ? [2048] : [2048, 2048]]);
    assertEquals(blocks.loss, whole.loss);
    for (const [tensor, bytes] of whole.tensors) {
      assertEquals(blocks.tensors.get(tensor), bytes, tensor);
    }
  });
}

for (const projected of ["int8", "bfloat16"] as const) {
  gpuTest(`blocks of rows give the bits of whole updates: ${projected}`, async (gpu) => {
    const of: Case = {
      ...CASES["float32, tied"],
      embeddings: "bfloat16",
      hiddenSize: 76,
      projected,
    };
    const large = { ...SMALL, whole: 1 << 30 };
    const whole = await train(gpu, of, { ...large, update: 1 << 30 });
    const blocks = await train(gpu, of, large);
    const layer = "model.layers.0";
    // P on the right of one more row than it has columns, on the left, and on the right.
    const updates = ["self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
    assertEquals(whole.updates, []);
    assertEquals(blocks.updates, updates.map((name) => [`${layer}.${name}.weight`, 64]));
    for (const [tensor, bytes] of whole.tensors) {
      assertEquals(blocks.tensors.get(tensor), bytes, tensor);
    }
  });
}

gpuTest("more tokens at a time than with all logits: sums in another order", async (gpu) => {
  // Chunks of 1,920 tokens with the logits of the whole vocabulary, and all with those of a block.
  const of: Case = { ...CASES["float32, tied"], batch: 128 };
  const whole = await train(gpu, of), blocks = await train(gpu, of, SMALL);
  for (const [name, values] of whole.values) {
    // As two micro-batches against one in step_test: Adam divides by small roots.
    assertClose(name, blocks.values.get(name)!, values, { atol: 3e-6, rtol: 1e-5 });
  }
});

Deno.test("gradients that are accumulated or exchanged stay whole", () => {
  const blocksOf = (change: Partial<OptimizerShape>) => {
    const shape = shapeOf(CASES["float32, tied"], SMALL);
    const optimizer = { ...shape.optimizer, ...change };
    const training = buildTraining(
      new PlanAllocator(),
      CONFIG,
      { ...shape, optimizer },
      CONSUMER_CARD,
    );
    return training.optimizer.states.flatMap(({ blockRows }) => blockRows ?? []);
  };
  assertEquals(blocksOf({}), [2048, 2048]);
  assertEquals(blocksOf({ gradientAccumulation: 2 }), []);
  assertEquals(blocksOf({ exchange: true }), []);
  // Nor are small ones divided, unless asked to.
  assertEquals(blocksOf({ blocks: undefined }), []);
});
