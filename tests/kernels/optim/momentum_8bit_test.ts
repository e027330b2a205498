import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { adamBlocks } from "../../../src/kernels/optim/adam_blockwise.ts";
import { momentum8bit } from "../../../src/kernels/optim/momentum_8bit.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { withPadding } from "../../oracles/quantise/group_quantize.ts";
import { momentum8bit as oracle } from "../../oracles/optim/momentum_8bit.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { BLOCKS, sharings, testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 8], [3, 257], [2, 5461]]) {
  const name = `momentum_8bit (${rows}, ${columns})`;
  gpuTest(`${name}, follows the oracle`, async (gpu) => {
    let inPlace = false;
    for (const strategy of sharings(gpu, BLOCKS)) {
      inPlace = !inPlace;
      const shape = [rows, columns], apart = upload(gpu, "update", shape);
      const momentum = upload(gpu, "momentum", shape, undefined, "uint8");
      const absmax = upload(gpu, "absmax", [adamBlocks(momentum)]);
      const stored = rows * momentum.stride;
      for (let step = 1; step <= 3; step++) {
        // The oracle starts each step from the device's state, so that only one step's rounding
        // counts.
        const before = {
          momentum: new Uint8Array((await gpu.read(momentum)).slice(0, stored)),
          absmax: Float64Array.from(await download(gpu, absmax)),
        };
        const values = randomNormal(rows * columns, step).map((value) => value ** 5 * 1e-3);
        const gradient = upload(gpu, "gradient", shape, values);
        const update = inPlace ? gradient : apart, nesterov = !inPlace;
        const io = { gradient, momentum, absmax, update, decay: 0.95, nesterov };
        runPass(gpu, (pass) => momentum8bit(pass, io));
        const wanted = oracle(withPadding(values, columns), before, 0.95, nesterov);
        const written = new Float32Array((await gpu.read(update)).buffer).slice(0, stored);
        // A dozen float32 operations on numbers of the format, themselves computed in float32.
        const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        assertClose(`update, ${strategy}`, written, wanted, { atol: 1e-6 * most, rtol: 1e-5 });
        const maxima = await download(gpu, absmax);
        assertClose("absmax", maxima, before.absmax, { atol: 1e-30, rtol: 1e-5 });
        const codes = new Uint8Array((await gpu.read(momentum)).slice(0, stored));
        // A value on the boundary between two codes may get either, within float32.
        const moved = codes.filter((code, i) => code !== before.momentum[i]).length;
        const far = codes.some((code, i) => Math.abs(code - before.momentum[i]) > 1);
        assert(!far && moved <= 1e-3 * stored, `${moved} of ${stored} codes`);
      }
    }
  });
}

gpuTest("momentum_8bit of zeros is zero", async (gpu) => {
  const shape = [2, 300], gradient = upload(gpu, "gradient", shape);
  const momentum = upload(gpu, "momentum", shape, undefined, "uint8");
  const absmax = upload(gpu, "absmax", [adamBlocks(momentum)]);
  const update = upload(gpu, "update", shape, new Float32Array(600).fill(9));
  const io = { gradient, momentum, absmax, update, decay: 0.95, nesterov: true };
  runPass(gpu, (pass) => momentum8bit(pass, io));
  assertEquals(await download(gpu, update), new Float32Array(600));
  assertEquals(await download(gpu, absmax), new Float32Array(absmax.shape[0]));
});

gpuTest("momentum_8bit refuses maxima of another count", (gpu) => {
  const gradient = upload(gpu, "gradient", [4, 128]), update = upload(gpu, "update", [4, 128]);
  const momentum = upload(gpu, "momentum", [4, 128], undefined, "uint8");
  const absmax = upload(gpu, "absmax", [3]);
  const io = { gradient, momentum, absmax, update, decay: 0.95, nesterov: true };
  assertThrows(
    () => momentum8bit(new KernelPass(gpu), io),
    ShapeError,
    "momentum8bit: absmax must be (2), got (3)",
  );
});

testAlternatives(import.meta.url);
