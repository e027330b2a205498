import { assertThrows } from "@std/assert";
import { KernelPass } from "../../src/gpu/pass.ts";
import { ShapeError } from "../../src/gpu/errors.ts";
import { rmsNorm } from "../../src/kernels/rms_norm.ts";
import { rmsNorm as oracle } from "../oracles/rms_norm.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../support.ts";

for (const [rows, columns] of [[1, 8], [3, 257], [64, 512], [5, 5461]]) {
  gpuTest(`rms_norm (${rows}, ${columns}) agrees with the oracle`, async (gpu) => {
    const gains = randomNormal(columns, 2);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(rows * columns, 1), dtype);
      const expected = oracle(values, gains, rows, 1e-6);
      const x = upload(gpu, "x", [rows, columns], values, dtype);
      const weight = upload(gpu, "weight", [columns], gains);
      const y = upload(gpu, "y", [rows, columns], undefined, dtype);
      const rstd = upload(gpu, "rstd", [rows]);
      runPass(gpu, (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6 }));
      const float32 = 3e-6; // sums of some thousand float32 squares
      const rtol = float32 + OUTPUT_ROUNDING[dtype];
      assertClose("y", await download(gpu, y), expected.y, { atol: 1e-6, rtol });
      assertClose("rstd", await download(gpu, rstd), expected.rstd, { atol: 0, rtol: float32 });
    }
  });
}

gpuTest("rms_norm refuses a weight of another width", async (gpu) => {
  await Promise.resolve();
  const x = upload(gpu, "x", [4, 16]), weight = upload(gpu, "weight", [8]);
  assertThrows(
    () => rmsNorm(new KernelPass(gpu), { x, weight, y: x, rstd: x, eps: 1e-6 }),
    ShapeError,
    "rmsNorm: weight must be (16), got (8)",
  );
});
