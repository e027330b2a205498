import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import type { Tensor } from "../../../src/gpu/tensor.ts";
import { storedElements } from "../../../src/numbers/layout.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import {
  adam4bit,
  adam8bit,
  ADAM_4BIT_BLOCK,
  ADAM_BLOCK,
  adamBlocks,
} from "../../../src/kernels/optim/adam_blockwise.ts";
import {
  adamBlockwise as oracle,
  EIGHT_BITS,
  FOUR_BITS,
} from "../../oracles/optim/adam_blockwise.ts";
import { withPadding } from "../../oracles/quantise/group_quantize.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { BLOCKS, sharings, testAlternatives } from "../support_strategies.ts";

const RATES = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/** The formats of moments. */
const FORMATS = {
  adam8bit: { step: adam8bit, block: ADAM_BLOCK, dtype: "uint8", format: EIGHT_BITS },
  adam4bit: { step: adam4bit, block: ADAM_4BIT_BLOCK, dtype: "uint4", format: FOUR_BITS },
} as const;
type Name = keyof typeof FORMATS;

function createState(gpu: Gpu, name: Name, shape: readonly number[]) {
  const { dtype, block } = FORMATS[name];
  const make = (name: string) => gpu.tensor({ name, shape, dtype, purpose: "workspace" });
  const m = make("m"), v = make("v"), blocks = [adamBlocks(m, block)];
  return {
    m,
    v,
    absmaxM: upload(gpu, "absmax_m", blocks),
    absmaxV: upload(gpu, "absmax_v", blocks),
  };
}

/** A code for every stored element. */
async function codesOf(gpu: Gpu, tensor: Tensor): Promise<Uint8Array> {
  const bytes = await gpu.read(tensor), stored = storedElements(tensor);
  if (tensor.dtype === "uint8") return bytes.slice(0, stored);
  return Uint8Array.from({ length: stored }, (_, i) => (bytes[i >> 1] >> (4 * (i & 1))) & 15);
}

function eachFormat(what: string, run: (gpu: Gpu, name: Name) => void | Promise<void>) {
  for (const name of Object.keys(FORMATS) as Name[]) {
    gpuTest(`${name} ${what}`, (gpu) => run(gpu, name));
  }
}

for (const [rows, columns] of [[1, 8], [3, 257], [2, 5461]]) {
  eachFormat(`(${rows}, ${columns}), follows the oracle`, async (gpu, name) => {
    const { step: record, format } = FORMATS[name];
    for (const strategy of sharings(gpu, BLOCKS)) {
      const shape = [rows, columns], state = createState(gpu, name, shape);
      const stored = rows * state.m.stride;
      for (let step = 1; step <= 3; step++) {
        // The oracle starts each step from the device's state, so that only one step's rounding
        // counts.
        const before = {
          m: await codesOf(gpu, state.m),
          v: await codesOf(gpu, state.v),
          absmaxM: Float64Array.from(await download(gpu, state.absmaxM)),
          absmaxV: Float64Array.from(await download(gpu, state.absmaxV)),
        };
        const values = randomNormal(rows * columns, step).map((value) => value ** 5 * 1e-3);
        const gradient = upload(gpu, "gradient", shape, values);
        runPass(gpu, (pass) => record(pass, { gradient, ...state, step, ...RATES }));
        const update = oracle(withPadding(values, columns), before, format, { step, ...RATES });
        // A dozen float32 operations on numbers of the format, themselves computed in float32.
        const actual = new Float32Array((await gpu.read(gradient)).buffer);
        assertClose(`update, ${strategy}`, actual, update, { atol: 1e-5 * RATES.lr, rtol: 1e-5 });
        for (const [codes, absmax] of [["m", "absmaxM"], ["v", "absmaxV"]] as const) {
          assertClose(absmax, await download(gpu, state[absmax]), before[absmax], {
            atol: 1e-30,
            rtol: 1e-5,
          });
          const written = await codesOf(gpu, state[codes]);
          // A value on the boundary between two codes may get either, within float32.
          const moved = written.filter((code, i) => code !== before[codes][i]).length;
          const far = written.some((code, i) => Math.abs(code - before[codes][i]) > 1);
          assert(!far && moved <= 1e-3 * stored, `${codes}: ${moved} of ${stored} codes`);
        }
      }
    }
  });
}

eachFormat("decodes each code to the number of the map", async (gpu, name) => {
  // With β = 1 − 2^-24 or so and no gradient, m and v stay; the update tells m / √v.
  const { step: record, format } = FORMATS[name], state = createState(gpu, name, [256]);
  const one = new Float32Array(8).fill(1); // of every block
  for (const which of ["m", "v"] as const) {
    const map = format[which], other = which === "m" ? "v" : "m";
    // Code 0 of four bits would be beyond the maximum, and is never written.
    const least = map[0] < -1 ? 1 : 0;
    const codes = Uint8Array.from({ length: 256 }, (_, i) => least + i % (map.length - least));
    gpu.write(state[which], packed(codes, map.length));
    gpu.write(state[other], new Uint8Array(state.m.byteLength).fill(255)); // one, in either map
    gpu.write(state.absmaxM, one);
    gpu.write(state.absmaxV, one);
    const gradient = upload(gpu, "gradient", [256]);
    const rates = { lr: 1, beta1: 0.5, beta2: 0.5, eps: 1e-3 };
    runPass(gpu, (pass) => record(pass, { gradient, ...state, step: 1, ...rates }));
    // At step 1, m̂ = m and v̂ = v of before, when the gradient is zero.
    const expected = Float64Array.from(codes, (code) => {
      const value = map[code], root = Math.sqrt(value);
      return which === "m" ? -value / (1 + 1e-3) : -(format.relative ? root : 1) / (root + 1e-3);
    });
    const actual = new Float32Array((await gpu.read(gradient)).buffer);
    assertClose(which, actual, expected, { atol: 1e-9, rtol: 3e-6 });
    assertEquals(await codesOf(gpu, state[which]), codes); // and encodes it to the same code
  }
});

/** The bytes of codes of 8 or 4 bits, lowest bits first. */
function packed(codes: Uint8Array<ArrayBuffer>, levels: number): Uint8Array<ArrayBuffer> {
  if (levels === 256) return codes;
  return Uint8Array.from(
    { length: codes.length / 2 },
    (_, i) => codes[2 * i] | codes[2 * i + 1] << 4,
  );
}

eachFormat("without a gradient keeps a fresh state zero", async (gpu, name) => {
  const state = createState(gpu, name, [16, 256]), gradient = upload(gpu, "gradient", [16, 256]);
  runPass(gpu, (pass) => FORMATS[name].step(pass, { gradient, ...state, step: 1, ...RATES }));
  for (const tensor of [gradient, state.absmaxM, state.absmaxV]) {
    const values = new Float32Array((await gpu.read(tensor)).buffer);
    assert(values.every((value) => value === 0), tensor.name);
  }
});

eachFormat("makes a block zero before it decays to subnormal numbers", async (gpu, name) => {
  const state = createState(gpu, name, [8]), gradient = upload(gpu, "gradient", [8]);
  for (const codes of [state.m, state.v]) {
    gpu.write(codes, new Uint8Array(codes.byteLength).fill(255));
  }
  for (const absmax of [state.absmaxM, state.absmaxV]) gpu.write(absmax, Float32Array.of(1.9e-36));
  const rates = { ...RATES, beta1: 0.6, beta2: 0.5 };
  runPass(gpu, (pass) => FORMATS[name].step(pass, { gradient, ...state, step: 1, ...rates }));
  const m = FORMATS[name].format.relative ? 0 : 1.14e-36;
  assertClose("m", await download(gpu, state.absmaxM), [m], { atol: 1e-45, rtol: 1e-6 });
  assertEquals([...await download(gpu, state.absmaxV)], [0]);
});

eachFormat("refuses what does not match", (gpu, name) => {
  const state = createState(gpu, name, [16, 256]), gradient = upload(gpu, "gradient", [16, 128]);
  const { step: record, block, dtype } = FORMATS[name], pass = new KernelPass(gpu);
  assertThrows(
    () => record(pass, { gradient, ...state, step: 1, ...RATES }),
    ShapeError,
    `${name}: m must be (16, 128), got (16, 256)`,
  );
  const other = upload(gpu, "gradient", [16, 256]), absmaxM = upload(gpu, "absmax", [4]);
  assertThrows(
    () => record(pass, { gradient: other, ...state, absmaxM, step: 1, ...RATES }),
    ShapeError,
    `${name}: absmaxM must be (${4096 / block}), got (4)`,
  );
  assertThrows(
    () => record(pass, { gradient: other, ...state, m: other, step: 1, ...RATES }),
    ShapeError,
    `${name}: m must be ${dtype}, got float32`,
  );
});

testAlternatives(import.meta.url);
