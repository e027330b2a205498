import { assert, assertThrows } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { adamFactored, blocksOfRow, rowBlocks } from "../../../src/kernels/optim/adam_factored.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { adamFactored as oracle } from "../../oracles/optim/adam_factored.ts";
import { withPadding } from "../../oracles/quantise/group_quantize.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

const RATES = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

function createState(gpu: Gpu, shape: readonly [rows: number, width: number]) {
  return {
    m: upload(gpu, "m", shape, undefined, "uint8"),
    absmaxM: upload(gpu, "absmax_m", [shape[0] * blocksOfRow(shape[1])]),
    v: upload(gpu, "v", [shape[0]]),
    columns: upload(gpu, "columns", [rowBlocks(shape[0]), shape[1]]),
  };
}

/** Rows and columns of very different sizes; one row in five is zero. */
function tokenGradients(rows: number, width: number, seed: number) {
  return randomNormal(rows * width, seed).map((value, i) =>
    value ** 3 * [1, 1e-2, 1e-4, 1e-6, 0][Math.floor(i / width) % 5] * 2 ** -(i % width % 7)
  );
}

for (const [rows, width] of [[1, 8], [300, 40], [5, 257], [3, 5461]] as const) {
  gpuTest(`adam_factored (${rows}, ${width}) follows the oracle`, async (gpu) => {
    for (const strategy of sharings(gpu, LOOPS)) {
      const shape = [rows, width] as const, state = createState(gpu, shape);
      const stored = rows * state.m.stride;
      const read = async (tensor: typeof state.m) => (await gpu.read(tensor)).buffer as ArrayBuffer;
      for (let step = 1; step <= 3; step++) {
        // The oracle starts each step from the device's state, so that only one step's rounding
        // counts.
        const before = {
          m: new Uint8Array(await read(state.m)).slice(0, stored),
          absmaxM: Float64Array.from(await download(gpu, state.absmaxM)),
          v: Float64Array.from(await download(gpu, state.v)),
          columns: Float64Array.from(new Float32Array(await read(state.columns))),
        };
        const values = tokenGradients(rows, width, step);
        const gradient = upload(gpu, "gradient", shape, values);
        runPass(gpu, (pass) => adamFactored(pass, { gradient, ...state, step, ...RATES }));
        const update = oracle(withPadding(values, width), before, { width, step, ...RATES });
        // A dozen float32 operations on numbers of the format, themselves computed in float32, and
        // sums of up to 5461 numbers, 1,366 of them one after another: 1366 · 2^-24.
        const close = { atol: 1e-30, rtol: 1e-4 };
        const actual = new Float32Array(await read(gradient));
        assertClose(`update, ${strategy}`, actual, update, { ...close, atol: 1e-5 * RATES.lr });
        const moments = new Float32Array(await read(state.columns));
        assertClose("columns", moments, before.columns, close);
        assertClose("v", await download(gpu, state.v), before.v, close);
        assertClose("absmax", await download(gpu, state.absmaxM), before.absmaxM, close);
        const written = new Uint8Array(await read(state.m)).slice(0, stored);
        // A value on the boundary between two codes may get either, within float32.
        const moved = written.filter((code, i) => code !== before.m[i]).length;
        const far = written.some((code, i) => Math.abs(code - before.m[i]) > 1);
        assert(!far && moved <= 1e-3 * stored, `${moved} of ${stored} codes`);
      }
    }
  });
}

gpuTest("adam_factored without a gradient keeps a fresh state zero", async (gpu) => {
  const state = createState(gpu, [16, 256]), gradient = upload(gpu, "gradient", [16, 256]);
  runPass(gpu, (pass) => adamFactored(pass, { gradient, ...state, step: 1, ...RATES }));
  for (const tensor of [gradient, state.absmaxM, state.v, state.columns]) {
    const values = new Float32Array((await gpu.read(tensor)).buffer);
    assert(values.every((value) => value === 0), tensor.name);
  }
});

gpuTest("adam_factored refuses what does not match", (gpu) => {
  const state = createState(gpu, [16, 257]), gradient = upload(gpu, "gradient", [16, 257]);
  const io = { gradient, ...state, step: 1, ...RATES };
  const refused = (change: Partial<typeof io>, message: string) =>
    assertThrows(
      () => adamFactored(new KernelPass(gpu), { ...io, ...change }),
      ShapeError,
      message,
    );
  refused({ m: gradient }, "adamFactored: m must be uint8, got float32");
  refused({ v: upload(gpu, "v", [32]) }, "adamFactored: v must be (16), got (32)");
  refused({ absmaxM: state.v }, "adamFactored: absmaxM must be (32), got (16)"); // two blocks a row
  refused({ columns: gradient }, "adamFactored: columns must be (1, 257), got (16, 257)");
});

testAlternatives(import.meta.url);
