import { matmulParts } from "../../../src/kernels/matmul/matmul_parts.ts";
import { matmulParts as oracle } from "../../oracles/matmul/matmul_parts.ts";
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

gpuTest("matmul_parts adds partial sums and stores them as a product", async (gpu) => {
  for (
    const [p, m, n, format] of [
      [2, 1, 1, "float32"],
      [3, 9, 70, "float32"],
      [7, 65, 12, "bfloat16"],
    ] as const
  ) {
    const values = randomNormal(p * m * n, 1);
    const before = rounded(randomNormal(m * n, 2), format);
    const added = rounded(randomNormal(m * n, 3), format);
    const parts = upload(gpu, "parts", [p, m, n], values);
    const residual = upload(gpu, "residual", [m, n], added, format);
    const none = upload(gpu, "none", [8]);
    for (const plain of [true, false]) {
      const epilogue = plain
        ? { alpha: 1, accumulate: false, residual: undefined }
        : { alpha: -0.5, accumulate: true, residual };
      const c = upload(gpu, "c", [m, n], before, format);
      const whole = { layout: "NT", m, n, k: 1 } as const;
      const problem = { ...whole, whole, firstRow: 0, a: parts, b: parts, c, none };
      runPass(gpu, (pass) => matmulParts(pass, parts, { ...problem, ...epilogue }));
      const expected = oracle(
        values,
        m * n,
        plain ? {} : { alpha: -0.5, c: before, residual: added },
      );
      // Sums of at most nine numbers of order 1.
      const rtol = OUTPUT_ROUNDING[format];
      assertClose("c", await download(gpu, c), expected, { atol: 2e-6, rtol });
    }
  }
});

testAlternatives(import.meta.url);
