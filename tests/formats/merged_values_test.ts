/** Merged weights are read in blocks, whose factor is read once more only where blocks do not follow. */
import { assert, assertEquals } from "@std/assert";
import { mergedValues } from "../../src/formats/tensor_values.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Tensor, TensorReader } from "../../src/gpu/tensor.ts";
import { createParameters, wholeParameters } from "../../src/model/parameters.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import { gpuTest, randomNormal } from "../support.ts";
import { TINY } from "../train/support.ts";

gpuTest("blocks and samples are W + s·B·A, and samples keep no factor", async (gpu) => {
  using scope = new Scope(gpu);
  const parameters = createParameters(scope, { ...TINY, layers: 1 }, {
    weights: "float32",
    groupSize: 64,
    embeddings: "float32",
    trained: "all_but_adapted",
    lora: { rank: 5, alpha: 10, targets: ["down_proj"], merged: true },
  });
  const { parameter, adapter } = wholeParameters(parameters).find(({ adapter }) => adapter)!;
  const { a, b } = adapter!, { weight, shape: [out, inner] } = parameter;
  const [W, A, B] = [weight, a.weight, b.weight].map((tensor, seed) => {
    const values = randomNormal(tensor.shape[0] * tensor.shape[1], seed + 1);
    gpu.write(tensor, packTensor(tensor, values));
    return values;
  });
  const expected = (at: number) => {
    let sum = W[at];
    for (let k = 0; k < 5; k++) {
      sum += 2 * B[Math.floor(at / inner) * 5 + k] * A[k * inner + at % inner];
    }
    return sum;
  };
  let reads = 0;
  const counting: TensorReader = {
    read: (tensor: Tensor) => {
      if (tensor.name.includes("lora_A")) reads++;
      return gpu.read(tensor);
    },
    readInto: (tensor, bytes) => gpu.readInto(tensor, bytes),
  };
  const readAll = async (blocks: readonly (readonly [number, number])[]) => {
    const read = mergedValues(counting, parameter, adapter!);
    reads = 0;
    for (const [start, end] of blocks) {
      (await read(start, end)).forEach((value, i) => {
        // float32 sums of six numbers.
        const right = expected(start + i);
        assert(Math.abs(value - right) <= 1e-5 * Math.max(1, Math.abs(right)), `${start + i}`);
      });
    }
    return reads;
  };
  const rows = [0, 8, 16, 24, out].map((row) => row * inner);
  const blocks = rows.slice(1).map((end, i) => [rows[i], end] as const);
  assertEquals(await readAll(blocks), 2);
  const middle = Math.floor(out * inner / 2);
  assertEquals(await readAll([[0, 64], [middle, middle + 64], [3, 67]]), 3);
});
