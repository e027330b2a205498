/** Buffers that share memory: no phase depends on what another one leaves there. */
import { assert, assertEquals } from "@std/assert";
import type { Allocator, TensorSpec, TextureSpec } from "../../src/gpu/allocator.ts";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { inSlots } from "../../src/gpu/slots.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { initialize } from "../../src/model/initialize.ts";
import { uploadRope } from "../../src/model/llama.ts";
import { buildTraining, type Training, type TrainingShape } from "../../src/train/build.ts";
import { RecordedStep } from "../../src/train/step.ts";
import { download, gpuTest, randomStream } from "../support.ts";
import { RATES } from "../optim/support_rates.ts";
import { TINY } from "./support.ts";

Deno.test("a slot is as large as its largest phase, whose tensors lie side by side", () => {
  const plan = new PlanAllocator();
  const made = inSlots(plan, (allocator) => {
    const make = (name: string, elements: number, phase?: string) => {
      const turn = phase ? { slot: "s", phase } : undefined;
      const spec = { name, shape: [elements], dtype: "float32", purpose: "activations" } as const;
      return allocator.tensor({ ...spec, turn });
    };
    return [make("a", 96, "one"), make("b", 8, "two"), make("own", 8), make("c", 72, "two")];
  });
  assertEquals(made.map(({ byteOffset }) => byteOffset), [0, 0, 0, 256]);
  assertEquals(plan.tensors.map(({ name, bytes }) => [name, bytes]), [["own", 32], [
    "slots.s",
    768,
  ]]);
});

/** Notes the slots. */
class Noting implements Allocator {
  constructor(readonly gpu: Gpu, readonly shared: Tensor[] = []) {}
  tensor(spec: TensorSpec): Tensor {
    const made = this.gpu.tensor(spec);
    if (spec.name.startsWith("slots.")) this.shared.push(made);
    return made;
  }
  texture(spec: TextureSpec) {
    return this.gpu.texture(spec);
  }
}

/** Odd sizes: every row of activations has padding. */
const CONFIG = { ...TINY, hiddenSize: 44, heads: 3, keyValueHeads: 1, headSize: 12 };
const BATCH = 2, LENGTH = 16;

async function train(gpu: Gpu, shape: TrainingShape, poisoned: boolean): Promise<Float32Array[]> {
  const allocator = new Noting(gpu);
  const training: Training = buildTraining(allocator, CONFIG, shape, gpu.capabilities);
  assert(allocator.shared.length >= 2);
  const { model, optimizer } = training, next = randomStream(1);
  uploadRope(gpu, model);
  const pass = new KernelPass(gpu), { scratch } = training;
  initialize(gpu, pass, CONFIG, model.parameters, { seed: 3, scratch });
  pass.submit();
  for (let step = 1; step <= 2; step++) {
    // All bits: NaN in every format.
    for (const tensor of poisoned ? allocator.shared : []) {
      gpu.write(tensor, new Uint8Array(tensor.byteLength).fill(0xff));
    }
    const draw = () => Math.floor(next() * CONFIG.vocabSize), tokens = BATCH * LENGTH;
    const inputs = Uint32Array.from({ length: tokens }, draw);
    const batch = { inputs, targets: Int32Array.from(inputs, draw), tokens };
    await new RecordedStep(gpu, training, [batch], { step, lr: 0.01, rates: RATES, lossIndex: 0 })
      .give();
    optimizer.refreshes.record(await download(gpu, optimizer.scratch.similarities));
  }
  const weights = [await download(gpu, training.losses)];
  for (const { parameter } of optimizer.states) {
    weights.push(await gpu.read(parameter.weight) as never);
  }
  return weights;
}

const OTHERS = { embeddings: "adam", others: "adam" } as const;
const GALORE = {
  rules: { matrices: "adam", ...OTHERS },
  projection: { rank: 8, quantised: true, groupSize: 256 },
} as const;
const APOLLO = { rules: { matrices: "apollo", ...OTHERS }, rank: 8 } as const;

for (
  const [name, activationCheckpointing, optimizer] of [
    ["checkpointing", true, GALORE],
    ["no checkpointing", false, GALORE],
    ["APOLLO", true, APOLLO],
  ] as const
) {
  gpuTest(
    `a step reads nothing that it did not write, ${name}`,
    async (gpu) => {
      const shape: TrainingShape = {
        batchSize: BATCH,
        seqLen: LENGTH,
        dtype: "bfloat16",
        activationCheckpointing,
        weights: "int8",
        embeddings: "bfloat16",
        trained: "all",
        weightGroupSize: 256,
        optimizer: { ...optimizer, gradientAccumulation: 1 },
      };
      const clean = await train(gpu, shape, false);
      assert(clean[0].every(Number.isFinite));
      assertEquals(await train(gpu, shape, true), clean);
    },
  );
}
