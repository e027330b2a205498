import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { seedRows } from "../../../src/kernels/optim/seed_rows.ts";
import { seedRows as oracle } from "../../oracles/optim/seed_rows.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

for (const [rows, columns, first] of [[1, 8, 0], [70, 257, 66], [5, 5461, 5]]) {
  gpuTest(`seed_rows (${rows}, ${columns}) from ${first}`, async (gpu) => {
    for (const strategy of sharings(gpu, LOOPS)) {
      const values = randomNormal(rows * columns, 1);
      values.fill(0, 0, columns); // the first row holds nothing
      const target = upload(gpu, "target", [rows, columns], values);
      const key = { seed: 3, step: 4, tensor: 5 };
      runPass(gpu, (pass) => seedRows(pass, { target, first, key }));
      const expected = oracle(values, columns, first, key);
      // As random_normal: WGSL's bounds on log, sin and cos.
      const actual = await download(gpu, target);
      assertClose(strategy, actual, expected, { atol: 2 ** -9, rtol: 1e-5 });
      const kept = Math.min(first, rows) * columns;
      assertEquals(actual.slice(columns, kept), values.slice(columns, kept)); // bit for bit
      const stored = new Float32Array((await gpu.read(target)).buffer);
      const padding = stored.filter((_, i) => i % target.stride >= columns);
      assertEquals(padding, new Float32Array(padding.length));
    }
  });
}

gpuTest("seed_rows refuses another format", (gpu) => {
  const target = upload(gpu, "target", [2, 8], undefined, "bfloat16");
  assertThrows(
    () => seedRows(new KernelPass(gpu), { target, first: 0, key: { seed: 0, step: 0, tensor: 0 } }),
    ShapeError,
    "seedRows: target must be float32, got bfloat16",
  );
});

testAlternatives(import.meta.url);
