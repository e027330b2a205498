import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { unpackTensor } from "../../../src/numbers/plain.ts";
import { embeddingBackward, sortTokens } from "../../../src/kernels/misc/embedding_backward.ts";
import { embedding } from "../../oracles/misc/embedding.ts";
import { embeddingBackward as oracle } from "../../oracles/misc/embedding_backward.ts";
import { centralDifferences, inner } from "../../oracles/central_differences.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  randomStream,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";

Deno.test("the oracle of embedding_backward agrees with central differences", () => {
  const ids = [2, 0, 2, 2],
    dx = randomNormal(12, 1),
    weight = Float64Array.from(randomNormal(9, 2));
  for (const scale of [1, 3]) {
    const forward = (moved: Float64Array) => inner(dx, embedding(ids, moved, 3, scale));
    const dweight = oracle(ids, dx, new Float64Array(9), scale);
    const bySteps = centralDifferences(weight, forward);
    assertClose("dweight", dweight, bySteps, { atol: 1e-8, rtol: 1e-8 });
  }
});

Deno.test("sortTokens sorts positions by token and keeps their order within one", () => {
  const { order, sortedTokens } = sortTokens(Uint32Array.of(5, 128_255, 0, 5, 0, 5));
  assertEquals([...order], [2, 4, 0, 3, 5, 1]);
  assertEquals([...sortedTokens], [0, 0, 5, 5, 5, 128_255]);
});

for (const [rows, vocabulary, columns] of [[1, 1, 8], [7, 11, 257], [300, 9, 64], [130, 999, 20]]) {
  gpuTest(
    `embedding_backward N ${rows} V ${vocabulary} C ${columns} adds to dweight`,
    async (gpu) => {
      const draw = randomStream(4);
      const ids = Uint32Array.from({ length: rows }, () => Math.floor(draw() * vocabulary));
      const sorted = sortTokens(ids);
      const before = randomNormal(vocabulary * columns, 5);
      for (const dtype of ["float32", "bfloat16"] as const) {
        const values = rounded(randomNormal(rows * columns, 6), dtype);
        const dx = upload(gpu, "dx", [rows, columns], values, dtype);
        const order = upload(gpu, "order", [rows], sorted.order, "uint32");
        const sortedTokens = upload(gpu, "sorted", [rows], sorted.sortedTokens, "uint32");
        const runs = [];
        // Each strategy twice: the same bits.
        for (const _ of strategies(gpu, [{}, {}])) {
          const dweight = upload(gpu, "dweight", [vocabulary, columns], before);
          runPass(gpu, (pass) => embeddingBackward(pass, { dx, order, sortedTokens, dweight }));
          runs.push(await download(gpu, dweight));
        }
        // A float32 sum of up to some 40 terms of size 1 that may cancel.
        assertClose("dweight", runs[0], oracle(ids, values, before), { atol: 4e-6, rtol: 1e-6 });
        for (const run of runs) assertEquals(run, runs[0]);
      }
    },
  );
}

gpuTest("embedding_backward multiplies by the scale of the forward pass", async (gpu) => {
  const [rows, vocabulary, columns] = [40, 9, 257], scale = Math.sqrt(columns);
  const ids = Uint32Array.from({ length: rows }, (_, n) => (n * n) % vocabulary);
  const sorted = sortTokens(ids), before = randomNormal(vocabulary * columns, 5);
  const values = randomNormal(rows * columns, 6);
  const dx = upload(gpu, "dx", [rows, columns], values);
  const order = upload(gpu, "order", [rows], sorted.order, "uint32");
  const sortedTokens = upload(gpu, "sorted", [rows], sorted.sortedTokens, "uint32");
  const dweight = upload(gpu, "dweight", [vocabulary, columns], before);
  runPass(gpu, (pass) => embeddingBackward(pass, { dx, order, sortedTokens, dweight, scale }));
  // A float32 sum of up to some 15 terms of size 16 that may cancel.
  const expected = oracle(ids, values, before, scale);
  assertClose("dweight", await download(gpu, dweight), expected, { atol: 3e-5, rtol: 1e-6 });
});

gpuTest("embedding_backward walks a gradient that exceeds one binding", async (gpu) => {
  const columns = 4096;
  const perBinding = gpu.limits.maxStorageBufferBindingSize / (columns * 4);
  if (perBinding > 16_384) return; // too much memory on a card with large bindings
  const vocabulary = perBinding + 2;
  const ids = Uint32Array.of(0, vocabulary - 1, perBinding - 1, vocabulary - 1, perBinding);
  const sorted = sortTokens(ids);
  const values = randomNormal(ids.length * columns, 1);
  const dx = upload(gpu, "dx", [ids.length, columns], values);
  const order = upload(gpu, "order", [ids.length], sorted.order, "uint32");
  const sortedTokens = upload(gpu, "sorted", [ids.length], sorted.sortedTokens, "uint32");
  const dweight = upload(gpu, "dweight", [vocabulary, columns]);
  runPass(gpu, (pass) => embeddingBackward(pass, { dx, order, sortedTokens, dweight }));
  const row = { ...dweight, shape: [columns] };
  for (const id of new Set(ids)) {
    const bytes = await gpu.read(dweight, id * columns * 4, columns * 4);
    const expected = new Float32Array(columns);
    ids.forEach((other, n) => {
      if (other === id) {
        for (let c = 0; c < columns; c++) expected[c] += values[n * columns + c];
      }
    });
    assertEquals(unpackTensor(row, bytes), expected);
  }
  gpu.release(dweight);
});

gpuTest("embedding_backward adds up runs longer than a dispatch", async (gpu) => {
  // Small integers: sums are exact, whatever their order.
  const rows = 130_000, ids = new Uint32Array(rows).fill(1);
  [ids[3], ids[70_000], ids[rows - 1]] = [0, 2, 2];
  const values = Float32Array.from({ length: rows * 8 }, (_, i) => i % 5 - 1);
  const { order, sortedTokens } = sortTokens(ids);
  const io = {
    dx: upload(gpu, "dx", [rows, 8], values),
    order: upload(gpu, "order", [rows], order, "uint32"),
    sortedTokens: upload(gpu, "sorted", [rows], sortedTokens, "uint32"),
    dweight: upload(gpu, "dweight", [4, 8], new Float32Array(32).fill(0.5)),
  };
  runPass(gpu, (pass) => embeddingBackward(pass, io));
  const expected = oracle(ids, values, new Float64Array(32).fill(0.5));
  assertEquals([...await download(gpu, io.dweight)], [...expected]);
});

gpuTest("embedding_backward refuses a gradient of another width", (gpu) => {
  const ids = upload(gpu, "ids", [4], undefined, "uint32");
  const dx = upload(gpu, "dx", [4, 16]), dweight = upload(gpu, "dweight", [10, 8]);
  assertThrows(
    () => embeddingBackward(new KernelPass(gpu), { dx, order: ids, sortedTokens: ids, dweight }),
    ShapeError,
    "embeddingBackward: dweight must be (10, 16), got (10, 8)",
  );
});

testAlternatives(import.meta.url);
