import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { clipNorm } from "../../../src/kernels/optim/clip_norm.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { clipFactor } from "../../oracles/optim/clip_norm.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";

gpuTest("clip_norm scales what is longer, and leaves the bits of what is not", async (gpu) => {
  for (const _ of strategies(gpu)) {
    for (const shape of [[1, 1], [257], [3, 5461]]) {
      const values = randomNormal(shape.reduce((a, b) => a * b), 1, 1);
      // The norm may be that of more than x.
      for (const norm of [0, 0.999, 1.001, 30, 1e9]) {
        const x = upload(gpu, "x", shape, values);
        const out = upload(gpu, "squares", [3], [7, norm ** 2, 9]);
        runPass(gpu, (pass) => clipNorm(pass, { x, squares: { out, index: 1 }, most: 1 }));
        const clipped = await download(gpu, x), factor = clipFactor(norm, 1);
        if (factor === 1) assertEquals(clipped, values);
        // A root, a quotient and two products in float32.
        assertClose(`norm ${norm}`, clipped, values.map((value) => factor * value), {
          atol: 0,
          rtol: 4e-7,
        });
      }
    }
  }
});

gpuTest("clip_norm refuses what is no norm and no limit", (gpu) => {
  const x = upload(gpu, "x", [8]), out = upload(gpu, "squares", [2]);
  const fails = (index: number, most: number, message: string) =>
    assertThrows(
      () => clipNorm(new KernelPass(gpu), { x, squares: { out, index }, most }),
      ShapeError,
      message,
    );
  fails(2, 1, "clipNorm: squares must be a vector with an element 2, got (2)");
  fails(0, 0, "clipNorm: most must be above 0, got 0");
});

testAlternatives(import.meta.url);
