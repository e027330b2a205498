import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Safetensors } from "../../../src/formats/safetensors.ts";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import type { RuleName } from "../../../src/optim/rules/rules.ts";
import { RULES } from "../../../src/optim/rules/rules.ts";
import { assertClose, download, gpuTest, runPass, upload } from "../../support.ts";
import { RATES } from "../support_rates.ts";
import { matmulWorkspace } from "../support.ts";

const SHAPES = [[64, 24], [24, 64], [61, 37], [48, 48]] as const;
const STEPS = 24, KEEP = [8, 24], TENSOR = 5;

/** The gradients of tests/golden/make_apollo.py. */
function goldenGradient([rows, columns]: readonly [number, number], step: number) {
  return Float32Array.from({ length: rows * columns }, (_, at) => {
    const i = Math.floor(at / columns), j = at % columns;
    let total = 0;
    for (let k = 0; k < 3; k++) {
      const u = (i * (37 + k) + k * 101 + Math.floor(step / 7)) % 29 - 14;
      const v = (j * (53 + k) + k * 211 + Math.floor(step / 5)) % 31 - 15;
      total += u * v;
    }
    const noise = (i * 7919 + j * 104729 + step * 15485863) % 1009 - 504;
    return (4 * total + noise) * (1 + i % 5) * (step === 13 ? 5 : 1) / 2 ** 18;
  });
}

interface Setting {
  readonly rank?: number;
  readonly apolloScale?: number;
}

/** A rule at work on one matrix. */
function start(gpu: Gpu, name: RuleName, shape: readonly [number, number], given: Setting = {}) {
  const { rank = 1, apolloScale = 1 } = given;
  const rule = RULES[name], sizes = { rank };
  const state = rule.createState(gpu, "weight", shape, sizes);
  const workspace = rule.createWorkspace!(gpu, [[5, 7], shape], sizes);
  const matmul = matmulWorkspace(gpu, rule.matmuls(shape, sizes));
  const rates = { ...RATES, apolloScale, updateProjGap: 10 };
  const update = async (step: number, values: Float32Array<ArrayBuffer>, lr = 1e-2) => {
    const gradient = upload(gpu, "gradient", shape, values);
    const io = { gradient, state, workspace, matmul, step, lr, rates, tensor: TENSOR };
    runPass(gpu, (pass) => rule.record(pass, io));
    return await download(gpu, gradient);
  };
  return { state, workspace, update };
}

const RUNS: readonly (readonly [RuleName, file: string, Setting?])[] = [
  ["apollo", "apollo", { rank: 8 }],
  ["apollo_mini", "apollo", { apolloScale: 128 }],
  ["scale", "scale"],
  ["scale_embedding", "scale"],
  ["scale_head", "scale"],
];

for (const [rule, file, setting] of RUNS) {
  gpuTest(`${STEPS} steps of ${rule} follow the paper, in float64 by torch`, async (gpu) => {
    const path = new URL(`../../fixtures/apollo/${file}.safetensors`, import.meta.url);
    using fixture = await Safetensors.open(fromFileUrl(path));
    for (const shape of SHAPES) {
      const { update } = start(gpu, rule, shape, setting);
      const parameter = new Float64Array(shape[0] * shape[1]);
      for (let step = 1; step <= STEPS; step++) {
        const updates = await update(step, goldenGradient(shape, step));
        updates.forEach((each, i) => parameter[i] += each);
        if (!KEEP.includes(step)) continue;
        const name = `${rule}.${shape.join("x")}.${step}`;
        const expected = await fixture.readFloat32(name);
        const most = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        // Float32 sums of some dozens of terms; the generator's logarithms and cosines are off by
        // up to 2^-11 near some points, which the norms average.
        assertClose(name, parameter, expected, { atol: 1e-4 * most, rtol: 1e-4 });
      }
    }
  });
}

gpuTest(
  "APOLLO's projection is drawn by counters: another every T steps, N(0, 1/R)",
  async (gpu) => {
    const path = new URL("../../fixtures/apollo/apollo.safetensors", import.meta.url);
    using fixture = await Safetensors.open(fromFileUrl(path));
    const shape = [61, 37] as const,
      { workspace, update } = start(gpu, "apollo", shape, { rank: 8 });
    const omegas: number[][] = [];
    for (const step of [1, 10, 11, 21]) {
      await update(step, goldenGradient(shape, step));
      const stored = new Float32Array((await gpu.read(workspace.omega)).buffer);
      omegas.push(
        Array.from({ length: 8 * 37 }, (_, i) => stored[Math.floor(i / 37) * 40 + i % 37]),
      );
    }
    assertEquals(omegas[0], omegas[1]);
    for (const [epoch, values] of [omegas[1], omegas[2], omegas[3]].entries()) {
      const expected = await fixture.readFloat32(`omega.${epoch}`);
      // WGSL allows log an absolute error of 2^-21 near 1, and sin and cos one of 2^-11.
      assertClose(`epoch ${epoch}`, values, expected, { atol: 2 ** -9, rtol: 1e-5 });
    }
    // Five standard errors of the mean and of the variance over 3 · 296 draws.
    const all = omegas.slice(1).flat().map((value) => value * Math.sqrt(8)), { length } = all;
    const mean = (power: number) => all.reduce((sum, value) => sum + value ** power, 0) / length;
    assert(Math.abs(mean(1)) < 5 * Math.sqrt(1 / length), `${mean(1)}`);
    assert(Math.abs(mean(2) - 1) < 5 * Math.sqrt(2 / length), `${mean(2)}`);
  },
);

gpuTest(
  "the norm of APOLLO's update grows by 1% a step at most, and a zero gradient is none",
  async (gpu) => {
    const shape = [24, 64] as const, gradient = goldenGradient(shape, 1);
    for (const [rule, rank] of [["apollo", 8], ["apollo_mini8bit", 1]] as const) {
      const { update } = start(gpu, rule, shape, { rank });
      assert((await update(1, gradient.map(() => 0))).every((value) => value === 0), rule);
      let last = Infinity;
      for (let step = 2; step <= 6; step++) {
        const size = 3 ** step, updates = await update(step, gradient.map((value) => value * size));
        const correction = Math.sqrt(1 - 0.999 ** step) / (1 - 0.9 ** step);
        const norm = Math.hypot(...updates) / correction;
        assert(norm <= 1.01001 * last, `${rule}, step ${step}: ${norm} after ${last}`);
        last = norm;
      }
    }
  },
);

gpuTest("8-bit moments give APOLLO's updates within some percent", async (gpu) => {
  const shape = [1100, 33] as const; // enough elements for 8 bits at rank 8
  for (const [rule, rank] of [["apollo", 8], ["apollo_mini", 5]] as const) {
    const runs = [rule, `${rule}8bit`].map((name) => start(gpu, name as RuleName, shape, { rank }));
    assertEquals(runs.map(({ state }) => state.m!.dtype), ["float32", "uint8"]);
    for (let step = 1; step <= 12; step++) {
      const values = goldenGradient(shape, step);
      const [exact, narrow] = [
        await runs[0].update(step, values),
        await runs[1].update(step, values),
      ];
      const apart = Math.hypot(...exact.map((value, i) => value - narrow[i]));
      assert(apart < 0.05 * Math.hypot(...exact), `${rule}, step ${step}: ${apart}`);
    }
  }
});

gpuTest("SCALE's head with 8-bit momentum follows the float32 one", async (gpu) => {
  const shape = [130, 61] as const, narrow = start(gpu, "scale_head8bit", shape);
  assertEquals(narrow.state.momentum!.dtype, "uint8");
  const average = new Float64Array(130 * 61);
  for (let step = 1; step <= 12; step++) {
    const values = goldenGradient(shape, step);
    const updates = await narrow.update(step, values);
    average.forEach((old, i) => average[i] = 0.9 * old + 0.1 * values[i]);
    let apart = 0;
    for (let row = 0; row < 130; row++) {
      const own = average.subarray(row * 61, (row + 1) * 61);
      const rms = Math.hypot(...own) / Math.sqrt(61);
      own.forEach((value, i) => apart += (updates[row * 61 + i] + 1e-2 * value / rms) ** 2);
    }
    // Of updates with a root mean square of the rate.
    assert(Math.sqrt(apart / average.length) < 0.05 * 1e-2, `step ${step}: ${apart}`);
  }
});

Deno.test("APOLLO's state is two moments of its space and a norm; SCALE has one of a head alone", () => {
  const bytes = (name: RuleName, rank: number) => {
    const plan = new PlanAllocator();
    RULES[name].createState(plan, "weight", [512, 1000], { rank });
    return plan.account.byPurpose.optimizer_state;
  };
  assertEquals(bytes("apollo", 128), 2 * 4 * 128 * 1000 + 32);
  assertEquals(bytes("apollo8bit", 128), 2 * (128 * 1000 + 4 * 504) + 32); // 500 blocks, in eights
  assertEquals(bytes("apollo_mini", 1), 2 * 4 * 1000 + 32);
  assertEquals(bytes("scale", 1), 0);
  assertEquals(bytes("scale_embedding", 1), 0);
  assertEquals(bytes("scale_head", 1), 4 * 512 * 1000);
  assertEquals(bytes("scale_head8bit", 1), 512 * 1000 + 4 * 2000);
});

gpuTest("APOLLO and SCALE refuse what is no matrix", (gpu) => {
  for (const name of ["apollo", "scale"] as const) {
    const message = `${name}: updates matrices, got (64)`, gradient = upload(gpu, "norm", [64]);
    const { state, workspace } = start(gpu, name, [64, 64]);
    const io = { gradient, state, workspace, matmul: matmulWorkspace(gpu, []), step: 1, lr: 1 };
    assertThrows(
      () => runPass(gpu, (pass) => RULES[name].record(pass, { ...io, rates: RATES, tensor: 0 })),
      Error,
      message,
    );
  }
});
