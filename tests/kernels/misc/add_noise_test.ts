import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { addNoise } from "../../../src/kernels/misc/add_noise.ts";
import { addNoise as oracle } from "../../oracles/misc/add_noise.ts";
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
import { strategyTest, testAlternatives } from "../support_strategies.ts";

const KEY = { bound: 0.25, seed: 7, step: 3, tensor: 5 };

for (const shape of [[1, 8], [3, 257], [5, 5461]]) {
  strategyTest((strategy) => `add_noise (${shape}), ${strategy}`, async (gpu) => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(shape[0] * shape[1], 1), dtype);
      const y = upload(gpu, "y", shape, values, dtype);
      runPass(gpu, (pass) => addNoise(pass, { y, ...KEY }));
      // A product and a sum, each rounded, and what the format costs.
      const rtol = 2 ** -23 + OUTPUT_ROUNDING[dtype], atol = KEY.bound * 2 ** -23;
      const bytes = await gpu.read(y);
      assertClose("y", await download(gpu, y), oracle(values, shape, KEY), { atol, rtol });
      const padding = dtype === "float32" ? new Float32Array(bytes.buffer) : undefined;
      const stride = Math.ceil(shape[1] / 8) * 8;
      padding?.forEach((value, i) => assert(i % stride < shape[1] || value === 0, "padding"));
    }
  });
}

gpuTest("add_noise is uniform within its bound, by a key", async (gpu) => {
  const shape = [64, 1024], count = shape[0] * shape[1];
  const drawn = async (key: Partial<typeof KEY>) => {
    const y = upload(gpu, "y", shape);
    runPass(gpu, (pass) => addNoise(pass, { y, ...KEY, ...key }));
    return await download(gpu, y);
  };
  const first = await drawn({}), mean = first.reduce((sum, value) => sum + value, 0) / count;
  const square = first.reduce((sum, value) => sum + value * value, 0) / count;
  // Five standard deviations of the means of u and u², u uniform in ±bound.
  const { bound } = KEY, variance = bound ** 2 / 3;
  assertClose("mean", [mean], [0], { atol: 5 * Math.sqrt(variance / count), rtol: 0 });
  const spread = Math.sqrt(4 / 45) * bound ** 2;
  assertClose("square", [square], [variance], { atol: 5 * spread / Math.sqrt(count), rtol: 0 });
  assert(first.every((value) => Math.abs(value) <= bound));
  assertEquals(await drawn({}), first);
  for (const other of [{ seed: 8 }, { step: 4 }, { tensor: 6 }]) {
    const product = (await drawn(other)).reduce((sum, value, i) => sum + value * first[i], 0);
    const allowed = 5 * variance / Math.sqrt(count);
    assertClose(JSON.stringify(other), [product / count], [0], { atol: allowed, rtol: 0 });
  }
});

gpuTest("add_noise refuses integers", (gpu) => {
  const y = upload(gpu, "y", [2, 8], undefined, "uint32");
  assertThrows(() => addNoise(new KernelPass(gpu), { y, ...KEY }), ShapeError, "addNoise");
});

testAlternatives(import.meta.url);
