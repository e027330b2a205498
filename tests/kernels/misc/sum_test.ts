import { assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { sum } from "../../../src/kernels/misc/sum.ts";
import { sum as oracle } from "../../oracles/misc/sum.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

for (const count of [1, 257, 5461]) {
  gpuTest(`sum of ${count} scales, accumulates and leaves the other elements`, async (gpu) => {
    const values = randomNormal(count, 1).map(Math.abs);
    for (const strategy of sharings(gpu, LOOPS)) {
      const x = upload(gpu, "x", [count], values), out = upload(gpu, "out", [3], [1, 2, 3]);
      const io = { x, out };
      runPass(gpu, (pass) => sum(pass, { ...io, index: 1, scale: 0.5, accumulate: true }));
      runPass(gpu, (pass) => sum(pass, { ...io, index: 2 }));
      const expected = [1, 2 + oracle(values, 0.5), oracle(values)];
      // Some 20 terms a thread, 64 threads: a float32 rounding each at most.
      assertClose(strategy, await download(gpu, out), expected, { atol: 0, rtol: 2e-6 });
    }
  });
}

for (const shape of [[1], [3, 257], [40, 5461]]) {
  gpuTest(`sum of squares of (${shape}), of either sign`, async (gpu) => {
    const values = randomNormal(shape.reduce((product, size) => product * size), 2, 1e-4);
    const x = upload(gpu, "x", shape, values), out = upload(gpu, "out", [2], [1, 2]);
    runPass(gpu, (pass) => sum(pass, { x, out, index: 1, squared: true, scale: 3 }));
    const expected = [1, oracle(values, 3, true)];
    // Up to some 900 terms a thread, all positive: roundings mostly cancel.
    assertClose("out", await download(gpu, out), expected, { atol: 0, rtol: 1e-5 });
  });
}

gpuTest("sum walks a tensor that exceeds one range", async (gpu) => {
  const rows = (1 << 20) + 1; // ranges of 2^23 elements: the second holds one row of 8
  const x = upload(gpu, "x", [rows, 8]), out = upload(gpu, "out", [1]);
  gpu.write(x, Float32Array.of(1, 2, 3));
  gpu.write(x, Float32Array.of(10, 20), x.byteLength - 8);
  runPass(gpu, (pass) => sum(pass, { x, out, index: 0 }));
  assertClose("out", await download(gpu, out), [36], { atol: 0, rtol: 1e-7 });
  gpu.release(x);
});

gpuTest("sum refuses an index beyond its output", (gpu) => {
  const x = upload(gpu, "x", [4]), out = upload(gpu, "out", [3]);
  assertThrows(
    () => sum(new KernelPass(gpu), { x, out, index: 3 }),
    ShapeError,
    "sum: out must be a vector with an element 3, got (3)",
  );
});

testAlternatives(import.meta.url);
