import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { sumRows } from "../../../src/kernels/misc/sum_rows.ts";
import { sumRows as oracle } from "../../oracles/misc/sum_rows.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 8], [3, 257], [64, 512], [5, 5461]]) {
  gpuTest(`sum_rows (${rows}, ${columns}) overwrites or adds`, async (gpu) => {
    const before = randomNormal(columns, 2);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(rows * columns, 1), dtype);
      const x = upload(gpu, "x", [rows, columns], values, dtype);
      const sums = oracle(values, columns);
      for (const strategy of strategies(gpu)) {
        for (const accumulate of [false, true]) {
          const out = upload(gpu, "out", [columns], before);
          runPass(gpu, (pass) => sumRows(pass, { x, out, accumulate }));
          const expected = sums.map((value, c) => accumulate ? value + before[c] : value);
          // Up to 64 terms of size 1 that may cancel, a float32 rounding each; the sum is float32.
          assertClose(strategy, await download(gpu, out), expected, { atol: 4e-6, rtol: 1e-6 });
        }
      }
    }
  });
}

gpuTest("sum_rows adds up more rows than a thread may walk over in one dispatch", async (gpu) => {
  const rows = 65_600, values = randomNormal(8 * rows, 1).map(Math.abs);
  const x = upload(gpu, "x", [rows, 8], values), out = upload(gpu, "out", [8]);
  runPass(gpu, (pass) => sumRows(pass, { x, out }));
  // A float32 rounding a row: at random, some 256 halves of 2^-24.
  assertClose("out", await download(gpu, out), oracle(values, 8), { atol: 0, rtol: 1e-4 });
});

gpuTest("sum_rows sums the rows of a bias gradient in bfloat16", async (gpu) => {
  const [rows, columns] = [4099, 40];
  const values = rounded(randomNormal(rows * columns, 1), "bfloat16");
  const x = upload(gpu, "x", [rows, columns], values, "bfloat16");
  for (const strategy of strategies(gpu)) {
    const outs = [0, 1].map(() => upload(gpu, "out", [columns]));
    runPass(gpu, (pass) => outs.forEach((out) => sumRows(pass, { x, out })));
    const [sums, again] = [await download(gpu, outs[0]), await download(gpu, outs[1])];
    assertEquals(sums, again);
    // Terms of size 1 whose sums reach some hundreds: at random, 64 halves of 2^-24 of those.
    assertClose(strategy, sums, oracle(values, columns), { atol: 1e-3, rtol: 1e-6 });
  }
});

gpuTest("sum_rows refuses an output of another width", (gpu) => {
  const x = upload(gpu, "x", [4, 16]), out = upload(gpu, "out", [8]);
  assertThrows(
    () => sumRows(new KernelPass(gpu), { x, out }),
    ShapeError,
    "sumRows: out must be (16), got (8)",
  );
});

testAlternatives(import.meta.url);
