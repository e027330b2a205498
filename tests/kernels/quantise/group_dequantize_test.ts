import { assertEquals, assertThrows } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { rowRange, type Tensor } from "../../../src/gpu/tensor.ts";
import { groupDequantize } from "../../../src/kernels/quantise/group_dequantize.ts";
import { unpackTensor } from "../../../src/numbers/plain.ts";
import { dequantize, levelsOf, packCodes, unpackCodes } from "../../../src/numbers/group.ts";
import {
  groupDequantize as oracle,
  groupQuantize,
  withoutPadding,
} from "../../oracles/quantise/group_quantize.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { strategyTest, testAlternatives } from "../support_strategies.ts";

/** A tensor on the device with codes and constants of the oracle; and its values. */
function quantised(
  gpu: Gpu,
  dtype: "int8" | "int4",
  [rows, columns]: readonly number[],
  groupSize: number,
): { tensor: Tensor; values: Float32Array } {
  const shape = [rows, columns];
  const tensor = gpu.tensor({ name: dtype, shape, dtype, groupSize, purpose: "weights" });
  const options = { columns, groupSize, levels: levelsOf(tensor) };
  const made = groupQuantize(randomNormal(rows * columns, 4), options);
  const codes = withoutPadding(made.codes, columns);
  gpu.write(tensor, packCodes(tensor, codes, made.constants));
  gpu.write(tensor.constants!, made.constants);
  return { tensor, values: withoutPadding(oracle(made, groupSize, options.levels), columns) };
}

for (
  const [rows, columns, groupSize, format] of [
    [1, 8, 256, "float32"],
    [3, 257, 64, "bfloat16"],
    [5, 5461, 256, "float32"],
    [33, 48, 136, "bfloat16"],
  ] as const
) {
  for (const dtype of ["int8", "int4"] as const) {
    strategyTest(
      (strategy) =>
        `group_dequantize ${dtype} (${rows}, ${columns}) by ${groupSize} to ${format}, ${strategy}`,
      async (gpu) => {
        const { tensor, values } = quantised(gpu, dtype, [rows, columns], groupSize);
        const target = upload(gpu, "target", [rows, columns], undefined, format);
        runPass(gpu, (pass) => groupDequantize(pass, { source: tensor, target }));
        // One exact and one rounded operation, and the format's rounding.
        assertEquals(await download(gpu, target), rounded(new Float32Array(values), format));
        const bytes = await gpu.read(tensor), stored = await gpu.read(tensor.constants!);
        assertEquals(dequantize(tensor, bytes, new Uint32Array(stored.buffer)), values);
        // The padding is zero: its code is the zero point.
        const layout = { ...target, shape: [rows, target.stride] };
        const padded = unpackTensor(layout, await gpu.read(target));
        assertClose(
          "padding",
          padded.filter((_, i) => i % target.stride >= columns),
          new Float32Array(rows * (target.stride - columns)),
          { atol: 1e-30, rtol: 0 },
        );
      },
    );
  }
}

gpuTest("group_dequantize takes a row range that begins inside a group", async (gpu) => {
  for (const dtype of ["int8", "int4"] as const) {
    const { tensor, values } = quantised(gpu, dtype, [200, 24], 136);
    const part = rowRange(tensor, 64, 150), target = upload(gpu, "target", [86, 24]);
    runPass(gpu, (pass) => groupDequantize(pass, { source: part, target }));
    const expected = values.slice(64 * 24, 150 * 24);
    assertEquals(await download(gpu, target), expected);
    const constants = new Uint32Array((await gpu.read(tensor.constants!)).buffer);
    assertEquals(dequantize(part, await gpu.read(part), constants), expected);
    assertEquals(unpackCodes(part, await gpu.read(part)).length, expected.length);
  }
});

gpuTest("group_dequantize refuses what does not match", (gpu) => {
  const { tensor } = quantised(gpu, "int4", [4, 16], 32);
  const target = upload(gpu, "target", [4, 8]);
  assertThrows(
    () => groupDequantize(new KernelPass(gpu), { source: tensor, target }),
    ShapeError,
    "groupDequantize: target must be (4, 16), got (4, 8)",
  );
  assertThrows(
    () => groupDequantize(new KernelPass(gpu), { source: target, target }),
    ShapeError,
    "groupDequantize: source must be int8 or int4, got float32",
  );
});

testAlternatives(import.meta.url);
