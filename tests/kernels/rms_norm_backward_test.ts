import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/gpu/errors.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { rmsNormBackward } from "../../src/kernels/rms_norm_backward.ts";
import { sumRows } from "../../src/kernels/sum_rows.ts";
import { centralDifferences, inner } from "../oracles/central_differences.ts";
import { rmsNorm } from "../oracles/rms_norm.ts";
import { rmsNormBackward as oracle } from "../oracles/rms_norm_backward.ts";
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

const EPS = 1e-6;

Deno.test("the oracle of rms_norm_backward agrees with central differences", () => {
  const dy = randomNormal(15, 1);
  const x = Float64Array.from(randomNormal(15, 2)), weight = Float64Array.from(randomNormal(5, 3));
  // The forward oracle reads float32 but computes in float64: any array of numbers will do.
  const forward = (x: Float64Array, weight: Float64Array) =>
    inner(dy, rmsNorm(x as unknown as Float32Array, weight as unknown as Float32Array, 3, EPS).y);
  const { dx, dweight } = oracle(dy, x, weight, EPS);
  const close = { atol: 1e-6, rtol: 1e-6 };
  assertClose("dx", dx, centralDifferences(x, (moved) => forward(moved, weight)), close);
  assertClose("dweight", dweight, centralDifferences(weight, (moved) => forward(x, moved)), close);
});

for (const [rows, columns, groups] of [[1, 8, 1], [3, 257, 2], [70, 512, 64], [5, 5461, 4]]) {
  const title = `rms_norm_backward (${rows}, ${columns}) in ${groups} groups`;
  gpuTest(`${title} adds to dx, the same bits twice`, async (gpu) => {
    const gains = randomNormal(columns, 3);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [dys, xs, before] = [1, 2, 4].map((seed) =>
        rounded(randomNormal(rows * columns, seed), dtype)
      );
      const statistics = Float32Array.from(rmsNorm(xs, gains, rows, EPS).rstd);
      const dy = upload(gpu, "dy", [rows, columns], dys, dtype);
      const x = upload(gpu, "x", [rows, columns], xs, dtype);
      const weight = upload(gpu, "weight", [columns], gains);
      const rstd = upload(gpu, "rstd", [rows], statistics);
      const runs = [];
      for (let run = 0; run < 2; run++) {
        const dx = upload(gpu, "dx", [rows, columns], before, dtype);
        const partial = upload(gpu, "partial", [groups, columns]);
        const dweight = upload(gpu, "dweight", [columns]);
        runPass(gpu, (pass) => {
          rmsNormBackward(pass, { dy, x, weight, rstd, dx, partial });
          sumRows(pass, { x: partial, out: dweight });
        });
        runs.push({ dx: await download(gpu, dx), dweight: await download(gpu, dweight) });
      }
      assertEquals(runs[0], runs[1]);
      const expected = oracle(dys, xs, gains, EPS);
      const dx = expected.dx.map((value, i) => value + before[i]);
      // Float32 sums of up to 5,461 products; dx and dweight are sums that may cancel.
      const rtol = 3e-6 + OUTPUT_ROUNDING[dtype];
      assertClose("dx", runs[0].dx, dx, { atol: 3e-6, rtol });
      assertClose("dweight", runs[0].dweight, expected.dweight, { atol: 6e-6, rtol: 3e-6 });
    }
  });
}

gpuTest("rms_norm_backward refuses the statistics of another batch", async (gpu) => {
  await Promise.resolve();
  const x = upload(gpu, "x", [512, 16]), weight = upload(gpu, "weight", [16]);
  const rstd = upload(gpu, "rstd", [256]), partial = upload(gpu, "partial", [8, 16]);
  assertThrows(
    () => rmsNormBackward(new KernelPass(gpu), { dy: x, x, weight, rstd, dx: x, partial }),
    ShapeError,
    "rmsNormBackward: rstd must be (512), got (256)\n" +
      "  hint: was it saved by a forward pass over another batch?",
  );
});
