import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { randomNormal } from "../../../src/kernels/misc/random_normal.ts";
import { randomNormal as oracle } from "../../oracles/misc/random_normal.ts";
import { assertClose, download, gpuTest, OUTPUT_ROUNDING, runPass, upload } from "../../support.ts";
import { strategyTest, testAlternatives } from "../support_strategies.ts";

for (const shape of [[1, 8], [3, 257], [5, 5461]] as const) {
  strategyTest(
    (strategy) => `random_normal (${shape}) agrees with the oracle, ${strategy}`,
    async (gpu) => {
      const key = { std: 0.02, seed: 7, tensor: 3 };
      for (const dtype of ["float32", "bfloat16"] as const) {
        const target = upload(gpu, "target", shape, undefined, dtype);
        runPass(gpu, (pass) => randomNormal(pass, { target, ...key }));
        assertClose("target", await download(gpu, target), oracle(shape, key), {
          // WGSL allows log an absolute error of 2^-21 near 1, and sin and cos one of 2^-11.
          atol: key.std * 2 ** -9,
          rtol: 1e-5 + OUTPUT_ROUNDING[dtype],
        });
      }
    },
  );
}

gpuTest("random_normal leaves the padding zero", async (gpu) => {
  const target = upload(gpu, "target", [3, 9]);
  runPass(gpu, (pass) => randomNormal(pass, { target, std: 1, seed: 1, tensor: 1 }));
  const stored = new Float32Array((await gpu.read(target)).buffer);
  for (let row = 0; row < 3; row++) {
    assert(stored[row * 16 + 8] !== 0);
    assertEquals([...stored.slice(row * 16 + 9, row * 16 + 16)], Array(7).fill(0));
  }
});

gpuTest(
  "random_normal has the moments of a normal distribution, above one binding",
  async (gpu) => {
    // 4,200 rows of 8,192 are 137 MB: more than 128 MiB, the smallest limit of a binding.
    const [rows, columns] = [4200, 8192];
    const target = gpu.tensor({
      name: "target",
      shape: [rows, columns],
      dtype: "float32",
      purpose: "weights",
    });
    runPass(gpu, (pass) => randomNormal(pass, { target, std: 0.5, seed: 11, tensor: 2 }));
    for (const start of [0, target.byteLength - (1 << 20)]) {
      const values = new Float32Array((await gpu.read(target, start, 1 << 20)).buffer);
      const mean = (power: number) =>
        values.reduce((sum, value) => sum + (value / 0.5) ** power, 0) / values.length;
      // Five standard errors of each mean over 2^18 draws: sqrt(variance of x^k / 2^18).
      const bound = (variance: number) => 5 * Math.sqrt(variance / values.length);
      assert(Math.abs(mean(1)) < bound(1), `mean ${mean(1)}`);
      assert(Math.abs(mean(2) - 1) < bound(2), `variance ${mean(2)}`);
      assert(Math.abs(mean(3)) < bound(15), `skewness ${mean(3)}`);
      assert(Math.abs(mean(4) - 3) < bound(96), `kurtosis ${mean(4)}`);
    }
    gpu.release(target);
  },
);

gpuTest("random_normal draws by seed, step and tensor", async (gpu) => {
  const draw = (seed: number, tensor: number, step?: number) => {
    const target = upload(gpu, "target", [2, 64]);
    runPass(gpu, (pass) => randomNormal(pass, { target, std: 1, seed, tensor, step }));
    return download(gpu, target);
  };
  const [first, again] = [await draw(1, 1), await draw(1, 1)];
  const others = [await draw(2, 1), await draw(1, 2), await draw(1, 1, 0), await draw(1, 1, 1)];
  assertEquals(first, again);
  assert(first.every((value, i) => new Set([value, ...others.map((it) => it[i])]).size === 5));
});

gpuTest("random_normal refuses a quantised target", (gpu) => {
  const target = upload(gpu, "codes", [2, 8], undefined, "uint8");
  assertThrows(
    () => randomNormal(new KernelPass(gpu), { target, std: 1, seed: 1, tensor: 1 }),
    ShapeError,
    "randomNormal: activations must all be float32 or all bfloat16, got codes uint8",
  );
});

testAlternatives(import.meta.url);
