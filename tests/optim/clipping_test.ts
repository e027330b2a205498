/** Clipping against torch.nn.utils.clip_grad_norm_: by the norm of a step's gradients, and of each. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { KeptBuffers } from "../../src/optim/kept_buffers.ts";
import { BLOCKS, type OptimizerShape } from "../../src/optim/optimizer_shape.ts";
import { METHODS } from "../../src/train/methods.ts";
import { assertClose, gpuTest } from "../support.ts";
import { DrivenOptimizer, GOLDEN_SHAPES, goldenGradient } from "./support_optimizer.ts";
import { RATES } from "./support_rates.ts";

const FIXTURE = fromFileUrl(new URL("../fixtures/optimizer/clipping.safetensors", import.meta.url));
const rates = { ...RATES, weightDecay: 0.1, maxGradNorm: 1 };

/** Room for two of the golden gradients in a buffer, not for all four. */
const FEW = { ...BLOCKS, kept: 13_000 };

/** The golden gradients, in this many micro-batches that sum to them exactly. */
function batchesOf(step: number, count: number) {
  const part = (share: number) =>
    Object.fromEntries(
      Object.entries(GOLDEN_SHAPES).map(([name, shape]) =>
        [name, goldenGradient(shape, step).map((value) => share * value)] as const
      ),
    );
  return count === 1 ? [part(1)] : [part(0.75), part(0.25)];
}

for (
  const [title, mode, change, kind, count] of [
    ["accumulated gradients together", "step", { gradientAccumulation: 2 }, undefined, 4],
    ["exchanged gradients together", "step", { exchange: true }, undefined, 4],
    ["adapters' gradients, which share a buffer", "step", {}, "adapter", 1],
    ["adapters' gradients in two buffers", "step", { blocks: FEW }, "adapter", 2],
    ["each matrix that is updated in the backward pass", "matrix", {}, undefined, 1],
  ] as const
) {
  gpuTest(`24 steps of clipping ${title} follow torch`, async (gpu) => {
    using fixture = await Safetensors.open(FIXTURE);
    const shape: OptimizerShape = {
      rules: METHODS.adamw.rules,
      gradientAccumulation: 1,
      clips: true,
      ...change,
    };
    const driven = new DrivenOptimizer(gpu, GOLDEN_SHAPES, shape, kind && (() => kind));
    assertEquals(driven.optimizer.clipping?.kind, mode);
    const { states, scratch } = driven.optimizer;
    const buffers = new Set(
      states.map(({ accumulated = scratch.gradient }) => accumulated.buffer),
    );
    assertEquals(buffers.size, count);
    const norms = await fixture.readFloat32("norms");
    for (let step = 1; step <= 24; step++) {
      await driven.take(batchesOf(step, shape.gradientAccumulation), { step, lr: 0.01, rates });
      // Four sums of up to 2,257 squares in float32.
      assertClose("norm", [await driven.norm()], [norms[step - 1]], { atol: 0, rtol: 1e-5 });
      if (step !== 6 && step !== 24) continue;
      for (const [name, weight] of await driven.weights()) {
        // Weights move by up to 0.01 a step; a dozen operations in float32 a step, the factor's error
        // the largest of them.
        const expected = await fixture.readFloat32(`${mode}.${step}.${name}`);
        assertClose(`${name} ${step}`, weight, expected, { atol: 1e-6, rtol: 1e-5 });
      }
    }
  });
}

gpuTest(
  "adapters are clipped together, and of projected matrices the low-rank gradients",
  async (gpu) => {
    const adamw = { rules: METHODS.adamw.rules, gradientAccumulation: 1, clips: true };
    const adapters = new DrivenOptimizer(gpu, { a: [4, 16], b: [16, 4] }, adamw, () => "adapter");
    assertEquals([adapters.optimizer.clipping?.kind, adapters.optimizer.keeps], ["step", true]);
    const alone = new DrivenOptimizer(
      gpu,
      { a: [4, 16] },
      { ...adamw, clips: false },
      () => "adapter",
    );
    assertEquals([alone.optimizer.clipping?.kind, alone.optimizer.keeps], [undefined, false]);

    // Of a gradient of rank 3 a projection to rank 3 keeps the norm, and to rank 1 its leading part.
    const projection = { rank: 1, quantised: false, groupSize: 256 };
    const shapes = { wide: [6, 8] };
    const diagonal = Float32Array.from({ length: 48 }, (_, at) => at % 9 === 0 ? 3 - at / 9 : 0)
      .map((value) => Math.max(0, value));
    for (const [rank, norm] of [[3, Math.sqrt(9 + 4 + 1)], [1, 3]]) {
      const low = new DrivenOptimizer(gpu, shapes, {
        ...adamw,
        projection: { ...projection, rank },
      });
      assertEquals(low.optimizer.clipping?.kind, "matrix");
      await low.take([{ wide: diagonal }], { step: 1, lr: 0.01, rates });
      assertClose("norm", [await low.norm()], [norm], { atol: 0, rtol: 1e-5 });
    }
  },
);

Deno.test("a buffer of kept gradients holds at most its bytes, or a single larger one", () => {
  const MIB = 2 ** 20, buffers = new KeptBuffers(64 * MIB);
  const held = new Map<string, number[]>();
  for (const size of [63, 100, 1, 29, 34, 1, 64, 65, 1 / 1024, 64]) {
    const { slot } = buffers.next(size * MIB);
    held.set(slot, [...held.get(slot) ?? [], size]);
  }
  assertEquals([...held.values()], [[63], [100], [1, 29, 34], [1], [64], [65], [1 / 1024], [64]]);
});
