import { assert, assertThrows } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { adamMini, rowBlocks } from "../../../src/kernels/optim/adam_mini.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { adamMini as oracle } from "../../oracles/optim/adam_mini.ts";
import { withPadding } from "../../oracles/quantise/group_quantize.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

const RATES = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

function createState(gpu: Gpu, shape: readonly [rows: number, columns: number]) {
  return {
    m: upload(gpu, "m", shape, undefined, "uint8"),
    absmaxM: upload(gpu, "absmax_m", [shape[0] * rowBlocks(shape[1])]),
    v: upload(gpu, "v", [shape[0]]),
  };
}

/** Rows of very different sizes, as tokens have; one in five is zero. */
function tokenGradients(rows: number, columns: number, seed: number) {
  return randomNormal(rows * columns, seed)
    .map((value, i) => value ** 3 * [1, 1e-2, 1e-4, 1e-6, 0][Math.floor(i / columns) % 5]);
}

for (const [rows, columns] of [[1, 8], [70, 40], [5, 257], [3, 5461]] as const) {
  gpuTest(`adam_mini (${rows}, ${columns}) follows the oracle`, async (gpu) => {
    for (const strategy of sharings(gpu, LOOPS)) {
      const shape = [rows, columns] as const, state = createState(gpu, shape);
      const stored = rows * state.m.stride;
      const read = async (tensor: typeof state.m) => (await gpu.read(tensor)).buffer as ArrayBuffer;
      for (let step = 1; step <= 3; step++) {
        // The oracle starts each step from the device's state, so that only one step's rounding
        // counts.
        const before = {
          m: new Uint8Array(await read(state.m)).slice(0, stored),
          absmaxM: Float64Array.from(await download(gpu, state.absmaxM)),
          v: Float64Array.from(await download(gpu, state.v)),
        };
        const values = tokenGradients(rows, columns, step);
        const gradient = upload(gpu, "gradient", shape, values);
        runPass(gpu, (pass) => adamMini(pass, { gradient, ...state, step, ...RATES }));
        const update = oracle(withPadding(values, columns), before, { columns, step, ...RATES });
        // A dozen float32 operations on numbers of the format, themselves computed in float32, and
        // a sum of up to 5461 squares.
        const close = { atol: 1e-30, rtol: 1e-5 };
        const actual = new Float32Array(await read(gradient));
        assertClose(`update, ${strategy}`, actual, update, { ...close, atol: 1e-5 * RATES.lr });
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

gpuTest("adam_mini without a gradient keeps a fresh state zero", async (gpu) => {
  const state = createState(gpu, [16, 256]), gradient = upload(gpu, "gradient", [16, 256]);
  runPass(gpu, (pass) => adamMini(pass, { gradient, ...state, step: 1, ...RATES }));
  for (const tensor of [gradient, state.absmaxM, state.v]) {
    const values = new Float32Array((await gpu.read(tensor)).buffer);
    assert(values.every((value) => value === 0), tensor.name);
  }
});

gpuTest("adam_mini refuses what does not match", (gpu) => {
  const state = createState(gpu, [16, 257]), gradient = upload(gpu, "gradient", [16, 257]);
  const io = { gradient, ...state, step: 1, ...RATES };
  const refused = (change: Partial<typeof io>, message: string) =>
    assertThrows(() => adamMini(new KernelPass(gpu), { ...io, ...change }), ShapeError, message);
  refused({ m: gradient }, "adamMini: m must be uint8, got float32");
  refused({ v: upload(gpu, "v", [32]) }, "adamMini: v must be (16), got (32)");
  refused({ absmaxM: state.v }, "adamMini: absmaxM must be (32), got (16)"); // two blocks a row
});

testAlternatives(import.meta.url);
