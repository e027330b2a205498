import { assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { scaleRows } from "../../../src/kernels/optim/scale_rows.ts";
import { scaleRows as oracle } from "../../oracles/optim/scale_rows.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 8], [70, 257], [5, 5461]]) {
  gpuTest(`scale_rows (${rows}, ${columns})`, async (gpu) => {
    for (const strategy of sharings(gpu, LOOPS)) {
      // Lengths from 1e-30 to 1e30: squares of both ends are beyond float32.
      const values = randomNormal(rows * columns, 1).map((value, i) =>
        value * 10 ** ((Math.floor(i / columns) % 7) * 10 - 30)
      );
      if (rows > 1) values.fill(0, columns, 2 * columns);
      const matrix = upload(gpu, "matrix", [rows, columns], values);
      runPass(gpu, (pass) => scaleRows(pass, { matrix }));
      // One division, of 2.5 units in the last place.
      const expected = oracle(values, columns);
      assertClose(strategy, await download(gpu, matrix), expected, { atol: 1e-37, rtol: 3e-7 });
    }
  });
}

gpuTest("scale_rows refuses another format", (gpu) => {
  const matrix = upload(gpu, "matrix", [2, 8], undefined, "bfloat16");
  assertThrows(
    () => scaleRows(new KernelPass(gpu), { matrix }),
    ShapeError,
    "scaleRows: matrix must be float32, got bfloat16",
  );
});

testAlternatives(import.meta.url);
