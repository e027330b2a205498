import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import { Safetensors } from "../../../src/formats/safetensors.ts";
import { adam8 } from "../../../src/optim/rules/adam.ts";
import { adam as oracle } from "../../oracles/optim/adam.ts";
import { dynamicMap } from "../../oracles/optim/adam_8bit.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { RATES } from "../support_rates.ts";
import { matmulWorkspace } from "../support.ts";

const FIXTURE = fromFileUrl(import.meta.resolve("../../fixtures/adam/adam_8bit.safetensors"));
const [ROWS, COLUMNS, STEPS] = [33, 136, 25];
const lr = 1e-3, rates = { ...RATES, adamEps: 1e-8 };

/** The gradients of tests/golden/adam_8bit.py. */
function goldenGradient(step: number): Float32Array<ArrayBuffer> {
  const scales = [1, 0.1, 0.01, 0.001, 0].map(Math.fround);
  return Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => {
    const slow = (i * 2654435761 + Math.floor(step / 8) * 40503 + 12345) % 2 ** 32;
    const fast = (i * 2246822519 + step * 3266489917 + 374761393) % 2 ** 32;
    const mixed = Math.floor((Math.floor(slow / 2) + Math.floor(fast / 2)) / 256);
    return (mixed / 2 ** 23 - 1) * scales[Math.floor(slow / 8) % 5];
  });
}

Deno.test("the oracle's maps are those of bitsandbytes", async () => {
  using fixture = await Safetensors.open(FIXTURE);
  const rtol = 2 ** -22; // bitsandbytes computes them in float32, in three operations
  for (const [name, signed] of [["signed_map", true], ["unsigned_map", false]] as const) {
    const expected = await fixture.readFloat32(name);
    assertClose(name, dynamicMap(signed), expected, { atol: 0.5 * 2 ** -149, rtol });
  }
});

gpuTest("25 steps of 8-bit Adam follow bitsandbytes", async (gpu) => {
  using fixture = await Safetensors.open(FIXTURE);
  const shape = [ROWS, COLUMNS], state = adam8.createState(gpu, "weight", shape);
  const parameter = new Float64Array(ROWS * COLUMNS), matmul = matmulWorkspace(gpu, []);
  for (let step = 1; step <= STEPS; step++) {
    const gradient = upload(gpu, "gradient", shape, goldenGradient(step));
    runPass(gpu, (pass) => adam8.record(pass, { gradient, state, step, lr, rates, matmul }));
    (await download(gpu, gradient)).forEach((update, i) => parameter[i] += update);
    if (![1, 5, STEPS].includes(step)) continue;
    // A moment on the boundary between two codes may get either within float32, which changes a
    // small moment by several per cent: rare, so counted. All others agree to 1e-3.
    const expected = await fixture.readFloat32(`parameter.${step}`);
    const apart = expected.filter((value, i) =>
      Math.abs(parameter[i] - value) > 1e-6 * lr + 1e-3 * Math.abs(value)
    ).length;
    assert(apart <= 0.002 * expected.length, `step ${step}: ${apart} of ${expected.length} apart`);
    for (
      const [name, codes, absmax] of [["m", state.m, state.absmax_m!], [
        "v",
        state.v,
        state.absmax_v!,
      ]] as const
    ) {
      const wanted = await fixture.read(`${name}.${step}`);
      const moved = (await gpu.read(codes)).filter((code, i) =>
        code !== wanted[i]
      ).length;
      assert(moved <= 0.002 * wanted.length, `step ${step}: ${moved} codes of ${name}`);
      assertClose(
        `absmax of ${name}`,
        await download(gpu, absmax),
        await fixture.readFloat32(`absmax_${name}.${step}`),
        { atol: 0, rtol: 1e-5 },
      );
    }
  }
});

gpuTest("32-bit Adam follows the oracle where a tensor is too small for 8 bits", async (gpu) => {
  const state = adam8.createState(gpu, "norm", [100]);
  assertEquals([state.m.dtype, state.absmax_m], ["float32", undefined]); // too small for 8 bits
  const m = new Float64Array(100), v = new Float64Array(100), matmul = matmulWorkspace(gpu, []);
  for (let step = 1; step <= 3; step++) {
    const values = randomNormal(100, step), gradient = upload(gpu, "gradient", [100], values);
    runPass(gpu, (pass) => adam8.record(pass, { gradient, state, step, lr, rates, matmul }));
    const update = oracle(values, m, v, {
      step,
      lr,
      beta1: rates.beta1,
      beta2: rates.beta2,
      eps: rates.adamEps,
    });
    assertClose("update", await download(gpu, gradient), update, { atol: 3e-9, rtol: 3e-6 });
  }
});

Deno.test("an 8-bit state takes two bytes an element, and 8 a block of 256", () => {
  const plan = new PlanAllocator();
  adam8.createState(plan, "weight", [512, 1024]);
  assertEquals(plan.account.byPurpose.optimizer_state, 2 * 512 * 1024 + 8 * 2048);
  assertEquals(plan.account.live, plan.account.byPurpose.optimizer_state);
});
