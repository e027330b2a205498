import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { packTensor } from "../../../src/numbers/plain.ts";
import { embedding } from "../../../src/kernels/misc/embedding.ts";
import { knownMatrix } from "../support_matrices.ts";
import { embedding as oracle } from "../../oracles/misc/embedding.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  randomStream,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";

for (const [rows, vocabulary, columns] of [[1, 1, 8], [7, 11, 257], [130, 257, 64]]) {
  gpuTest(`embedding N ${rows} V ${vocabulary} C ${columns} in every format`, async (gpu) => {
    const draw = randomStream(3);
    const ids = Uint32Array.from({ length: rows }, () => Math.floor(draw() * vocabulary));
    ids[rows - 1] = vocabulary - 1;
    for (const weightFormat of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(vocabulary * columns, 1), weightFormat);
      for (const dtype of ["float32", "bfloat16"] as const) {
        const tokens = upload(gpu, "tokens", [rows], ids, "uint32");
        const weight = upload(gpu, "weight", [vocabulary, columns], values, weightFormat);
        // A copy: exact, but where it narrows.
        const rtol = weightFormat === "bfloat16" ? 0 : OUTPUT_ROUNDING[dtype];
        const expected = oracle(ids, values, columns);
        for (const strategy of strategies(gpu)) {
          const out = upload(gpu, "out", [rows, columns], undefined, dtype);
          runPass(gpu, (pass) => embedding(pass, { tokens, weight, out }));
          assertClose(strategy, await download(gpu, out), expected, { atol: 1e-30, rtol });
        }
      }
    }
  });
}

/**
 * Of int8, a difference that is exact and a product of float32; of nf4, an absolute maximum, which is
 * a product and a sum, and a product.
 */
const DECODING = { int8: 2 ** -22, nf4: 2 ** -21 };

for (const weightFormat of ["int8", "nf4"] as const) {
  gpuTest(`embedding of an ${weightFormat} table whose groups straddle rows`, async (gpu) => {
    // More blocks of nf4 than share a scale.
    const [rows, vocabulary, columns] = [130, 177, 100];
    const ids = Uint32Array.from({ length: rows }, (_, n) => (n * 5) % vocabulary);
    const { tensor: weight, values } = knownMatrix(
      gpu,
      "weight",
      [vocabulary, columns],
      weightFormat,
      4,
    );
    for (const dtype of ["float32", "bfloat16"] as const) {
      const tokens = upload(gpu, "tokens", [rows], ids, "uint32");
      const out = upload(gpu, "out", [rows, columns], undefined, dtype);
      runPass(gpu, (pass) => embedding(pass, { tokens, weight, out }));
      const rtol = DECODING[weightFormat] + OUTPUT_ROUNDING[dtype];
      assertClose("out", await download(gpu, out), oracle(ids, values, columns), {
        atol: 1e-6,
        rtol,
      });
    }
  });
}

gpuTest("embedding multiplies by a scale", async (gpu) => {
  const [rows, vocabulary, columns] = [7, 11, 257], scale = Math.sqrt(columns);
  const ids = Uint32Array.from({ length: rows }, (_, n) => (n * 5) % vocabulary);
  for (const dtype of ["float32", "bfloat16"] as const) {
    const values = rounded(randomNormal(vocabulary * columns, 1), "bfloat16");
    const tokens = upload(gpu, "tokens", [rows], ids, "uint32");
    const weight = upload(gpu, "weight", [vocabulary, columns], values, "bfloat16");
    const out = upload(gpu, "out", [rows, columns], undefined, dtype);
    runPass(gpu, (pass) => embedding(pass, { tokens, weight, out, scale }));
    const rtol = 2 ** -23 + OUTPUT_ROUNDING[dtype]; // the scale is rounded, and the product
    const expected = oracle(ids, values, columns, scale);
    assertClose("out", await download(gpu, out), expected, { atol: 1e-30, rtol });
  }
});

gpuTest("embedding walks a table that exceeds one binding", async (gpu) => {
  const columns = 4096;
  const perBinding = gpu.limits.maxStorageBufferBindingSize / (columns * 2);
  if (perBinding > 32_768) return; // too much memory on a card with large bindings
  const vocabulary = perBinding + 2;
  const ids = [0, vocabulary - 1, perBinding - 1, perBinding, vocabulary - 2];
  const weight = upload(gpu, "weight", [vocabulary, columns], undefined, "bfloat16");
  const rowOf = (id: number) => rounded(randomNormal(columns, id + 1), "bfloat16");
  for (const id of ids) {
    gpu.write(weight, packTensor({ ...weight, shape: [columns] }, rowOf(id)), id * columns * 2);
  }
  const tokens = upload(gpu, "tokens", [ids.length], ids, "uint32");
  const out = upload(gpu, "out", [ids.length, columns]);
  runPass(gpu, (pass) => embedding(pass, { tokens, weight, out }));
  const values = await download(gpu, out);
  for (const [n, id] of ids.entries()) {
    assertEquals(values.subarray(n * columns, (n + 1) * columns), rowOf(id));
  }
  gpu.release(weight);
});

gpuTest(
  "embedding refuses tokens of another format and an output of another shape",
  (gpu) => {
    const tokens = upload(gpu, "tokens", [4], undefined, "uint32");
    const weight = upload(gpu, "weight", [10, 16]), out = upload(gpu, "out", [4, 8]);
    const pass = new KernelPass(gpu);
    assertThrows(
      () => embedding(pass, { tokens: weight, weight, out }),
      ShapeError,
      "embedding: tokens must be uint32, got float32",
    );
    assertThrows(
      () => embedding(pass, { tokens, weight, out }),
      ShapeError,
      "embedding: out must be (4, 16), got (4, 8)",
    );
  },
);

testAlternatives(import.meta.url);
