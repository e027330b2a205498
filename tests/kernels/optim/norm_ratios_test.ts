import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { normRatios } from "../../../src/kernels/optim/norm_ratios.ts";
import { normRatios as oracle } from "../../oracles/optim/norm_ratios.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

gpuTest("norm_ratios, of zeros too", async (gpu) => {
  const squares = (seed: number) => randomNormal(257, seed).map((value) => value ** 2);
  const [above, below] = [squares(1), squares(2)];
  above.fill(0, 3, 5);
  below.fill(0, 4, 7);
  for (const [scale, eps] of [[1, 0], [Math.sqrt(128), 1e-8]]) {
    const [over, under] = [above, below].map((of) => upload(gpu, "squares", [257], of));
    const out = upload(gpu, "out", [257]);
    runPass(gpu, (pass) => normRatios(pass, { over, under, out, scale, eps }));
    const ratios = await download(gpu, out);
    // Two roots and a division, of some units in the last place each.
    assertClose("ratios", ratios, oracle(above, below, scale, eps), { atol: 0, rtol: 1e-6 });
    assertEquals([...ratios.slice(3, 7)], [0, 0, 0, 0]);
  }
});

gpuTest("norm_ratios refuses numbers of norms that differ", (gpu) => {
  const over = upload(gpu, "over", [8]), under = upload(gpu, "under", [16]);
  const out = upload(gpu, "out", [16]);
  assertThrows(
    () => normRatios(new KernelPass(gpu), { over, under, out, scale: 1, eps: 0 }),
    ShapeError,
    "normRatios: over must be (16), got (8)",
  );
});

testAlternatives(import.meta.url);
