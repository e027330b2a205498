/** Fira against the paper's formulas in torch. */
import { fromFileUrl } from "@std/path";
import { Safetensors } from "../../src/formats/safetensors.ts";
import type { OptimizerShape } from "../../src/optim/optimizer_shape.ts";
import { METHODS } from "../../src/train/methods.ts";
import { assertClose, gpuTest } from "../support.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import { DrivenOptimizer, GOLDEN_SHAPES, goldenGradient } from "./support_optimizer.ts";
import { RATES } from "./support_rates.ts";

const FIXTURE = fromFileUrl(new URL("../fixtures/optimizer/fira.safetensors", import.meta.url));
const { vector: _, ...SHAPES } = GOLDEN_SHAPES;
const ADAMW: OptimizerShape = {
  rules: METHODS.adamw.rules,
  gradientAccumulation: 1,
  projection: { rank: 5, quantised: false, groupSize: 256, fira: true },
};

/** The golden gradients, in micro-batches that sum to them exactly. */
function batchesOf(step: number, count: number) {
  const part = (share: number) =>
    Object.fromEntries(
      Object.entries(SHAPES).map(([name, shape]) =>
        [name, goldenGradient(shape, step).map((value) => share * value)] as const
      ),
    );
  return count === 1 ? [part(1)] : [part(0.75), part(0.25)];
}

for (
  const [title, golden, change] of [
    ["fused into the backward pass", "plain", {}],
    ["of two micro-batches", "plain", { gradientAccumulation: 2 }],
    ["kept for an exchange", "plain", { exchange: true }],
    ["of clipped gradients", "clipped", { clips: true }],
  ] as const
) {
  gpuTest(`24 steps of Fira follow the paper, ${title}`, async (gpu) => {
    using fixture = await Safetensors.open(FIXTURE);
    const shape: OptimizerShape = { ...ADAMW, ...change };
    const driven = new DrivenOptimizer(gpu, SHAPES, shape),
      { projectors } = driven.optimizer.refreshes;
    const rates = { ...RATES, weightDecay: 0.1, maxGradNorm: 1 };
    for (let step = 1; step <= 24; step++) {
      if ([1, 9, 17].includes(step)) {
        for (const [index, { basis, lazy }] of projectors.entries()) {
          const name = Object.keys(SHAPES)[index];
          const values = await fixture.readFloat32(`basis.${step}.${name}`);
          gpu.write(basis, packTensor(basis, values));
          lazy.refreshes = 1; // none is due
        }
      }
      const lr = 0.01 * Math.min(step - 1, 4) / 4;
      await driven.take(batchesOf(step, shape.gradientAccumulation), { step, lr, rates });
      if (!fixture.tensors.has(`${golden}.${step}.wide`)) continue;
      for (const [name, weight] of await driven.weights()) {
        // Weights move by up to 0.01 a step. The residual is the difference of numbers of its own size,
        // and its factor the quotient of two norms: a few 1e-7 each.
        const expected = await fixture.readFloat32(`${golden}.${step}.${name}`);
        assertClose(`${name} ${step}`, weight, expected, { atol: 3e-7, rtol: 1e-5 });
      }
    }
  });
}
