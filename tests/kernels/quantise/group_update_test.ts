import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { applyUpdate } from "../../../src/kernels/optim/apply_update.ts";
import { groupUpdate } from "../../../src/kernels/quantise/group_update.ts";
import { dequantize, levelsOf, packCodes, unpackCodes } from "../../../src/numbers/group.ts";
import {
  constantsIn,
  groupQuantize,
  type Quantised,
  withoutPadding,
} from "../../oracles/quantise/group_quantize.ts";
import { groupUpdate as oracle } from "../../oracles/quantise/group_update.ts";
import { assertClose, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { BLOCKS, sharings, testAlternatives } from "../support_strategies.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { rowRange, type Tensor } from "../../../src/gpu/tensor.ts";

/** A weight on the device and the same in the oracle's form. */
function quantised(
  gpu: Gpu,
  dtype: "int8" | "int4",
  values: Float32Array,
  [rows, columns]: readonly number[],
  groupSize: number,
): { weight: Tensor; made: Quantised } {
  const shape = [rows, columns];
  const weight = gpu.tensor({ name: "weight", shape, dtype, groupSize, purpose: "weights" });
  const made = groupQuantize(values, { columns, groupSize, levels: levelsOf(weight) });
  gpu.write(weight, packCodes(weight, withoutPadding(made.codes, columns), made.constants));
  gpu.write(weight.constants!, made.constants);
  return { weight, made };
}

for (
  const [dtype, rows, columns, groupSize] of [
    ["int8", 1, 8, 256],
    ["int8", 3, 257, 64],
    ["int8", 5, 5461, 256],
    ["int4", 3, 257, 64],
  ] as const
) {
  gpuTest(`group_update ${dtype} (${rows}, ${columns}) by ${groupSize}`, async (gpu) => {
    for (const strategy of sharings(gpu, BLOCKS)) {
      const change = randomNormal(rows * columns, 2, 0.02);
      const update = upload(gpu, "update", [rows, columns], change);
      for (const rounding of [undefined, { seed: 5, step: 9, tensor: 2 }]) {
        const values = randomNormal(rows * columns, 1, 0.1);
        const { weight, made } = quantised(gpu, dtype, values, [rows, columns], groupSize);
        const decay = 0.99, levels = levelsOf(weight);
        runPass(gpu, (pass) => groupUpdate(pass, { weight, update, decay, rounding }));
        const given = new Uint32Array((await gpu.read(weight.constants!)).buffer);
        const options = { columns, groupSize, levels, rounding, given };
        const expected = oracle(made, change, decay, options);
        const { scales, zeros } = constantsIn(given, levels);
        // A division, and a multiply and an add that may be fused: a few ulps, beside the rounding to
        // what ends in the zero point, which is an integer: such an error changes it only near a half.
        const rtol = (levels + 1) / 2 * 2 ** -23 + 1e-6;
        const tolerance = { atol: 1e-30, rtol };
        assertClose(`scales, ${strategy}`, scales, expected.exactScales, tolerance);
        assertEquals(zeros, constantsIn(expected.constants, levels).zeros);
        const codes = unpackCodes(weight, await gpu.read(weight));
        const wanted = withoutPadding(expected.codes, columns);
        const furthest = codes.reduce((d, code, i) => Math.max(d, Math.abs(code - wanted[i])), 0);
        const moved = codes.reduce((n, code, i) => n + (code === wanted[i] ? 0 : 1), 0);
        assert(furthest <= 1 && moved <= 1e-3 * codes.length, `${moved} of ${codes.length} codes`);
      }
    }
  });
}

gpuTest(
  "applyUpdate takes an int8 weight, and updates below a step survive in the mean",
  async (gpu) => {
    const [rows, columns, steps] = [16, 256, 50];
    const values = randomNormal(rows * columns, 1, 0.1);
    const { weight, made } = quantised(gpu, "int8", values, [rows, columns], 256);
    const [scale] = made.exactScales, step = scale / 20; // a twentieth of a step of the codes
    const update = upload(
      gpu,
      "update",
      [rows, columns],
      new Float32Array(rows * columns).fill(step),
    );
    const read = async () => {
      const constants = new Uint32Array((await gpu.read(weight.constants!)).buffer);
      return dequantize(weight, await gpu.read(weight), constants);
    };
    const before = await read();
    runPass(gpu, (pass) => applyUpdate(pass, { weight, update, decay: 1 }));
    assertClose("to the nearest, nothing moves by a step", await read(), before, {
      atol: 0.9 * scale, // half a step; steps vary by group
      rtol: 0,
    });
    runPass(gpu, (pass) => {
      for (let i = 0; i < steps; i++) {
        applyUpdate(pass, { weight, update, decay: 1, rounding: { seed: 1, step: i, tensor: 1 } });
      }
    });
    const after = await read();
    let moved = 0;
    for (let i = 0; i < after.length; i++) moved += (after[i] - before[i]) / after.length;
    // 50 updates of a twentieth move the mean by 2.5 quantisation steps, but not when rounding to
    // nearest. The extremes of a group lose up to half a step each time, as in the reference.
    assert(Math.abs(moved / (steps * step) - 1) < 0.05, `moved ${moved}, sent ${steps * step}`);
  },
);

gpuTest("a weight without an update keeps its codes, and its scales", async (gpu) => {
  const values = randomNormal(8 * 256, 1, 0.1);
  const { weight } = quantised(gpu, "int8", values, [8, 256], 256);
  const update = upload(gpu, "update", [8, 256]);
  const before = await gpu.read(weight), constants = await gpu.read(weight.constants!);
  runPass(gpu, (pass) => {
    for (let i = 0; i < 100; i++) groupUpdate(pass, { weight, update, decay: 1 });
  });
  assertEquals(await gpu.read(weight), before);
  assertEquals(await gpu.read(weight.constants!), constants);
});

gpuTest("group_update: rows of whole groups get the bits of the whole", async (gpu) => {
  const [rows, columns, groupSize] = [600, 24, 256], shape = [rows, columns] as const;
  const update = upload(gpu, "update", shape, randomNormal(rows * columns, 2, 0.02));
  for (const rounding of [undefined, { seed: 5, step: 9, tensor: 2 }]) {
    const [whole, parts] = [0, 1].map(() =>
      quantised(gpu, "int8", randomNormal(rows * columns, 1, 0.1), shape, groupSize).weight
    );
    runPass(gpu, (pass) => {
      groupUpdate(pass, { weight: whole, update, decay: 0.99, rounding });
      for (const [start, end] of [[256, 600], [0, 256]]) {
        const [weight, change] = [parts, update].map((tensor) => rowRange(tensor, start, end));
        groupUpdate(pass, { weight, update: change, decay: 0.99, rounding });
      }
    });
    assertEquals(await gpu.read(parts), await gpu.read(whole));
    assertEquals(await gpu.read(parts.constants!), await gpu.read(whole.constants!));
  }
});

gpuTest("group_update refuses what does not match", (gpu) => {
  const { weight } = quantised(gpu, "int8", new Float32Array(64), [4, 16], 32);
  const update = upload(gpu, "update", [4, 8]);
  assertThrows(
    () => applyUpdate(new KernelPass(gpu), { weight, update, decay: 1 }),
    ShapeError,
    "groupUpdate: update must be (4, 16), got (4, 8)",
  );
});

testAlternatives(import.meta.url);
