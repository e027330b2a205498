import { assertThrows } from "@std/assert";
import { ShapeError } from "../../src/gpu/errors.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { swigluBackward } from "../../src/kernels/swiglu_backward.ts";
import { centralDifferences, inner } from "../oracles/central_differences.ts";
import { swiglu } from "../oracles/swiglu.ts";
import { swigluBackward as oracle } from "../oracles/swiglu_backward.ts";
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

Deno.test("the oracle of swiglu_backward agrees with central differences", () => {
  const [gate, up, dh] = [1, 2, 3].map((seed) => Float64Array.from(randomNormal(12, seed)));
  const { dgate, dup } = oracle(gate, up, dh);
  const close = { atol: 1e-7, rtol: 1e-7 };
  const bySteps = {
    gate: centralDifferences(gate, (moved) => inner(dh, swiglu(moved, up))),
    up: centralDifferences(up, (moved) => inner(dh, swiglu(gate, moved))),
  };
  assertClose("dgate", dgate, bySteps.gate, close);
  assertClose("dup", dup, bySteps.up, close);
});

for (const [rows, columns] of [[1, 8], [3, 257], [5, 5461]]) {
  gpuTest(`swiglu_backward (${rows}, ${columns}) agrees with the oracle`, async (gpu) => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [gates, ups, dhs] = [1, 2, 3].map((seed) =>
        rounded(randomNormal(rows * columns, seed, 2), dtype)
      );
      const gate = upload(gpu, "gate", [rows, columns], gates, dtype);
      const up = upload(gpu, "up", [rows, columns], ups, dtype);
      const dh = upload(gpu, "dh", [rows, columns], dhs, dtype);
      runPass(gpu, (pass) => swigluBackward(pass, { gate, up, dh }));
      const expected = oracle(gates, ups, dhs);
      // float32: exp is allowed some ulps; dgate crosses zero near −1.28, where a sum cancels.
      const tolerance = { atol: 2e-6, rtol: 2e-6 + OUTPUT_ROUNDING[dtype] };
      assertClose("dgate", await download(gpu, gate), expected.dgate, tolerance);
      assertClose("dup", await download(gpu, up), expected.dup, tolerance);
      assertClose("h", await download(gpu, dh), expected.h, tolerance);
    }
  });
}

gpuTest("swiglu_backward refuses operands of other shapes", async (gpu) => {
  await Promise.resolve();
  const gate = upload(gpu, "gate", [4, 16]), dh = upload(gpu, "dh", [3, 16]);
  assertThrows(
    () => swigluBackward(new KernelPass(gpu), { gate, up: gate, dh }),
    ShapeError,
    "swigluBackward: dh must be (4, 16), got (3, 16)",
  );
});
