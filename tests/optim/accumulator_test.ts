/** Gradients that are summed over micro-batches in INT8, against their exact sums. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { OptimizerShape } from "../../src/optim/optimizer_shape.ts";
import { UserError } from "../../src/options/user_error.ts";
import { assertClose, gpuTest, randomNormal } from "../support.ts";
import { basisValues } from "./support.ts";
import { DrivenOptimizer } from "./support_optimizer.ts";
import { RATES } from "./support_rates.ts";

const ROWS = 61, COLUMNS = 40, BATCHES = 4, STEPS = 40, LR = 1e-2; // groups end within rows
const SHAPE: OptimizerShape = {
  rules: { matrices: "scale", embeddings: "adam", others: "adam" },
  gradientAccumulation: BATCHES,
  accumulatorQuant: true,
};

/** Rows of three sizes, some of zeros. */
function gradient(seed: number): Float32Array<ArrayBuffer> {
  return randomNormal(ROWS * COLUMNS, seed).map((value, at) => {
    const row = Math.floor(at / COLUMNS);
    return row % 5 === 3 ? 0 : value * 10 ** (row % 3 - 4);
  });
}

gpuTest("a sum in INT8 is off by less than its steps, and not on average", async (gpu) => {
  const batches = Array.from({ length: BATCHES }, (_, i) => ({ matrix: gradient(i) }));
  const exact = new Float64Array(ROWS * COLUMNS), allowed = new Float64Array(ROWS * COLUMNS);
  for (const { matrix } of batches) {
    matrix.forEach((value, i) => exact[i] += value);
    for (let start = 0; start < exact.length; start += 256) {
      const group = exact.subarray(start, start + 256);
      const range = Math.max(0, ...group) - Math.min(0, ...group);
      // A step of its group's range, which rounding before has moved by a step at most.
      allowed.subarray(start, start + 256).forEach((_, i) =>
        allowed[start + i] += 1.02 * range / 255
      );
    }
  }
  const driven = new DrivenOptimizer(gpu, { matrix: [ROWS, COLUMNS] }, SHAPE);
  const [{ accumulated, accumulatedInt8 }] = driven.optimizer.states;
  assertEquals([accumulated, accumulatedInt8?.dtype], [undefined, "int8"]);
  const mean = new Float64Array(exact.length);
  let first: Float32Array | undefined;
  for (let step = 1; step <= STEPS; step++) {
    await driven.take(batches, { step, lr: LR, rates: RATES });
    const sums = await basisValues(gpu, accumulatedInt8!);
    sums.forEach((sum, i) => {
      assert(Math.abs(sum - exact[i]) <= allowed[i], `${sum}, exactly ${exact[i]}`);
      if (exact[i] === 0) assertEquals(sum, 0);
      mean[i] += sum / STEPS;
    });
    first ??= sums;
    assert(step === 1 || sums.some((sum, i) => sum !== first![i]), "another step, other bits");
  }
  // Each rounding has a standard deviation of half a step at most: five standard errors.
  const error = allowed.map((steps) => 5 * steps / 2 / Math.sqrt(BATCHES) / Math.sqrt(STEPS));
  mean.forEach((value, i) => assert(Math.abs(value - exact[i]) <= error[i], `${i}: ${value}`));
});

gpuTest("processes cannot exchange sums in INT8", (gpu) => {
  assertThrows(
    () => new DrivenOptimizer(gpu, { matrix: [ROWS, COLUMNS] }, { ...SHAPE, exchange: true }),
    UserError,
    "has both exchange and accumulatorQuant",
  );
});

gpuTest(
  "an update is that of the sum in INT8, applied at once or kept to be clipped",
  async (gpu) => {
    const batches = Array.from({ length: BATCHES }, (_, i) => ({ matrix: gradient(i) }));
    const weights: Float32Array[] = [];
    for (const clips of [undefined, true]) {
      const driven = new DrivenOptimizer(gpu, { matrix: [ROWS, COLUMNS] }, { ...SHAPE, clips });
      const rates = { ...RATES, maxGradNorm: 0 };
      await driven.take(batches, { step: 1, lr: LR, rates });
      const sums = await basisValues(gpu, driven.optimizer.states[0].accumulatedInt8!);
      const expected = sums.map((sum, i) => {
        const row = sums.subarray(i - i % COLUMNS, i - i % COLUMNS + COLUMNS);
        return sum && -LR * sum / (Math.hypot(...row) / Math.sqrt(COLUMNS));
      });
      weights.push((await driven.weights()).get("matrix")!);
      assertClose("weight", weights.at(-1)!, expected, { atol: 1e-8, rtol: 1e-5 });
      if (clips) {
        assertClose("norm", [await driven.norm()], [Math.hypot(...sums)], {
          atol: 0,
          rtol: 1e-5,
        });
      }
    }
    assertEquals(weights[0], weights[1]);
  },
);
