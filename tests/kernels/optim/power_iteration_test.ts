import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { powerIteration } from "../../../src/kernels/optim/power_iteration.ts";
import { leadingEigenvector } from "../../oracles/optim/power_iteration.ts";
import { timesTransposed } from "../../oracles/svd.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  runPass,
  sharings,
  upload,
} from "../../support.ts";

for (const size of [1, 9, 16, 61]) {
  gpuTest(`power_iteration finds the leading eigenvector of (${size}, ${size})`, async (gpu) => {
    // B·Bᵀ with columns of B that shrink: eigenvalues apart by a factor of about two.
    const b = randomNormal(size * size, 2).map((value, i) => value * 1.4 ** -(i % size));
    const values = Float32Array.from(timesTransposed(b, b, size), (value) => value * 1e-15);
    const matrix = upload(gpu, "matrix", [size, size], values);
    const expected = leadingEigenvector(values, size);
    for (const sharing of sharings(gpu, [1, 16, 64])) {
      const vectors = upload(gpu, "vectors", [2, size], randomNormal(2 * size, 3));
      runPass(gpu, (pass) => powerIteration(pass, { matrix, vectors, iterations: 99, ...sharing }));
      const actual = (await download(gpu, vectors)).slice(0, size);
      const most = expected.findIndex((value) => Math.abs(Math.abs(value) - 1) < 1e-9);
      const sign = Math.sign(actual[most] * expected[most]); // an eigenvector's sign is arbitrary
      // Rounding of the sums, amplified by the gap between the first two eigenvalues.
      assertClose("vector", actual, expected.map((value) => sign * value), { atol: 1e-5, rtol: 0 });
    }
  });
}

gpuTest("power_iteration walks a large matrix in several dispatches", async (gpu) => {
  // A thread makes some 550 rounds of loops an iteration. The matrix: v·vᵀ and a tenth of 1.
  const size = 640, v = randomNormal(size, 4, size ** -0.5);
  const values = Float32Array.from(
    { length: size * size },
    (_, i) => v[Math.floor(i / size)] * v[i % size] + (i % (size + 1) === 0 ? 0.1 : 0),
  );
  const matrix = upload(gpu, "matrix", [size, size], values);
  const vectors = upload(gpu, "vectors", [2, size], randomNormal(2 * size, 3));
  runPass(gpu, (pass) => powerIteration(pass, { matrix, vectors, iterations: 100 }));
  const actual = (await download(gpu, vectors)).slice(0, size);
  const scale = actual[0] / v[0];
  assertClose("vector", actual, v.map((value) => scale * value), { atol: 1e-5, rtol: 1e-5 });
  assertClose("largest", [Math.max(...actual.map(Math.abs))], [1], { atol: 1e-6, rtol: 0 });
});

gpuTest("power_iteration leaves a zero matrix without NaN", async (gpu) => {
  const matrix = upload(gpu, "matrix", [9, 9]);
  const vectors = upload(gpu, "vectors", [2, 9], randomNormal(18, 3));
  runPass(gpu, (pass) => powerIteration(pass, { matrix, vectors, iterations: 10 }));
  assertEquals((await download(gpu, vectors)).slice(0, 9), new Float32Array(9));
});

gpuTest("power_iteration refuses what does not match", (gpu) => {
  const matrix = upload(gpu, "matrix", [9, 9]), vectors = upload(gpu, "vectors", [2, 8]);
  assertThrows(
    () => powerIteration(new KernelPass(gpu), { matrix, vectors, iterations: 10 }),
    ShapeError,
    "powerIteration: vectors must be (2, 9), got (2, 8)",
  );
});
