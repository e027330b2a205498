import { assertThrows } from "@std/assert";
import { KernelPass } from "../../src/gpu/pass.ts";
import { ShapeError } from "../../src/gpu/errors.ts";
import { Scope } from "../../src/gpu/scope.ts";
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

gpuTest("rms_norm walks a matrix larger than one binding", async (gpu) => {
  const columns = 8192, rows = gpu.limits.maxStorageBufferBindingSize / (4 * columns) + 3;
  if (rows > 10_000) return; // a card binds gigabytes: too much for a test
  const scope = new Scope(gpu);
  const make = (name: string, shape: readonly number[]) =>
    scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  const x = make("x", [rows, columns]), y = make("y", [rows, columns]), rstd = make("rstd", [rows]);
  const gains = randomNormal(columns, 2), weight = upload(gpu, "weight", [columns], gains);
  const picked = [0, rows - 4, rows - 3, rows - 1]; // either side of the border, and the ends
  for (const row of picked) gpu.write(x, randomNormal(columns, row), 4 * row * columns);
  runPass(gpu, (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6 }));
  const scales = await download(gpu, rstd);
  for (const row of picked) {
    const expected = oracle(randomNormal(columns, row), gains, 1, 1e-6);
    const bytes = await gpu.read(y, 4 * row * columns, 4 * columns);
    const tolerance = { atol: 1e-6, rtol: 3e-6 }; // as above
    assertClose(`y of row ${row}`, new Float32Array(bytes.buffer), expected.y, tolerance);
    assertClose(`rstd of row ${row}`, [scales[row]], expected.rstd, tolerance);
  }
  scope.release();
});

gpuTest("rms_norm refuses a weight of another width", async (gpu) => {
  await Promise.resolve();
  const x = upload(gpu, "x", [4, 16]), weight = upload(gpu, "weight", [8]);
  assertThrows(
    () => rmsNorm(new KernelPass(gpu), { x, weight, y: x, rstd: x, eps: 1e-6 }),
    ShapeError,
    "rmsNorm: weight must be (16), got (8)",
  );
});
