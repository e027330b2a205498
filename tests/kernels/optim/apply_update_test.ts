import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { rowRange, type Tensor } from "../../../src/gpu/tensor.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { applyUpdate } from "../../../src/kernels/optim/apply_update.ts";
import { fromBfloat16, toBfloat16 } from "../../oracles/bfloat16.ts";
import { applyUpdate as oracle, roundBfloat16 } from "../../oracles/optim/apply_update.ts";
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

const DECAY = 1 - 0.01 * 0.1;

for (const [rows, columns] of [[1, 8], [3, 257], [5, 5461]]) {
  strategyTest(
    (strategy) => `apply_update (${rows}, ${columns}) agrees with the oracle, ${strategy}`,
    async (gpu) => {
      const change = randomNormal(rows * columns, 2, 0.01);
      const update = upload(gpu, "update", [rows, columns], change);
      for (const dtype of ["float32", "bfloat16"] as const) {
        const values = rounded(randomNormal(rows * columns, 1), dtype);
        const weight = upload(gpu, "weight", [rows, columns], values, dtype);
        runPass(gpu, (pass) => applyUpdate(pass, { weight, update, decay: DECAY }));
        const exact = oracle(values, change, DECAY);
        // Float32: an adapter may fuse the multiply and the add, one rounding of some 2^-24 less.
        // Bfloat16: that may carry a value over a boundary, one step of 2^-7.
        const tolerance = dtype === "float32"
          ? { atol: 1e-7, rtol: 2e-7 }
          : { atol: 0, rtol: 2 ** -7 };
        const actual = await download(gpu, weight), expected = rounded(exact, dtype);
        assertClose(dtype, actual, expected, tolerance);
        const moved = actual.filter((value, i) => value !== expected[i]).length;
        if (dtype === "bfloat16") assert(moved <= 1e-3 * actual.length, `${moved} moved`);
      }
    },
  );
}

gpuTest("apply_update rounds bfloat16 stochastically, by its key", async (gpu) => {
  const [rows, columns] = [4, 512];
  const values = rounded(randomNormal(rows * columns, 1), "bfloat16");
  const change = randomNormal(rows * columns, 2, 1e-3);
  const update = upload(gpu, "update", [rows, columns], change);
  const exact = oracle(values, change, 1);
  const draw = (key: { seed: number; step: number; tensor: number }) => {
    const weight = upload(gpu, "weight", [rows, columns], values, "bfloat16");
    runPass(gpu, (pass) => applyUpdate(pass, { weight, update, decay: 1, rounding: key }));
    return download(gpu, weight);
  };
  const key = { seed: 1, step: 2, tensor: 3 };
  const drawn = await draw(key);
  assertEquals(drawn, exact.map((value, i) => roundBfloat16(value, key, i)));
  assertEquals(await draw(key), drawn);
  for (const other of [{ seed: 2 }, { step: 3 }, { tensor: 4 }]) {
    const different = (await draw({ ...key, ...other })).filter((value, i) => value !== drawn[i]);
    assert(different.length > 100, JSON.stringify(other));
  }
});

gpuTest("updates too small for a bfloat16 survive in the mean", async (gpu) => {
  const [rows, columns, steps] = [8, 1024, 64];
  // 1 + 2^-10 is an eighth of the step of 2^-7 above 1: the nearest bfloat16 is 1, always.
  const update = upload(
    gpu,
    "update",
    [rows, columns],
    new Float32Array(rows * columns).fill(2 ** -10),
  );
  const weight = upload(
    gpu,
    "weight",
    [rows, columns],
    new Float32Array(rows * columns).fill(1),
    "bfloat16",
  );
  runPass(gpu, (pass) => {
    for (let step = 0; step < steps; step++) {
      applyUpdate(pass, { weight, update, decay: 1, rounding: { seed: 1, step, tensor: 1 } });
    }
  });
  const values = await download(gpu, weight);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  // A step's variance is at most p(1−p)·2^-14 with p = 1/8; five standard errors over all draws.
  const bound = 5 * Math.sqrt((steps * (7 / 64) * 2 ** -14) / values.length);
  assert(Math.abs(mean - (1 + steps * 2 ** -10)) < bound, `mean ${mean}`);
  assertEquals(fromBfloat16(toBfloat16(1 + 2 ** -10)), 1);
});

gpuTest("apply_update keeps infinities and NaN apart", async (gpu) => {
  const values = [Infinity, -Infinity, NaN, 1, 1, 1, 1, 1];
  const weight = upload(gpu, "weight", [1, 8], values, "bfloat16");
  const update = upload(gpu, "update", [1, 8], [0, 0, 0, NaN, Infinity, -Infinity, 0, 0]);
  const rounding = { seed: 1, step: 1, tensor: 1 };
  runPass(gpu, (pass) => applyUpdate(pass, { weight, update, decay: 1, rounding }));
  const expected = [Infinity, -Infinity, NaN, NaN, Infinity, -Infinity, 1, 1];
  assertEquals([...await download(gpu, weight)], expected);
});

gpuTest("apply_update: rows in ranges get the bits of the whole, the others stay", async (gpu) => {
  const [rows, columns] = [77, 40], shape = [rows, columns];
  const values = randomNormal(rows * columns, 1), change = randomNormal(rows * columns, 2, 1e-3);
  const update = upload(gpu, "update", shape, change), rounding = { seed: 5, step: 9, tensor: 2 };
  const run = async (...blocks: readonly (readonly [number, number])[]) => {
    const weight = upload(gpu, "weight", shape, values, "bfloat16");
    runPass(gpu, (pass) => {
      for (const [start, end] of blocks) {
        const of = (tensor: Tensor) => rowRange(tensor, start, end);
        applyUpdate(pass, { weight: of(weight), update: of(update), decay: DECAY, rounding });
      }
    });
    return await download(gpu, weight);
  };
  const whole = await run([0, rows]), kept = 64 * columns;
  assertEquals(await run([64, rows], [0, 64]), whole);
  const apart = [...(await run()).slice(0, kept), ...whole.slice(kept)];
  assertEquals([...await run([64, rows])], apart);
});

gpuTest("apply_update refuses an update of another shape", (gpu) => {
  const weight = upload(gpu, "weight", [4, 16]), update = upload(gpu, "update", [4, 8]);
  assertThrows(
    () => applyUpdate(new KernelPass(gpu), { weight, update, decay: 1 }),
    ShapeError,
    "applyUpdate: update must be (4, 16), got (4, 8)",
  );
});

testAlternatives(import.meta.url);
