import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { rowRange } from "../../../src/gpu/tensor.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { scaleColumns } from "../../../src/kernels/misc/scale_columns.ts";
import { scaleColumns as oracle } from "../../oracles/misc/scale_columns.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 8], [3, 257], [70, 512], [5, 5461]]) {
  gpuTest(`scale_columns (${rows}, ${columns}), with a residual and without`, async (gpu) => {
    const factors = randomNormal(columns, 2), factor = upload(gpu, "factor", [columns], factors);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(rows * columns, 1), dtype);
      const others = rounded(randomNormal(rows * columns, 3), dtype);
      const residual = upload(gpu, "residual", [rows, columns], others, dtype);
      for (const added of [undefined, residual]) {
        const y = upload(gpu, "y", [rows, columns], values, dtype);
        runPass(gpu, (pass) => scaleColumns(pass, { y, factor, residual: added }));
        const expected = oracle(values, factors, added && others);
        // A product and a sum, each rounded once, and what the format costs.
        const rtol = 2 ** -23 + OUTPUT_ROUNDING[dtype];
        assertClose("y", await download(gpu, y), expected, { atol: 1e-6, rtol });
      }
    }
  });
}

gpuTest("scale_columns leaves rows outside a view as they were", async (gpu) => {
  const [rows, columns] = [130, 9], y = upload(gpu, "y", [rows, columns]);
  const values = new Float32Array(rows * columns).fill(1);
  const ones = upload(gpu, "ones", [rows, columns], values);
  const factor = upload(gpu, "factor", [columns], new Float32Array(columns).fill(3));
  runPass(gpu, (pass) => {
    pass.copy(ones, y);
    scaleColumns(pass, { y: rowRange(y, 64, 128), factor });
  });
  const scaled = [...await download(gpu, y)].filter((value) => value === 3);
  assertEquals(scaled.length, 64 * columns);
});

gpuTest("scale_columns refuses a factor of another width", (gpu) => {
  const y = upload(gpu, "y", [4, 16]), factor = upload(gpu, "factor", [8]);
  assertThrows(
    () => scaleColumns(new KernelPass(gpu), { y, factor }),
    ShapeError,
    "scaleColumns: factor must be (16), got (8)",
  );
});

testAlternatives(import.meta.url);
