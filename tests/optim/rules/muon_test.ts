import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Safetensors } from "../../../src/formats/safetensors.ts";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { muon32, muon8 } from "../../../src/optim/rules/muon.ts";
import { withPadding } from "../../oracles/quantise/group_quantize.ts";
import { momentum8bit } from "../../oracles/optim/momentum_8bit.ts";
import { orthogonalised } from "../../oracles/optim/newton_schulz.ts";
import { assertClose, download, gpuTest, runPass, upload } from "../../support.ts";
import { RATES, SIZES } from "../support_rates.ts";
import { matmulWorkspace } from "../support.ts";

const FIXTURE = new URL("../../fixtures/muon/muon.safetensors", import.meta.url);
const SHAPES = [[24, 80], [96, 40], [33, 61], [64, 64], [1, 19]] as const;
const KEEP = [1, 5, 20];

/** The gradients of tests/golden/make_muon.py. */
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
    return (4 * total + noise) / 2 ** 18;
  });
}

/** The parameter, from zero, after each step. */
async function* trajectory(gpu: Gpu, rule: typeof muon32, shape: readonly [number, number]) {
  const state = rule.createState(gpu, "weight", shape, SIZES);
  const workspace = rule.createWorkspace!(gpu, [shape, [5, 7]], SIZES);
  const matmul = matmulWorkspace(gpu, rule.matmuls(shape, SIZES));
  const parameter = new Float64Array(shape[0] * shape[1]);
  for (let step = 1; step <= 20; step++) {
    const gradient = upload(gpu, "gradient", shape, goldenGradient(shape, step));
    const io = { gradient, state, workspace, matmul, step, lr: 1e-2, rates: RATES, tensor: 0 };
    runPass(gpu, (pass) => rule.record(pass, io));
    (await download(gpu, gradient)).forEach((update, i) => parameter[i] += update);
    yield parameter;
  }
}

/** ‖a − b‖ / ‖b‖ */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let apart = 0, size = 0;
  for (let i = 0; i < b.length; i++) {
    apart += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(apart / size);
}

for (const shape of SHAPES) {
  const name = shape.join("x");
  gpuTest(`20 steps of Muon follow torch, ${name}`, async (gpu) => {
    using fixture = await Safetensors.open(fromFileUrl(FIXTURE));
    let step = 0;
    for await (const parameter of trajectory(gpu, muon32, shape)) {
      if (!KEEP.includes(++step)) continue;
      const exact = await fixture.readFloat32(`${name}.float64.${step}`);
      // Five rounds of products in float32; small singular values grow 3.4 times in each.
      const most = exact.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      assertClose(`step ${step}`, parameter, exact, { atol: 2e-4 * most, rtol: 1e-4 });
      // torch rounds each product to bfloat16, and is no closer to its own exact trajectory than we
      // are.
      const rounded = await fixture.readFloat32(`${name}.bfloat16.${step}`);
      const apart = distance(parameter, rounded), own = distance(exact, rounded);
      assert(apart < 1.01 * own, `step ${step}: ${apart} from torch in bfloat16, itself ${own}`);
    }
  });
}

for (const shape of [[96, 48], [47, 101]] as const) { // enough elements for 8 bits
  gpuTest(`each step of 8-bit Muon is that of the oracle, ${shape.join("x")}`, async (gpu) => {
    const state = muon8.createState(gpu, "weight", shape, SIZES), [rows, columns] = shape;
    const workspace = muon8.createWorkspace!(gpu, [shape], SIZES);
    const matmul = matmulWorkspace(gpu, muon8.matmuls(shape, SIZES));
    for (let step = 1; step <= 3; step++) {
      // The oracle starts each step from the device's state, so that only one step's rounding
      // counts.
      const before = {
        momentum: new Uint8Array(await gpu.read(state.momentum)),
        absmax: Float64Array.from(await download(gpu, state.absmax!)),
      };
      const values = goldenGradient(shape, step);
      const gradient = upload(gpu, "gradient", shape, values);
      const io = { gradient, state, workspace, matmul, step, lr: 1e-2, rates: RATES, tensor: 0 };
      runPass(gpu, (pass) => muon8.record(pass, io));
      const stored = momentum8bit(withPadding(values, columns), before, 0.95);
      const stride = stored.length / rows;
      const momentum = stored.filter((_, at) => at % stride < columns);
      const coefficients = [3.4445, -4.775, 2.0315] as const;
      const size = -1e-2 * 0.2 * Math.sqrt(Math.max(...shape));
      const expected = orthogonalised(momentum, shape, { coefficients, eps: 1e-7 })
        .map((value) => size * value);
      // As against torch: five rounds of products in float32.
      const close = { atol: 2e-4 * Math.abs(size), rtol: 1e-4 };
      assertClose(`step ${step}`, await download(gpu, gradient), expected, close);
    }
  });
}

gpuTest("a zero gradient gives a zero update", async (gpu) => {
  const shape = [12, 20] as const, state = muon32.createState(gpu, "weight", shape, SIZES);
  const workspace = muon32.createWorkspace!(gpu, [shape], SIZES);
  const matmul = matmulWorkspace(gpu, muon32.matmuls(shape, SIZES)),
    gradient = upload(gpu, "g", shape);
  const io = { gradient, state, workspace, matmul, step: 1, lr: 1, rates: RATES, tensor: 0 };
  runPass(gpu, (pass) => muon32.record(pass, io));
  assertEquals(await download(gpu, gradient), new Float32Array(240));
});

Deno.test("a state takes four bytes an element, or one and 4 a block of 256", () => {
  for (const [rule, bytes] of [[muon32, 4 * 2 ** 19], [muon8, 2 ** 19 + 4 * 2048]] as const) {
    const plan = new PlanAllocator();
    rule.createState(plan, "weight", [512, 1024], SIZES);
    assertEquals(plan.account.byPurpose.optimizer_state, bytes);
  }
});
