import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { adam8bit, adamBlocks } from "../../../src/kernels/optim/adam_8bit.ts";
import { adam8bit as oracle, dynamicMap } from "../../oracles/optim/adam_8bit.ts";
import { withPadding } from "../../oracles/quantise/group_quantize.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  runPass,
  sharings,
  upload,
} from "../../support.ts";

const RATES = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

function createState(gpu: Gpu, shape: readonly number[]) {
  const m = upload(gpu, "m", shape, undefined, "uint8");
  const v = upload(gpu, "v", shape, undefined, "uint8");
  const blocks = [adamBlocks(m)];
  return {
    m,
    v,
    absmaxM: upload(gpu, "absmax_m", blocks),
    absmaxV: upload(gpu, "absmax_v", blocks),
  };
}

for (const [rows, columns] of [[1, 8], [3, 257], [2, 5461]]) {
  gpuTest(`adam_8bit (${rows}, ${columns}), follows the oracle`, async (gpu) => {
    for (const sharing of sharings(gpu, [1, 16])) {
      const shape = [rows, columns], state = createState(gpu, shape);
      const stored = rows * state.m.stride;
      const read = async (tensor: typeof state.m) => (await gpu.read(tensor)).buffer as ArrayBuffer;
      for (let step = 1; step <= 3; step++) {
        // The oracle starts each step from the device's state, so that only one step's rounding
        // counts.
        const before = {
          m: new Uint8Array(await read(state.m)),
          v: new Uint8Array(await read(state.v)),
          absmaxM: Float64Array.from(await download(gpu, state.absmaxM)),
          absmaxV: Float64Array.from(await download(gpu, state.absmaxV)),
        };
        const values = randomNormal(rows * columns, step).map((value) => value ** 5 * 1e-3);
        const gradient = upload(gpu, "gradient", shape, values);
        runPass(gpu, (pass) => adam8bit(pass, { gradient, ...state, step, ...RATES, ...sharing }));
        const update = oracle(withPadding(values, columns), before, { step, ...RATES });
        // A dozen float32 operations on numbers of the format, themselves computed in float32.
        const actual = new Float32Array(await read(gradient));
        assertClose("update", actual, update, { atol: 1e-5 * RATES.lr, rtol: 1e-5 });
        for (const [codes, absmax] of [["m", "absmaxM"], ["v", "absmaxV"]] as const) {
          assertClose(absmax, await download(gpu, state[absmax]), before[absmax], {
            atol: 1e-30,
            rtol: 1e-5,
          });
          const written = new Uint8Array(await read(state[codes])).slice(0, stored);
          // A value on the boundary between two codes may get either, within float32.
          const moved = written.filter((code, i) => code !== before[codes][i]).length;
          const far = written.some((code, i) => Math.abs(code - before[codes][i]) > 1);
          assert(!far && moved <= 1e-3 * stored, `${codes}: ${moved} of ${stored} codes`);
        }
      }
    }
  });
}

gpuTest("adam_8bit decodes each of the 256 codes to the number of the map", async (gpu) => {
  // With β = 1 − 2^-24 or so and no gradient, m and v stay; the update tells m / √v.
  const state = createState(gpu, [256]);
  const codes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const absmaxM = new Float32Array([1, 0, 0, 0, 0, 0, 0, 0]);
  for (const which of ["m", "v"] as const) {
    const other = which === "m" ? "v" : "m";
    gpu.write(state[which], codes);
    gpu.write(state[other], new Uint8Array(256).fill(255)); // one, in either map
    gpu.write(state.absmaxM, absmaxM);
    gpu.write(state.absmaxV, absmaxM);
    const gradient = upload(gpu, "gradient", [256]);
    const rates = { lr: 1, beta1: 0.5, beta2: 0.5, eps: 1e-3 };
    runPass(gpu, (pass) => adam8bit(pass, { gradient, ...state, step: 1, ...rates }));
    // At step 1, m̂ = m and v̂ = v of before, when the gradient is zero.
    const map = dynamicMap(which === "m");
    const expected = Float64Array.from(
      map,
      (value) => which === "m" ? -value / (1 + 1e-3) : -1 / (Math.sqrt(value) + 1e-3),
    );
    const actual = new Float32Array((await gpu.read(gradient)).buffer);
    assertClose(which, actual, expected, { atol: 1e-9, rtol: 3e-6 });
    assertEquals(await gpu.read(state[which]), codes); // and encodes it to the same code
  }
});

gpuTest("adam_8bit without a gradient keeps a fresh state zero", async (gpu) => {
  const state = createState(gpu, [16, 256]), gradient = upload(gpu, "gradient", [16, 256]);
  runPass(gpu, (pass) => adam8bit(pass, { gradient, ...state, step: 1, ...RATES }));
  for (const tensor of [gradient, state.absmaxM, state.absmaxV]) {
    const values = new Float32Array((await gpu.read(tensor)).buffer);
    assert(values.every((value) => value === 0), tensor.name);
  }
});

gpuTest("adam_8bit refuses what does not match", (gpu) => {
  const state = createState(gpu, [16, 256]), gradient = upload(gpu, "gradient", [16, 128]);
  assertThrows(
    () => adam8bit(new KernelPass(gpu), { gradient, ...state, step: 1, ...RATES }),
    ShapeError,
    "adam8bit: m must be (16, 128), got (16, 256)",
  );
  const other = upload(gpu, "gradient", [16, 256]), absmaxM = upload(gpu, "absmax", [4]);
  assertThrows(
    () => adam8bit(new KernelPass(gpu), { gradient: other, ...state, absmaxM, step: 1, ...RATES }),
    ShapeError,
    "adam8bit: absmaxM must be (16), got (4)",
  );
});
