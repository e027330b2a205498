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
  const [over, under] = [above, below].map((of) => upload(gpu, "squares", [257], of));
  const out = upload(gpu, "out", [257]), ones = new Float64Array(257).fill(1);
  for (const io of [{ scale: 1, eps: 0.1 }, { scale: Math.sqrt(128) }, { scale: 1, least: 0.5 }]) {
    for (const [numerators, given] of [[above, { over }], [ones, {}]] as const) {
      runPass(gpu, (pass) => normRatios(pass, { ...given, under, out, ...io }));
      const ratios = await download(gpu, out);
      // Two roots and a division, of some units in the last place each.
      assertClose("ratios", ratios, oracle(numerators, below, io), { atol: 0, rtol: 1e-6 });
      assertEquals([...ratios.slice(4, 7)], [0, 0, 0]);
    }
  }
});

gpuTest("norm_ratios refuses numbers of norms that differ", (gpu) => {
  const over = upload(gpu, "over", [8]), under = upload(gpu, "under", [16]);
  const out = upload(gpu, "out", [16]);
  assertThrows(
    () => normRatios(new KernelPass(gpu), { over, under, out, scale: 1 }),
    ShapeError,
    "normRatios: over must be (16), got (8)",
  );
});

testAlternatives(import.meta.url);
