import { assertEquals } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { viewAs } from "../../../src/gpu/tensor.ts";
import { rmsNormBackward } from "../../../src/kernels/norm/rms_norm_backward.ts";
import { sumRows } from "../../../src/kernels/misc/sum_rows.ts";
import { centralDifferences, inner } from "../../oracles/central_differences.ts";
import { rmsNorm } from "../../oracles/norm/rms_norm.ts";
import { rmsNormBackward as oracle } from "../../oracles/norm/rms_norm_backward.ts";
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
import { LOOPS, sharings, strategies, testAlternatives } from "../support_strategies.ts";
import { assertRefuses } from "../../support_errors.ts";

const EPS = 1e-6;

Deno.test("the oracle of rms_norm_backward agrees with central differences", () => {
  const dy = randomNormal(15, 1);
  const x = Float64Array.from(randomNormal(15, 2)), weight = Float64Array.from(randomNormal(5, 3));
  for (const offset of [0, 1]) {
    const forward = (x: Float64Array, weight: Float64Array) =>
      inner(dy, rmsNorm(x, weight, 3, EPS, offset).y);
    const { dx, dweight } = oracle(dy, x, weight, EPS, offset);
    const close = { atol: 1e-6, rtol: 1e-6 };
    assertClose("dx", dx, centralDifferences(x, (moved) => forward(moved, weight)), close);
    const bySteps = centralDifferences(weight, (moved) => forward(x, moved));
    assertClose("dweight", dweight, bySteps, close);
  }
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
      const expected = oracle(dys, xs, gains, EPS);
      for (const strategy of sharings(gpu, LOOPS)) {
        const runs = [];
        for (let run = 0; run < 2; run++) {
          const dx = upload(gpu, "dx", [rows, columns], before, dtype);
          const partial = upload(gpu, "partial", [groups, columns]);
          const dweight = upload(gpu, "dweight", [columns]);
          runPass(gpu, (pass) => {
            const operands = { dy, x, weight, rstd, dx, partial };
            rmsNormBackward(pass, { ...operands, accumulate: true });
            sumRows(pass, { x: partial, out: dweight });
          });
          runs.push({ dx: await download(gpu, dx), dweight: await download(gpu, dweight) });
        }
        assertEquals(runs[0], runs[1]);
        const dx = expected.dx.map((value, i) => value + before[i]);
        // Float32 sums of up to 5,461 products; dx and dweight are sums that may cancel.
        const rtol = 3e-6 + OUTPUT_ROUNDING[dtype];
        assertClose(`dx, ${strategy}`, runs[0].dx, dx, { atol: 3e-6, rtol });
        assertClose("dweight", runs[0].dweight, expected.dweight, { atol: 6e-6, rtol: 3e-6 });
      }
    }
  });
}

for (const [rows, columns, groups] of [[1, 8, 1], [70, 257, 3], [5, 5461, 4]]) {
  gpuTest(`rms_norm_backward (${rows}, ${columns}) overwrites dx, or dy itself`, async (gpu) => {
    const gains = randomNormal(columns, 3, 0.1);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [dys, xs, before] = [1, 2, 4].map((seed) =>
        rounded(randomNormal(rows * columns, seed), dtype)
      );
      const statistics = Float32Array.from(rmsNorm(xs, gains, rows, EPS).rstd);
      const x = upload(gpu, "x", [rows, columns], xs, dtype);
      const weight = upload(gpu, "weight", [columns], gains);
      const rstd = upload(gpu, "rstd", [rows], statistics);
      const expected = oracle(dys, xs, gains, EPS, 1);
      for (const inPlace of [false, true]) {
        for (const strategy of strategies(gpu)) {
          const dy = upload(gpu, "dy", [rows, columns], dys, dtype);
          const dx = inPlace ? dy : upload(gpu, "dx", [rows, columns], before, dtype);
          const partial = upload(gpu, "partial", [groups, columns]);
          const dweight = upload(gpu, "dweight", [columns]);
          runPass(gpu, (pass) => {
            rmsNormBackward(pass, { dy, x, weight, rstd, dx, partial, offset: 1 });
            sumRows(pass, { x: partial, out: dweight });
          });
          const rtol = 3e-6 + OUTPUT_ROUNDING[dtype]; // as above
          const actual = await download(gpu, dx);
          assertClose(`dx, ${strategy}`, actual, expected.dx, { atol: 3e-6, rtol });
          const close = { atol: 6e-6, rtol: 3e-6 };
          assertClose("dweight", await download(gpu, dweight), expected.dweight, close);
        }
      }
    }
  });
}

gpuTest("rms_norm_backward walks more heads than its workgroups may take at once", async (gpu) => {
  // (N, H·D) seen as (N·H, D). Two workgroups may take some 112,000 rows of two quads.
  const [positions, heads, size] = [2001, 64, 8], rows = positions * heads;
  const [dys, xs] = [1, 2].map((seed) => randomNormal(rows * size, seed));
  const gains = randomNormal(size, 3);
  const statistics = Float32Array.from(rmsNorm(xs, gains, rows, EPS).rstd);
  const [dq, q] = [dys, xs].map((values) => upload(gpu, "q", [positions, heads * size], values));
  const dy = viewAs(dq, "dq.heads", [rows, size]), x = viewAs(q, "q.heads", [rows, size]);
  const weight = upload(gpu, "weight", [size], gains);
  const rstd = upload(gpu, "rstd", [rows], statistics), partial = upload(gpu, "partial", [2, size]);
  runPass(
    gpu,
    (pass) => rmsNormBackward(pass, { dy, x, weight, rstd, dx: dy, partial }),
  );
  const expected = oracle(dys, xs, gains, EPS);
  assertClose("dx", await download(gpu, dy), expected.dx, { atol: 3e-6, rtol: 3e-6 });
  const parts = await download(gpu, partial);
  const dweight = expected.dweight.map((_, c) => parts[c] + parts[size + c]);
  // Sums of 64,000 terms of size 1, which reach some hundreds; a float32 rounding each.
  assertClose("dweight", dweight, expected.dweight, { atol: 5e-3, rtol: 1e-5 });
});

gpuTest("rms_norm_backward refuses to add to its own operand", (gpu) => {
  const [dy, x] = ["dy", "x"].map((name) => upload(gpu, name, [4, 16]));
  const weight = upload(gpu, "weight", [16]), rstd = upload(gpu, "rstd", [4]);
  assertRefuses(
    () =>
      rmsNormBackward(new KernelPass(gpu), {
        ...{ dy, x, weight, rstd, partial: x },
        dx: dy,
        accumulate: true,
      }),
    ShapeError,
    "rmsNormBackward: dx must be another tensor than dy, to be added to\n" +
      "  hint: without `accumulate` dy is overwritten",
  );
});

gpuTest("rms_norm_backward refuses the statistics of another batch", (gpu) => {
  const x = upload(gpu, "x", [512, 16]), weight = upload(gpu, "weight", [16]);
  const rstd = upload(gpu, "rstd", [256]), partial = upload(gpu, "partial", [8, 16]);
  assertRefuses(
    () => rmsNormBackward(new KernelPass(gpu), { dy: x, x, weight, rstd, dx: x, partial }),
    ShapeError,
    "rmsNormBackward: rstd must be (512), got (256)\n" +
      "  hint: was it saved by a forward pass over another batch?",
  );
});

testAlternatives(import.meta.url);
