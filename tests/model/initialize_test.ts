import { assertEquals } from "@std/assert";
import { randomNormal } from "../../src/kernels/misc/random_normal.ts";
import { initializeAll } from "../../src/model/initialize.ts";
import type { LlamaParameters, Parameter } from "../../src/model/parameters.ts";
import { gpuTest, runPass } from "../support.ts";
import { TINY } from "../train/support.ts";

gpuTest("a large matrix is drawn in blocks, which have the bits of the whole", async (gpu) => {
  // 2^25 numbers are 4,096 rows.
  const shape = [4200, 8192], index = 3, name = "model.embed_tokens.weight";
  const spec = { name, shape, dtype: "bfloat16", purpose: "weights" } as const;
  const [weight, whole] = [gpu.tensor(spec), gpu.tensor(spec)];
  const parameter: Parameter = {
    name,
    kind: "embedding",
    shape,
    weight,
    index,
    trainable: true,
    kept: true,
  };
  const parameters = { all: [parameter] } as unknown as LlamaParameters, shares: number[] = [];
  const onProgress = (share: number) => shares.push(share);
  await initializeAll(gpu, TINY, parameters, { seed: 7, scratch: weight, onProgress });
  assertEquals(shares, [4096 / 4200, 1]);
  const std = TINY.initializerRange;
  runPass(gpu, (pass) => randomNormal(pass, { target: whole, std, seed: 7, tensor: index }));
  // The end of the first block, and all of the second.
  const start = 2 * 8192 * 4090;
  assertEquals(await gpu.read(weight, start), await gpu.read(whole, start));
  gpu.release(weight);
  gpu.release(whole);
});
