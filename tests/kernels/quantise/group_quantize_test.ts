import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { rowRange, type Tensor } from "../../../src/gpu/tensor.ts";
import { Safetensors } from "../../../src/formats/safetensors.ts";
import { groupQuantize } from "../../../src/kernels/quantise/group_quantize.ts";
import { levelsOf, unpackCodes } from "../../../src/numbers/group.ts";
import {
  constantsIn,
  groupQuantize as oracle,
  withoutPadding,
} from "../../oracles/quantise/group_quantize.ts";
import { assertClose, gpuTest, randomNormal, rounded, runPass, upload } from "../../support.ts";
import { BLOCKS, sharings, testAlternatives } from "../support_strategies.ts";

const FIXTURE = fromFileUrl(import.meta.resolve("../../fixtures/quant/group_quant.safetensors"));

function quantised(
  gpu: Gpu,
  dtype: "int8" | "int4",
  shape: readonly number[],
  groupSize = 256,
): Tensor {
  return gpu.tensor({ name: dtype, shape, dtype, groupSize, purpose: "weights" });
}

async function wordsOf(gpu: Gpu, tensor: Tensor): Promise<Uint32Array> {
  return new Uint32Array((await gpu.read(tensor.constants!)).buffer);
}

const constantsOf = async (gpu: Gpu, tensor: Tensor) =>
  constantsIn(await wordsOf(gpu, tensor), levelsOf(tensor));

/**
 * Relative error of a scale: WGSL allows division 2.5 units in the last place, and what ends in the
 * zero point is at most half of every so many away.
 */
const scaleError = (levels: number) => 3e-7 + (levels + 1) / 2 * 2 ** -23;

const codesOf = async (gpu: Gpu, tensor: Tensor) => unpackCodes(tensor, await gpu.read(tensor));

/** Values whose groups are ordinary, of one sign, all equal, and all zero. */
function awkwardValues(rows: number, columns: number): Float32Array<ArrayBuffer> {
  return randomNormal(rows * columns, 3, 0.05).map((value, i) => {
    switch (Math.floor(i / 700) % 5) {
      case 1:
        return 0.3 + Math.abs(value);
      case 2:
        return -0.3 - Math.abs(value);
      case 3:
        return 0;
      default:
        return value;
    }
  });
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
    gpuTest(
      `group_quantize ${format} to ${dtype} (${rows}, ${columns}) by ${groupSize}`,
      async (gpu) => {
        for (const strategy of sharings(gpu, BLOCKS)) {
          const values = rounded(awkwardValues(rows, columns), format);
          const source = upload(gpu, "source", [rows, columns], values, format);
          for (const rounding of [undefined, { seed: 5, step: 9, tensor: 2 }]) {
            const target = quantised(gpu, dtype, [rows, columns], groupSize);
            runPass(gpu, (pass) => groupQuantize(pass, { source, target, rounding }));
            const levels = levelsOf(target), given = await wordsOf(gpu, target);
            const expected = oracle(values, { columns, groupSize, levels, rounding, given });
            const { scales, zeros } = constantsIn(given, levels), rtol = scaleError(levels);
            const tolerance = { atol: 1e-30, rtol };
            assertClose(`scales, ${strategy}`, scales, expected.exactScales, tolerance);
            assertEquals(zeros, constantsIn(expected.constants, levels).zeros);
            const codes = await codesOf(gpu, target);
            const wanted = withoutPadding(expected.codes, columns);
            assertEquals(codes.length, wanted.length);
            // Only a value within such an error of a boundary may fall on the other side.
            const moved = codes.reduce((n, code, i) => n + (code === wanted[i] ? 0 : 1), 0);
            const furthest = codes.reduce(
              (d, code, i) => Math.max(d, Math.abs(code - wanted[i])),
              0,
            );
            assert(
              furthest <= 1 && moved <= 1e-4 * codes.length,
              `${moved} of ${codes.length} codes`,
            );
          }
        }
      },
    );
  }
}

gpuTest(
  "group_quantize gives the codes, scales and zeros of the Q-GaLore reference",
  async (gpu) => {
    using fixture = await Safetensors.open(FIXTURE);
    for (const name of ["square", "straddling", "wide"]) {
      for (const dtype of ["int8", "int4"] as const) {
        const shape = fixture.info(`int8.${name}.weight`).shape;
        const weight = await fixture.readFloat32(`int8.${name}.weight`);
        const source = upload(gpu, "source", shape, weight), target = quantised(gpu, dtype, shape);
        runPass(gpu, (pass) => groupQuantize(pass, { source, target }));
        const scales = await fixture.readFloat32(`${dtype}.${name}.scales`);
        const zeros = await fixture.readFloat32(`${dtype}.${name}.zeros`);
        const levels = levelsOf(target), constants = await constantsOf(gpu, target);
        const rtol = scaleError(levels);
        assertClose("scales", constants.scales, scales, { atol: 1e-30, rtol });
        assertEquals(constants.zeros, zeros);
        // No group of the fixture has only one sign, for which our ranges differ on purpose. A scale
        // that is off by 2^-16 moves the farthest level by 1/257, hence only values as near to half.
        const codes = await codesOf(gpu, target);
        const wanted = await fixture.read(`${dtype}.${name}.q`);
        for (const [i, code] of codes.entries()) {
          if (code === wanted[i]) continue;
          const level = weight[i] / scales[Math.floor(i / 256)];
          const toHalf = Math.abs(level - Math.floor(level) - 0.5);
          assert(toHalf <= levels * rtol, `code ${i} is ${code}, not ${wanted[i]}`);
        }
      }
    }
  },
);

gpuTest("group_quantize walks ranges of 8,388,608 elements", async (gpu) => {
  const [rows, columns, groupSize] = [2053, 4096, 384];
  const values = new Float32Array(rows * columns);
  for (let i = 0; i < values.length; i++) values[i] = ((i * 7919) % 1009) / 1009 - 0.4;
  const source = upload(gpu, "source", [rows, columns], values);
  const target = quantised(gpu, "int8", [rows, columns], groupSize);
  const rounding = { seed: 1, step: 2, tensor: 3 };
  runPass(gpu, (pass) => groupQuantize(pass, { source, target, rounding }));
  const [codes, constants] = [await gpu.read(target), await constantsOf(gpu, target)];
  // The multiple of 512 and 384 below 8,388,608 is where the second range begins.
  const border = Math.floor(8388608 / 1536) * 1536;
  for (const start of [0, border - groupSize, border, Math.floor(values.length / 384) * 384]) {
    const end = Math.min(start + groupSize, values.length);
    const levels = 255, group = start / groupSize;
    const alone = oracle(values.slice(start, end), { columns: end - start, groupSize, levels });
    const [exact] = alone.exactScales, scale = constants.scales[group];
    assert(Math.abs(scale / exact - 1) <= scaleError(levels), `${scale}, not ${exact}`);
    assertEquals(
      constants.zeros.slice(group, group + 1),
      constantsIn(alone.constants, levels).zeros,
    );
    for (let i = start; i < end; i++) {
      assert(Math.abs(codes[i] - values[i] / exact - constants.zeros[group]) < 1.01);
    }
  }
  gpu.release(source);
  gpu.release(target);
});

gpuTest("stochastic rounding is unbiased, and keyed by seed, step and tensor", async (gpu) => {
  const [draws, columns] = [2000, 256]; // each row is the same group with separate random draws
  const row = randomNormal(columns, 8, 0.1);
  const values = Float32Array.from({ length: draws * columns }, (_, i) => row[i % columns]);
  const source = upload(gpu, "source", [draws, columns], values);
  const target = quantised(gpu, "int4", [draws, columns]);
  const rounding = { seed: 3, step: 0, tensor: 1 };
  runPass(gpu, (pass) => groupQuantize(pass, { source, target, rounding }));
  const codes = await codesOf(gpu, target);
  const { scales: [scale], zeros: [zero] } = await constantsOf(gpu, target);
  for (let column = 0; column < columns; column++) {
    const level = row[column] / scale + zero;
    if (level < 0 || level > 15) continue; // the reference's zero point cuts half a level here
    let mean = 0;
    for (let i = column; i < codes.length; i += columns) mean += codes[i] / draws;
    const fraction = level - Math.floor(level);
    // Five standard errors of a mean of Bernoulli draws, plus one draw for fractions near 0 or 1.
    const bound = 5 * Math.sqrt((fraction * (1 - fraction)) / draws) + 1 / draws;
    assert(Math.abs(mean - level) <= bound, `column ${column}: mean ${mean}, level ${level}`);
  }
  for (
    const [key, same] of [
      [{}, true],
      [{ step: 1 }, false],
      [{ seed: 4 }, false],
      [{ tensor: 2 }, false],
    ] as const
  ) {
    runPass(
      gpu,
      (pass) => groupQuantize(pass, { source, target, rounding: { ...rounding, ...key } }),
    );
    const again = await codesOf(gpu, target);
    const differing = codes.reduce((count, code, i) => count + (code === again[i] ? 0 : 1), 0);
    assert(same ? differing === 0 : differing > codes.length / 10, `${JSON.stringify(key)}`);
  }
});

gpuTest("group_quantize: parts of whole groups give the codes of the whole", async (gpu) => {
  const shape = [300, 24] as const, source = upload(gpu, "source", shape, randomNormal(7200, 5));
  for (const rounding of [undefined, { seed: 1, step: 2, tensor: 3 }]) {
    const whole = quantised(gpu, "int8", shape), parts = quantised(gpu, "int8", shape);
    runPass(gpu, (pass) => {
      groupQuantize(pass, { source, target: whole, rounding });
      for (const [start, end] of [[0, 128], [128, 300]]) {
        const [from, target] = [source, parts].map((tensor) => rowRange(tensor, start, end));
        groupQuantize(pass, { source: from, target, rounding });
      }
    });
    assertEquals(await gpu.read(parts), await gpu.read(whole));
    assertEquals(await gpu.read(parts.constants!), await gpu.read(whole.constants!));
  }
});

gpuTest("group_quantize refuses what does not match", (gpu) => {
  const source = upload(gpu, "source", [128, 16]), target = quantised(gpu, "int8", [128, 16]);
  const pass = new KernelPass(gpu);
  assertThrows(
    () => groupQuantize(pass, { source: upload(gpu, "x", [4, 16]), target }),
    ShapeError,
    "groupQuantize: target must be (4, 16), got (128, 16)",
  );
  assertThrows(
    () => groupQuantize(pass, { source, target: source }),
    ShapeError,
    "groupQuantize: target must be int8 or int4, got float32",
  );
  assertThrows(
    () => groupQuantize(pass, { source: rowRange(source, 0, 24), target: rowRange(target, 8, 32) }),
    ShapeError,
    "groupQuantize: target must be whole groups of",
  );
});

testAlternatives(import.meta.url);
