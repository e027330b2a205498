import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { blockRows, orthonormalizeBlock } from "../../../src/kernels/optim/orthonormalize_block.ts";
import { orthonormalize as oracle } from "../../oracles/optim/orthonormalize_block.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  runPass,
  sharings,
  upload,
} from "../../support.ts";

for (const [rows, columns] of [[1, 8], [7, 257], [32, 80], [32, 5461]]) {
  gpuTest(`orthonormalize_block (${rows}, ${columns}) agrees with the oracle`, async (gpu) => {
    const values = randomNormal(rows * columns, 1, 0.1);
    const expected = oracle(values, columns);
    for (const sharing of sharings(gpu, [1, 8, 32])) {
      const block = upload(gpu, "block", [rows, columns], values);
      runPass(gpu, (pass) => orthonormalizeBlock(pass, { block, least: 1e-30, ...sharing }));
      // Random rows are far from dependent: errors stay those of sums of some thousand products.
      assertClose("block", await download(gpu, block), expected, { atol: 2e-6, rtol: 1e-5 });
    }
  });
}

for (const lanes of [1, 8]) {
  gpuTest(
    `orthonormalize_block turns zero and dependent rows into zeros, ${lanes} lanes`,
    async (gpu) => {
      const columns = 40, values = randomNormal(4 * columns, 1);
      values.fill(0, columns, 2 * columns); // the second row is zero, the fourth twice the first
      values.set(values.slice(0, columns).map((value) => 2 * value), 3 * columns);
      const block = upload(gpu, "block", [4, columns], values);
      runPass(gpu, (pass) => orthonormalizeBlock(pass, { block, least: 1e-6, lanes }));
      const actual = await download(gpu, block);
      assertEquals(actual.slice(columns, 2 * columns), new Float32Array(columns));
      assertEquals(actual.slice(3 * columns), new Float32Array(columns));
      const expected = oracle(values, columns);
      assertClose("block", actual, expected, { atol: 1e-6, rtol: 1e-5 });
    },
  );
}

Deno.test("blocks of many columns have fewer rows", () => {
  assertEquals([1, 13_824, 13_825, 30_000, 60_000].map(blockRows), [32, 32, 16, 16, 8]);
});

gpuTest("orthonormalize_block takes the most columns of 32 rows", async (gpu) => {
  const columns = 13_824, values = randomNormal(32 * columns, 1, 0.1);
  const block = upload(gpu, "block", [32, columns], values);
  runPass(gpu, (pass) => orthonormalizeBlock(pass, { block, least: 1e-30 }));
  const expected = oracle(values, columns);
  assertClose("block", await download(gpu, block), expected, { atol: 2e-6, rtol: 1e-5 });
});

gpuTest("orthonormalize_block refuses more than 32 rows", (gpu) => {
  const wide = upload(gpu, "wide", [17, 16_384]);
  assertThrows(
    () => orthonormalizeBlock(new KernelPass(gpu), { block: wide, least: 0 }),
    ShapeError,
    "orthonormalizeBlock: block must have at most 16 rows, got float32 (17, 16384)",
  );
  assertThrows(
    () => orthonormalizeBlock(new KernelPass(gpu), { block: upload(gpu, "b", [33, 8]), least: 0 }),
    ShapeError,
    "orthonormalizeBlock: block must have at most 32 rows, got float32 (33, 8)",
  );
});
