import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { inverseCholesky } from "../../../src/kernels/optim/inverse_cholesky.ts";
import { inverseCholesky as oracle } from "../../oracles/optim/inverse_cholesky.ts";
import { dot, timesTransposed } from "../../oracles/svd.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

async function run(gpu: Gpu, values: Float32Array<ArrayBuffer>, shift = 0, least = 0) {
  const size = Math.sqrt(values.length);
  const gram = upload(gpu, "gram", [size, size], values);
  runPass(gpu, (pass) => inverseCholesky(pass, { gram, shift, least }));
  return { actual: await download(gpu, gram), padded: await gpu.read(gram), gram };
}

/** The Gram matrix of random rows, whose lengths differ by a factor of a thousand. */
function gramOf(rows: number, columns: number) {
  const b = randomNormal(rows * columns, 1).map((value, i) =>
    value * 10 ** (Math.floor(i / columns) % 7 - 3)
  );
  return Float32Array.from(timesTransposed(b, b, columns));
}

// Every number of threads, with full and partial tiles.
for (const size of [1, 8, 13, 16, 29, 32, 57, 64, 72, 121, 128]) {
  gpuTest(`inverse_cholesky (${size}, ${size}) agrees with the oracle`, async (gpu) => {
    const values = gramOf(size, 4 * size), expected = oracle(values, size);
    const { actual, padded, gram } = await run(gpu, values);
    // Relative to the largest element of a row: its elements are sums of up to 128 products.
    for (let row = 0; row < size; row++) {
      const of = (all: ArrayLike<number>) => Array.from(all).slice(row * size, (row + 1) * size);
      const scale = Math.max(...of(expected).map(Math.abs));
      const [a, b] = [of(actual), of(expected)].map((all) => all.map((value) => value / scale));
      assertClose(`row ${row}`, a, b, { atol: 3e-6, rtol: 0 });
    }
    const stored = new Float32Array(padded.buffer);
    assertEquals(stored.filter((x, i) => i % gram.stride >= size && x !== 0).length, 0);
  });
}

gpuTest("inverse_cholesky turns zero and dependent rows into zeros", async (gpu) => {
  const rows = 20, columns = 40, b = randomNormal(rows * columns, 1);
  b.fill(0, columns, 2 * columns); // the second row is zero, the ninth twice the first
  b.set(b.slice(0, columns).map((value) => 2 * value), 8 * columns);
  const values = Float32Array.from(timesTransposed(b, b, columns));
  const { actual } = await run(gpu, values, 0, 1e-3);
  const held = Array.from({ length: rows }, (_, i) => i).filter((i) => i !== 1 && i !== 8);
  const rest = Float32Array.from(held.flatMap((i) => held.map((j) => values[i * rows + j])));
  const expected = oracle(rest, held.length);
  const wanted = new Float64Array(rows * rows);
  held.forEach((i, a) =>
    held.forEach((j, c) => wanted[i * rows + j] = expected[a * held.length + c])
  );
  assertClose("W", actual, wanted, { atol: 1e-6, rtol: 1e-5 });
});

gpuTest("with a shift rows within rounding of dependent give a bounded W", async (gpu) => {
  // Of B·Bᵀ, whose rows differ by one part in 100,000, float32 keeps nothing but the common part.
  const size = 100, columns = 300, common = randomNormal(columns, 5);
  const own = randomNormal(size * columns, 6, 1e-5);
  const b = own.map((value, i) => common[i % columns] + value);
  const { actual } = await run(gpu, Float32Array.from(timesTransposed(b, b, columns)), 1e-5);
  const scale = Math.sqrt(dot(common, common));
  for (let row = 0; row < size; row++) {
    const w = actual.slice(row * size, (row + 1) * size);
    // No pivot is below the shift, so no row is scaled by more than shift^-½, and rows before it
    // are subtracted from it with weights that add up to about one.
    const length = Math.sqrt(dot(w, w)) * scale;
    assert(w[row] > 0 && length < 2 * 1e-5 ** -0.5, `row ${row}: ${length}`);
  }
});

gpuTest("inverse_cholesky refuses what does not match", (gpu) => {
  const record = (shape: number[]) => () =>
    inverseCholesky(new KernelPass(gpu), { gram: upload(gpu, "g", shape), shift: 0, least: 0 });
  assertThrows(record([8, 9]), ShapeError, "inverseCholesky: gram must be (8, 8), got (8, 9)");
  assertThrows(
    record([129, 129]),
    ShapeError,
    "inverseCholesky: gram must have at most 128 rows, got float32 (129, 129)",
  );
});

testAlternatives(import.meta.url);
