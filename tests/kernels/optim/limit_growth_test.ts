import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { limitGrowth } from "../../../src/kernels/optim/limit_growth.ts";
import { limitGrowth as oracle } from "../../oracles/optim/limit_growth.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

for (const channels of [1, 70, 5461]) {
  gpuTest(
    `limit_growth over steps that grow, jump and shrink, ${channels} channels`,
    async (gpu) => {
      const sizes = [1, 1.005, 1.3, 1.3, 0.1, 0.1009, 50, 0.1], gamma = 1.01;
      // One element a channel: its square is that of the channel, and the update their product.
      const gradients = sizes.map((size, step) => randomNormal(channels, step, size));
      const factors = sizes.map((_, step) => randomNormal(channels, 100 + step).map(Math.abs));
      const expected = oracle(
        gradients.map((gradient, step) =>
          [...gradient].map((value, i) => value * factors[step][i])
        ),
        gamma,
      );
      const last = upload(gpu, "last", [1], [0]);
      for (const [step, gradient] of gradients.entries()) {
        const limited = upload(gpu, "factors", [channels], factors[step]);
        const squares = upload(gpu, "squares", [channels], gradient.map((value) => value ** 2));
        runPass(gpu, (pass) => limitGrowth(pass, { factors: limited, squares, last, gamma }));
        const updates = (await download(gpu, limited)).map((factor, i) => factor * gradient[i]);
        // Sums of thousands of positive float32 terms, step by step: some 1e-6 each.
        const close = { atol: 0, rtol: 1e-5 };
        assertClose(`update ${step}`, updates, expected.updates[step], close);
        assertClose(`norm ${step}`, await download(gpu, last), [expected.norms[step]], close);
      }
    },
  );
}

gpuTest("limit_growth: a first step without a gradient limits none after it", async (gpu) => {
  const last = upload(gpu, "last", [1], [0]), squares = upload(gpu, "squares", [8]);
  const factors = upload(gpu, "factors", [8], Array(8).fill(3));
  runPass(gpu, (pass) => limitGrowth(pass, { factors, squares, last, gamma: 1.01 }));
  gpu.write(squares, new Uint8Array(new Float32Array(8).fill(2).buffer));
  runPass(gpu, (pass) => limitGrowth(pass, { factors, squares, last, gamma: 1.01 }));
  assertEquals([...await download(gpu, factors)], Array(8).fill(3));
  assertEquals([...await download(gpu, last)], [12]);
});

gpuTest("limit_growth refuses squares of other channels", (gpu) => {
  const factors = upload(gpu, "factors", [16]), last = upload(gpu, "last", [1]);
  const squares = upload(gpu, "squares", [8]);
  assertThrows(
    () => limitGrowth(new KernelPass(gpu), { factors, squares, last, gamma: 1.01 }),
    ShapeError,
    "limitGrowth: squares must be (16), got (8)",
  );
});

testAlternatives(import.meta.url);
