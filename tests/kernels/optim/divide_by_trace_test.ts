import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { divideByTrace } from "../../../src/kernels/optim/divide_by_trace.ts";
import { divideByTrace as oracle } from "../../oracles/optim/divide_by_trace.ts";
import { timesTransposed } from "../../oracles/svd.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

for (const size of [1, 9, 64, 300]) {
  gpuTest(`divide_by_trace (${size}, ${size}) agrees with the oracle`, async (gpu) => {
    const b = randomNormal(size * size, 2, 1e-8);
    const values = Float32Array.from(timesTransposed(b, b, size));
    const source = upload(gpu, "source", [size, size], values);
    const target = upload(gpu, "target", [size, size]);
    runPass(gpu, (pass) => divideByTrace(pass, { source, target }));
    const expected = oracle(values, size);
    // A sum of a few hundred float32 numbers, and a quotient.
    assertClose("target", await download(gpu, target), expected, { atol: 1e-9, rtol: 1e-6 });
  });
}

gpuTest("divide_by_trace leaves a zero matrix without NaN", async (gpu) => {
  const source = upload(gpu, "source", [9, 9]), target = upload(gpu, "target", [9, 9]);
  runPass(gpu, (pass) => divideByTrace(pass, { source, target }));
  assertEquals(await download(gpu, target), new Float32Array(81));
});

gpuTest("divide_by_trace refuses what does not match", (gpu) => {
  const source = upload(gpu, "source", [9, 9]), target = upload(gpu, "target", [9, 8]);
  assertThrows(
    () => divideByTrace(new KernelPass(gpu), { source, target }),
    ShapeError,
    "divideByTrace: target must be (9, 9), got (9, 8)",
  );
});

testAlternatives(import.meta.url);
