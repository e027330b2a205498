import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { nf4Codes, nf4ConstantWords, nf4Dequantize } from "../../../src/numbers/nf4.ts";
import { rowRange, type Tensor } from "../../../src/gpu/tensor.ts";
import { Safetensors } from "../../../src/formats/safetensors.ts";
import {
  createNf4Workspace,
  nf4Quantize,
  nf4QuantizeConstants,
  nf4QuantizeRows,
} from "../../../src/kernels/quantise/nf4_quantize.ts";
import { withoutPadding, withPadding } from "../../oracles/quantise/group_quantize.ts";
import {
  type Nf4,
  nf4Dequantize as oracleValues,
  nf4Quantize as oracle,
} from "../../oracles/quantise/nf4_quantize.ts";
import { assertClose, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { BLOCKS, sharings, testAlternatives } from "../support_strategies.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../../fixtures/nf4/"));

const nf4 = (gpu: Gpu, shape: readonly number[]) =>
  gpu.tensor({ name: "nf4", shape, dtype: "nf4", purpose: "weights" });

/** Unpacks the second level of quantisation. */
function takenApart(words: Uint32Array, blocks: number): Omit<Nf4, "codes"> {
  const floats = new Float32Array(words.buffer), bytes = new Uint8Array(words.buffer);
  const scales: number[] = [], absmaxCodes: number[] = [];
  for (let block = 0, at = 4; block < blocks; block += 256) {
    scales.push(floats[at / 4]);
    const count = Math.min(256, blocks - block);
    absmaxCodes.push(...bytes.subarray(at + 4, at + 4 + count));
    at += 4 + 256;
  }
  return {
    offset: floats[0],
    scales: Float32Array.from(scales),
    absmaxCodes: Uint8Array.from(absmaxCodes),
  };
}

async function constantsOf(gpu: Gpu, tensor: Tensor): Promise<Uint32Array> {
  return new Uint32Array((await gpu.read(tensor.constants!)).buffer);
}

/** The number of differing codes; asserts that none differs by more than one. */
function moved(actual: Uint8Array, expected: Uint8Array): number {
  assertEquals(actual.length, expected.length);
  let count = 0;
  actual.forEach((code, i) => {
    assert(Math.abs(code - expected[i]) <= 1, `element ${i}: code ${code}, not ${expected[i]}`);
    if (code !== expected[i]) count++;
  });
  return count;
}

/**
 * The order of summation changes the last bits of the offset, and so of the scales, which are
 * differences of numbers of the size of the largest absmax.
 */
const ORDER = 1e-6;

function assertSameConstants(actual: Omit<Nf4, "codes">, expected: Omit<Nf4, "codes">): number {
  const largest = expected.offset + Math.max(...expected.scales);
  const allowed = { atol: ORDER * largest, rtol: 0 };
  assertClose("offset", [actual.offset], [expected.offset], allowed);
  assertClose("scales", actual.scales, expected.scales, allowed);
  return moved(actual.absmaxCodes, expected.absmaxCodes);
}

gpuTest(
  "nf4_quantize agrees with the oracle at odd shapes, in any number of lanes",
  async (gpu) => {
    // From large to small, so that the workspace holds old data that must not matter.
    const shapes = [[5, 5461], [33, 257], [100, 172], [3, 70], [1, 8], [1, 3]] as const;
    const workspace = createNf4Workspace(gpu, shapes);
    for (const [rows, columns] of shapes) {
      const values = randomNormal(rows * columns, columns, 0.02);
      if (columns > 80) {
        values[100] = 1.5;
        values.fill(0, 2 * columns, 3 * columns); // zero blocks, and zero ends of others
      }
      const expected = oracle(withPadding(values, columns));
      const source = upload(gpu, "source", [rows, columns], values);
      const firsts = new Map<number, [Uint8Array, Uint32Array]>();
      for (const strategy of sharings(gpu, BLOCKS)) {
        const target = nf4(gpu, [rows, columns]);
        runPass(gpu, (pass) => nf4Quantize(pass, workspace, { source, target }));
        const bytes = await gpu.read(target), constants = await constantsOf(gpu, target);
        // WGSL allows the inverse of an absmax an error of 2.5 ulps: only a value that close to a
        // midpoint may fall on the other side.
        const codes = nf4Codes(target, bytes), wanted = withoutPadding(expected.codes, columns);
        assert(moved(codes, wanted) <= 1e-4 * codes.length, `codes of (${rows}, ${columns})`);
        const actual = takenApart(constants, expected.absmaxCodes.length);
        const shifted = assertSameConstants(actual, expected);
        assert(shifted <= 1 + 0.002 * actual.absmaxCodes.length, `${shifted} codes of maxima`);
        // Dequantised values match the codes and constants.
        const all = nf4Codes({ ...target, shape: [rows, target.stride] }, bytes);
        const meant = oracleValues({ ...actual, codes: all });
        assertClose(
          "values",
          nf4Dequantize({ ...target, shape: [rows, target.stride] }, bytes, constants),
          meant,
          { atol: 2 ** -23 * (actual.offset + Math.max(...actual.scales)), rtol: 2 ** -22 },
        );
        for (let i = 0; i < all.length; i++) {
          if (i % target.stride >= columns) assertEquals(all[i], 7, "padding is zero");
        }
        // By the offset, whose sum is in another order on a card.
        const first = firsts.get(constants[0]);
        if (!first) firsts.set(constants[0], [bytes, constants]);
        else assertEquals([bytes, constants], first, `the same bits, ${strategy}`);
      }
    }
  },
);

gpuTest("nf4_quantize gives the codes and constants of bitsandbytes", async (gpu) => {
  for (const name of ["plain", "outlier", "zeros", "one"]) {
    using fixture = await Safetensors.open(`${FIXTURES}${name}.safetensors`);
    const { shape } = fixture.info("source");
    const source = upload(gpu, "source", shape, await fixture.readFloat32("source"));
    const target = nf4(gpu, shape);
    const workspace = createNf4Workspace(gpu, [shape]);
    runPass(gpu, (pass) => nf4Quantize(pass, workspace, { source, target }));
    const bytes = await gpu.read(target), constants = await constantsOf(gpu, target);
    assertEquals(nf4Codes(target, bytes), await fixture.read("codes"), name);
    const expected = {
      offset: (await fixture.readFloat32("offset"))[0],
      scales: await fixture.readFloat32("scales"),
      absmaxCodes: await fixture.read("absmax_codes"),
    };
    const actual = takenApart(constants, expected.absmaxCodes.length);
    assertEquals(assertSameConstants(actual, expected), 0, name);
    // Rounding of the map, of scale and offset (see ORDER) and of their product and sum.
    assertClose(
      name,
      nf4Dequantize(target, bytes, constants),
      await fixture.readFloat32("dequantised"),
      { atol: 2 * ORDER * (expected.offset + Math.max(...expected.scales)), rtol: 2 ** -22 },
    );
  }
});

gpuTest("nf4_quantize walks ranges of 8,388,608 elements", async (gpu) => {
  const [rows, columns] = [2053, 4096];
  const values = new Float32Array(rows * columns);
  for (let i = 0; i < values.length; i++) values[i] = ((i * 7919) % 10007) / 10007 - 0.4;
  const source = upload(gpu, "source", [rows, columns], values);
  const target = nf4(gpu, [rows, columns]), workspace = createNf4Workspace(gpu, [[rows, columns]]);
  runPass(gpu, (pass) => nf4Quantize(pass, workspace, { source, target }));
  const bytes = await gpu.read(target), constants = await constantsOf(gpu, target);
  const expected = oracle(values);
  const stored = takenApart(constants, expected.absmaxCodes.length);
  // These absolute maxima are close together: their codes are in the finest part of the map, where
  // the last bits of the offset matter.
  const largest = expected.offset + Math.max(...expected.scales);
  assertClose("offset", [stored.offset], [expected.offset], { atol: 1e-5 * largest, rtol: 0 });
  assert(moved(nf4Codes(target, bytes), expected.codes) <= 1e-4 * values.length);
  assertClose("values", nf4Dequantize(target, bytes, constants), oracleValues(expected), {
    atol: 1e-5 + 0.01 * Math.max(...expected.scales),
    rtol: 0,
  });
  [source, target, workspace.absmaxes].forEach((each) => gpu.release(each));
});

gpuTest("nf4_quantize: a matrix in parts has the bytes of the whole", async (gpu) => {
  const shape = [200, 172], values = randomNormal(200 * 172, 6, 0.02);
  const source = upload(gpu, "source", shape, values);
  const whole = nf4(gpu, shape), parts = nf4(gpu, shape);
  const workspace = createNf4Workspace(gpu, [shape]);
  runPass(gpu, (pass) => {
    nf4Quantize(pass, workspace, { source, target: whole });
    for (const [row, end] of [[0, 64], [64, 192], [192, 200]]) {
      nf4QuantizeRows(pass, workspace, { source: rowRange(source, row, end), target: parts, row });
    }
    nf4QuantizeConstants(pass, workspace, { target: parts });
  });
  assertEquals(await gpu.read(parts), await gpu.read(whole));
  assertEquals(await constantsOf(gpu, parts), await constantsOf(gpu, whole));
  const io = { source: rowRange(source, 0, 64), target: parts, row: 3 };
  assertThrows(
    () => nf4QuantizeRows(new KernelPass(gpu), workspace, io),
    ShapeError,
    "rows of nf4 must begin at a multiple of 4, got 3",
  );
});

gpuTest("nf4: a row range of the values is that of the whole", async (gpu) => {
  const values = randomNormal(192 * 172, 4, 0.02);
  const source = upload(gpu, "source", [192, 172], values), target = nf4(gpu, [192, 172]);
  const workspace = createNf4Workspace(gpu, [[192, 172]]);
  runPass(gpu, (pass) => nf4Quantize(pass, workspace, { source, target }));
  const constants = await constantsOf(gpu, target);
  const whole = nf4Dequantize(target, await gpu.read(target), constants);
  for (const [start, end] of [[64, 128], [128, 192], [3, 5]]) {
    const range = rowRange(target, start, end);
    const part = nf4Dequantize(range, await gpu.read(range), constants);
    assertEquals(part, whole.subarray(start * 172, end * 172));
  }
});

gpuTest("nf4 memory: planned as allocated, 4.127 bits an element", (gpu) => {
  const shape = [11008, 4096];
  const plan = new PlanAllocator();
  plan.tensor({ name: "gate", shape, dtype: "nf4", purpose: "weights" });
  createNf4Workspace(plan, [shape, [4096, 4096]]);
  const before = { ...gpu.account.byPurpose }, live = gpu.account.live;
  const target = nf4(gpu, shape), workspace = createNf4Workspace(gpu, [shape, [4096, 4096]]);
  assertEquals(gpu.account.live - live, plan.account.live);
  for (const purpose of ["weights", "quantisation_constants", "workspace"] as const) {
    assertEquals(gpu.account.byPurpose[purpose] - before[purpose], plan.account.byPurpose[purpose]);
  }
  const elements = 11008 * 4096,
    bits = 8 * plan.account.byPurpose.quantisation_constants / elements;
  assert(Math.abs(bits - (8 / 64 + 32 / (64 * 256))) < 1e-6, `${bits} bits`);
  assertEquals(plan.account.byPurpose.weights, elements / 2);
  assertEquals(plan.account.byPurpose.workspace, 4 * elements / 64);
  assertEquals([1, 64, 65, 64 * 256, 64 * 256 + 1].map(nf4ConstantWords), [3, 3, 3, 66, 68]);
  [target, workspace.absmaxes].forEach((each) => gpu.release(each));
});

gpuTest("nf4_quantize refuses what does not match", (gpu) => {
  const source = upload(gpu, "source", [128, 16]), target = nf4(gpu, [128, 16]);
  const workspace = createNf4Workspace(gpu, [[128, 16]]);
  const attempt = (io: { source: Tensor; target: Tensor }) => () =>
    nf4Quantize(new KernelPass(gpu), workspace, io);
  assertThrows(
    attempt({ source: upload(gpu, "x", [4, 16]), target }),
    ShapeError,
    "nf4Quantize: target must be (4, 16), got (128, 16)",
  );
  assertThrows(
    attempt({ source, target: source }),
    ShapeError,
    "nf4Quantize: target must be nf4, got float32",
  );
  assertThrows(
    attempt({ source: rowRange(source, 0, 64), target: rowRange(target, 64, 128) }),
    ShapeError,
    "nf4Quantize: target must be a whole matrix, got rows of nf4",
  );
  const large = upload(gpu, "large", [256, 64]);
  assertThrows(
    attempt({ source: large, target: nf4(gpu, [256, 64]) }),
    ShapeError,
    "viewAs: nf4.absmaxes (256) needs 1024 bytes, nf4.absmaxes has 128",
  );
  assertThrows(
    () => gpu.tensor({ name: "w", shape: [8], dtype: "nf4", groupSize: 32, purpose: "weights" }),
    ShapeError,
    "tensor w: blocks of nf4 have 64 elements, got a group size of 32",
  );
});

testAlternatives(import.meta.url);
