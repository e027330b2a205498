import { assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { columnDots } from "../../../src/kernels/misc/column_dots.ts";
import { columnDots as oracle } from "../../oracles/misc/column_dots.ts";
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
  gpuTest(`column_dots (${rows}, ${columns}) overwrites or adds`, async (gpu) => {
    const before = randomNormal(columns, 2);
    const norms = randomNormal(columns, 4).map((value) => 0.5 + Math.abs(value));
    norms[columns - 1] = 0;
    const norm = upload(gpu, "norm", [columns], norms);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [xs, ys] = [1, 3].map((seed) => rounded(randomNormal(rows * columns, seed), dtype));
      const x = upload(gpu, "x", [rows, columns], xs, dtype);
      const y = upload(gpu, "y", [rows, columns], ys, dtype);
      for (const strategy of strategies(gpu)) {
        for (const accumulate of [false, true]) {
          const out = upload(gpu, "out", [columns], before);
          runPass(gpu, (pass) => columnDots(pass, { x, y, norm, out, accumulate }));
          const dots = oracle(xs, ys, norms);
          const expected = dots.map((value, c) => accumulate ? value + before[c] : value);
          // Up to 64 products of size 1 that may cancel, over a norm of at least a half.
          assertClose(strategy, await download(gpu, out), expected, { atol: 2e-5, rtol: 1e-6 });
        }
      }
    }
  });
}

gpuTest("column_dots refuses operands of another shape", (gpu) => {
  const [x, out, norm] = [[4, 16], [16], [16]].map((shape) => upload(gpu, "x", shape));
  const y = upload(gpu, "y", [4, 8]);
  assertThrows(
    () => columnDots(new KernelPass(gpu), { x, y, norm, out }),
    ShapeError,
    "columnDots: y must be (4, 16), got (4, 8)",
  );
});

testAlternatives(import.meta.url);
