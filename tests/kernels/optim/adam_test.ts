import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import type { Tensor } from "../../../src/gpu/tensor.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { adam } from "../../../src/kernels/optim/adam.ts";
import { adam as oracle } from "../../oracles/optim/adam.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

const RATES = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

for (const shape of [[1, 8], [257], [3, 5461]]) {
  gpuTest(`adam (${shape}) follows the oracle over ten steps`, async (gpu) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const m = upload(gpu, "m", shape), v = upload(gpu, "v", shape);
    const expectedM = new Float64Array(count), expectedV = new Float64Array(count);
    for (let step = 1; step <= 10; step++) {
      const values = randomNormal(count, step, 10 ** (step % 4 - 3));
      const gradient = upload(gpu, "gradient", shape, values);
      runPass(gpu, (pass) => adam(pass, { gradient, m, v, step, ...RATES }));
      const update = oracle(values, expectedM, expectedV, { step, ...RATES });
      // A dozen float32 operations; m cancels where gradients change sign, hence atol.
      const rtol = 3e-6;
      assertClose("update", await download(gpu, gradient), update, { atol: 3e-6 * RATES.lr, rtol });
      assertClose("m", await download(gpu, m), expectedM, { atol: 1e-7, rtol });
      assertClose("v", await download(gpu, v), expectedV, { atol: 1e-12, rtol });
    }
  });
}

gpuTest(
  "adam makes moments zero before they decay to subnormal numbers, but not NaN",
  async (gpu) => {
    const m = upload(gpu, "m", [8], [1.1e-36, -1.1e-36, 1.2e-36, -1e-40, NaN, 0, 1, -1]);
    const v = upload(gpu, "v", [8], [1.0005e-36, 1.1e-36, 1e-40, 0, 0, NaN, 1, 1]);
    runPass(
      gpu,
      (pass) => adam(pass, { gradient: upload(gpu, "gradient", [8]), m, v, step: 9, ...RATES }),
    );
    const zeros = async (tensor: Tensor) =>
      [...await download(gpu, tensor)].map((value) => value === 0);
    assertEquals(await zeros(m), [true, true, false, true, false, true, false, false]);
    assertEquals(await zeros(v), [true, false, true, true, true, false, false, false]);
  },
);

gpuTest("adam refuses moments of another shape", (gpu) => {
  const gradient = upload(gpu, "gradient", [4, 16]), m = upload(gpu, "m", [4, 8]);
  assertThrows(
    () => adam(new KernelPass(gpu), { gradient, m, v: gradient, step: 1, ...RATES }),
    ShapeError,
    "adam: m must be (4, 16), got (4, 8)",
  );
});

testAlternatives(import.meta.url);
