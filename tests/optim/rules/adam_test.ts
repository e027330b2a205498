import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { elementsOf } from "../../../src/numbers/layout.ts";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import { Safetensors } from "../../../src/formats/safetensors.ts";
import { adam4, adam8 } from "../../../src/optim/rules/adam.ts";
import { adam as oracle } from "../../oracles/optim/adam.ts";
import { EIGHT_BITS } from "../../oracles/optim/adam_blockwise.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { RATES, SIZES } from "../support_rates.ts";
import { matmulWorkspace } from "../support.ts";

const STEPS = 25;
const lr = 1e-3, rates = { ...RATES, adamEps: 1e-8 };

const fixtureOf = (file: string) =>
  Safetensors.open(
    fromFileUrl(import.meta.resolve(`../../fixtures/adam/${file}.safetensors`)),
  );

/** The gradients of tests/golden/adam_gradients.py. */
function goldenGradient(step: number, elements: number): Float32Array<ArrayBuffer> {
  const scales = [1, 0.1, 0.01, 0.001, 0].map(Math.fround);
  return Float32Array.from({ length: elements }, (_, i) => {
    const slow = (i * 2654435761 + Math.floor(step / 8) * 40503 + 12345) % 2 ** 32;
    const fast = (i * 2246822519 + step * 3266489917 + 374761393) % 2 ** 32;
    const mixed = Math.floor((Math.floor(slow / 2) + Math.floor(fast / 2)) / 256);
    return (mixed / 2 ** 23 - 1) * scales[Math.floor(slow / 8) % 5];
  });
}

Deno.test("the oracle's maps are those of bitsandbytes", async () => {
  using fixture = await fixtureOf("adam_8bit");
  const rtol = 2 ** -22; // bitsandbytes computes them in float32, in three operations
  for (
    const [name, map] of [["signed_map", EIGHT_BITS.m], ["unsigned_map", EIGHT_BITS.v]] as const
  ) {
    const expected = await fixture.readFloat32(name);
    assertClose(name, map, expected, { atol: 0.5 * 2 ** -149, rtol });
  }
});

/** The parameter, which began at zero, and the state after each of {@link STEPS} steps of a rule. */
async function* steps(gpu: Gpu, rule: typeof adam8, shape: readonly number[]) {
  const elements = elementsOf({ shape }), parameter = new Float64Array(elements);
  const state = rule.createState(gpu, "weight", shape, SIZES), matmul = matmulWorkspace(gpu, []);
  for (let step = 1; step <= STEPS; step++) {
    const gradient = upload(gpu, "gradient", shape, goldenGradient(step, elements));
    runPass(
      gpu,
      (pass) => rule.record(pass, { gradient, state, step, lr, rates, matmul, tensor: 0 }),
    );
    (await download(gpu, gradient)).forEach((update, i) => parameter[i] += update);
    yield { step, parameter, state };
  }
}

gpuTest("25 steps of 8-bit Adam follow bitsandbytes", async (gpu) => {
  using fixture = await fixtureOf("adam_8bit");
  for await (const { step, parameter, state } of steps(gpu, adam8, [33, 136])) {
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

gpuTest("25 steps of 4-bit Adam are nearer to Adam's than torchao's", async (gpu) => {
  using fixture = await fixtureOf("adam_4bit");
  const shape = [32, 144], elements = elementsOf({ shape }), exact = new Float64Array(elements);
  const m = new Float64Array(elements), v = new Float64Array(elements);
  const { beta1, beta2, adamEps: eps } = rates;
  for await (const { step, parameter } of steps(gpu, adam4, shape)) {
    const update = oracle(goldenGradient(step, elements), m, v, { step, lr, beta1, beta2, eps });
    update.forEach((each, i) => exact[i] += each);
    if (step < STEPS) continue;
    const distance = (values: ArrayLike<number>) =>
      Math.sqrt(exact.reduce((sum, value, i) => sum + (values[i] - value) ** 2, 0));
    const own = distance(parameter), theirs = distance(await fixture.readFloat32("parameter"));
    const length = distance(new Float64Array(elements));
    assert(own < 0.75 * theirs, `off by ${own / length}, torchao by ${theirs / length}`);
  }
});

gpuTest("32-bit Adam follows the oracle where a tensor is too small for 8 bits", async (gpu) => {
  const state = adam8.createState(gpu, "norm", [100], SIZES);
  assertEquals([state.m.dtype, state.absmax_m], ["float32", undefined]); // too small for 8 bits
  const m = new Float64Array(100), v = new Float64Array(100), matmul = matmulWorkspace(gpu, []);
  for (let step = 1; step <= 3; step++) {
    const values = randomNormal(100, step), gradient = upload(gpu, "gradient", [100], values);
    runPass(
      gpu,
      (pass) => adam8.record(pass, { gradient, state, step, lr, rates, matmul, tensor: 0 }),
    );
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

Deno.test("an 8-bit state takes two bytes an element and 8 a block of 256, a 4-bit one half", () => {
  for (const [rule, bytes] of [[adam8, 2 + 8 / 256], [adam4, 1 + 8 / 128]] as const) {
    const plan = new PlanAllocator();
    rule.createState(plan, "weight", [512, 1024], SIZES);
    assertEquals(plan.account.byPurpose.optimizer_state, bytes * 512 * 1024);
    assertEquals(plan.account.live, plan.account.byPurpose.optimizer_state);
  }
});
