import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { UserError } from "../../../src/options/user_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { fromBfloat16, toBfloat16 } from "../../oracles/bfloat16.ts";
import { unpackTensor } from "../../../src/numbers/plain.ts";
import { dropout } from "../../../src/kernels/misc/dropout.ts";
import { dropout as oracle, dropoutMask } from "../../oracles/misc/dropout.ts";
import { centralDifferences, inner } from "../../oracles/central_differences.ts";
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

const KEY = { share: 0.1, seed: 7, step: 3, tensor: 5 };

Deno.test("the oracle of dropout is its own gradient", () => {
  const x = Float64Array.from(randomNormal(24, 1)), dy = randomNormal(24, 2), shape = [2, 12];
  const key = { ...KEY, share: 0.5 }; // a scale of 2 is exact in every format
  const dx = Float64Array.from(oracle(dy, shape, key));
  const mask = dropoutMask(shape, key);
  const forward = (moved: Float64Array) => inner(dy, moved.map((value, i) => 2 * mask[i] * value));
  assertClose("dx", dx, centralDifferences(x, forward), { atol: 1e-8, rtol: 1e-8 });
});

for (const shape of [[1, 8], [3, 257], [5, 5461]]) {
  strategyTest(
    (strategy) => `dropout (${shape}) is the oracle's to the bit, ${strategy}`,
    async (gpu) => {
      for (const share of [0, 0.1, 0.5, 0.9]) {
        for (const dtype of ["float32", "bfloat16"] as const) {
          const values = rounded(randomNormal(shape[0] * shape[1], 1), dtype);
          const x = upload(gpu, "x", shape, values, dtype);
          const y = upload(gpu, "y", shape, randomNormal(values.length, 2), dtype);
          runPass(gpu, (pass) => dropout(pass, { x, y, ...KEY, share }));
          const exact = oracle(values, shape, { ...KEY, share });
          const expected = dtype === "float32"
            ? exact
            : exact.map((value) => fromBfloat16(toBfloat16(value)));
          assertEquals(await download(gpu, y), expected);
        }
      }
    },
  );
}

gpuTest("dropout adds, and leaves the padding zero", async (gpu) => {
  const shape = [3, 9], values = randomNormal(27, 1), before = randomNormal(27, 2);
  const x = upload(gpu, "x", shape, values), y = upload(gpu, "y", shape, before);
  runPass(gpu, (pass) => dropout(pass, { x, y, ...KEY, accumulate: true }));
  const expected = oracle(values, shape, KEY).map((value, i) => value + before[i]);
  // A product and a sum, which an adapter may fuse.
  assertClose("y", await download(gpu, y), expected, { atol: 3e-7, rtol: 2e-7 });
  const stored = new Float32Array((await gpu.read(y)).buffer);
  for (let row = 0; row < 3; row++) {
    assertEquals([...stored.slice(row * 16 + 9, row * 16 + 16)], Array(7).fill(0));
  }
});

gpuTest("dropout drops its share, by a key", async (gpu) => {
  const shape = [64, 1024], count = shape[0] * shape[1];
  const x = upload(gpu, "x", shape, new Float32Array(count).fill(1));
  const maskOf = async (key: Partial<typeof KEY>) => {
    const y = upload(gpu, "y", shape);
    runPass(gpu, (pass) => dropout(pass, { x, y, ...KEY, ...key }));
    return (await download(gpu, y)).map((value) => value === 0 ? 0 : 1);
  };
  for (const share of [0.05, 0.1, 0.5, 0.9]) {
    const dropped = (await maskOf({ share })).filter((kept) => !kept).length;
    // Five standard deviations of a binomial distribution.
    const bound = 5 * Math.sqrt(count * share * (1 - share));
    assert(Math.abs(dropped - count * share) < bound, `${dropped} of ${count} dropped at ${share}`);
  }
  const first = await maskOf({});
  assertEquals(await maskOf({}), first);
  // Masks that know nothing of each other differ where one drops and the other does not.
  const differ = 2 * KEY.share * (1 - KEY.share);
  for (const other of [{ seed: 8 }, { step: 4 }, { tensor: 6 }]) {
    const mask = await maskOf(other);
    const different = mask.filter((kept, i) => kept !== first[i]).length;
    const bound = 5 * Math.sqrt(count * differ * (1 - differ));
    assert(Math.abs(different - count * differ) < bound, `${different} differ`);
  }
});

gpuTest("dropout draws on where one dispatch ends", async (gpu) => {
  const rows = (1 << 20) + 3, shape = [rows, 8]; // a range is 2^23 elements
  const x = upload(gpu, "x", shape, undefined, "bfloat16");
  const y = upload(gpu, "y", shape, undefined, "bfloat16");
  const part = { ...x, shape: [4, 8] }, byteOffset = (rows - 4) * 16;
  gpu.write(x, new Uint16Array(32).fill(toBfloat16(1)), byteOffset);
  const key = { ...KEY, share: 0.5 };
  runPass(gpu, (pass) => dropout(pass, { x, y, ...key }));
  const written = unpackTensor(part, await gpu.read(y, byteOffset));
  const mask = dropoutMask(shape, key).slice(-32);
  assertEquals([...written], [...mask].map((kept) => 2 * kept));
  for (const tensor of [x, y]) gpu.release(tensor);
});

gpuTest("dropout refuses a share of 1, its own operand and another shape", (gpu) => {
  const [x, y] = ["x", "y"].map((name) => upload(gpu, name, [4, 16]));
  const pass = new KernelPass(gpu), wide = upload(gpu, "wide", [4, 24]);
  assertThrows(
    () => dropout(pass, { x, y, ...KEY, share: 1 }),
    UserError,
    "dropout: share must be in [0, 1), got 1",
  );
  assertThrows(
    () => dropout(pass, { x, y: x, ...KEY }),
    ShapeError,
    "dropout: y must be another tensor than x",
  );
  assertThrows(
    () => dropout(pass, { x, y: wide, ...KEY }),
    ShapeError,
    "dropout: y must be (4, 16), got (4, 24)",
  );
});

testAlternatives(import.meta.url);
