/** Stable-SPAM against the paper's formulas and torch's AdamW. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { sinceReset } from "../../src/optim/stable_spam.ts";
import { METHODS } from "../../src/train/methods.ts";
import { assertClose, gpuTest } from "../support.ts";
import { DrivenOptimizer, GOLDEN_SHAPES, goldenGradient } from "./support_optimizer.ts";
import { RATES } from "./support_rates.ts";

const FIXTURE = fromFileUrl(
  new URL("../fixtures/optimizer/stable_spam.safetensors", import.meta.url),
);

gpuTest("24 steps of Stable-SPAM, with two resets, follow the paper", async (gpu) => {
  using fixture = await Safetensors.open(FIXTURE);
  const { vector: _, ...shapes } = GOLDEN_SHAPES;
  const shape = { rules: METHODS.adamw.rules, gradientAccumulation: 1, stableSpam: true };
  const driven = new DrivenOptimizer(gpu, shapes, shape);
  const rates = { ...RATES, weightDecay: 0.1, momentumReset: 10 };
  for (let step = 1; step <= 24; step++) {
    const gradients = Object.entries(shapes).map(([name, shape]) => {
      const gradient = goldenGradient(shape, step);
      gradient[2 * shape[1] + 3] *= step % 4 === 0 ? 40 : 1;
      return [name, gradient] as const;
    });
    await driven.take([Object.fromEntries(gradients)], { step, lr: 0.01, rates });
    if (!fixture.tensors.has(`${step}.wide`)) continue;
    for (const [name, weight] of await driven.weights()) {
      // Weights move by up to 0.01 a step; a norm and some twenty operations in float32 a step.
      const expected = await fixture.readFloat32(`${step}.${name}`);
      assertClose(`${name} ${step}`, weight, expected, { atol: 1e-6, rtol: 1e-5 });
    }
  }
});

Deno.test("moments are reset at each multiple", () => {
  const steps = [1, 2, 3, 4, 5, 6, 7];
  assertEquals(steps.map((step) => sinceReset(step, 3)), [1, 2, 1, 2, 3, 1, 2]);
  assertEquals(steps.map((step) => sinceReset(step, 0)), steps);
});
