import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Safetensors } from "../../../src/formats/safetensors.ts";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import { rowRange } from "../../../src/gpu/tensor.ts";
import { adamFactored } from "../../../src/optim/rules/adam_factored.ts";
import { BLOCK_ROWS } from "../../../src/optim/rules/rule.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { matmulWorkspace } from "../support.ts";
import { RATES, SIZES } from "../support_rates.ts";

const FIXTURE = fromFileUrl(import.meta.resolve("../../fixtures/adam/adam_factored.safetensors"));
const rates = { ...RATES, adamEps: 1e-30 };

gpuTest("the first step is that of torch's Adafactor", async (gpu) => {
  const [rows, columns] = [40, 261], shape = [rows, columns];
  using fixture = await Safetensors.open(FIXTURE);
  // The gradients of tests/golden/make_adam_factored.py.
  const values = Float32Array.from({ length: rows * columns }, (_, i) => {
    const size = 2 ** -(Math.floor(i / columns) % 9 + (i % columns) % 5);
    return (Math.floor(Number(BigInt(i) * 2654435761n % 2n ** 32n) / 256) / 2 ** 23 - 1) * size;
  });
  const gradient = upload(gpu, "gradient", shape, values), matmul = matmulWorkspace(gpu, []);
  const state = adamFactored.createState(gpu, "weight", shape, SIZES);
  const io = { gradient, state, step: 1, lr: 1, rates, matmul, tensor: 0 };
  runPass(gpu, (pass) => adamFactored.record(pass, io));
  // Sums of 261 numbers in float32, and four roots and quotients.
  const close = { atol: 1e-7, rtol: 1e-5 };
  assertClose("update", await download(gpu, gradient), await fixture.readFloat32("update"), close);
});

gpuTest("the rows of a block are updated with the bits of the whole", async (gpu) => {
  const rows = BLOCK_ROWS + 300, columns = 19, matmul = matmulWorkspace(gpu, []);
  const [whole, parts] = ["whole", "parts"]
    .map((name) => adamFactored.createState(gpu, name, [rows, columns], SIZES));
  for (let step = 1; step <= 2; step++) {
    const values = randomNormal(rows * columns, step);
    const [one, other] = [0, 1].map((it) => upload(gpu, `g${it}`, [rows, columns], values));
    const io = { step, lr: 1e-3, rates, matmul, tensor: 0 };
    runPass(gpu, (pass) => {
      adamFactored.record(pass, { ...io, gradient: one, state: whole });
      for (const [start, end] of [[0, BLOCK_ROWS], [BLOCK_ROWS, rows]] as const) {
        const gradient = rowRange(other, start, end);
        adamFactored.record(pass, {
          ...io,
          gradient,
          state: adamFactored.rows!(parts, start, end),
        });
      }
    });
    assertEquals(await gpu.read(other), await gpu.read(one));
  }
  for (const name of ["m", "absmax_m", "v", "columns"] as const) {
    assertEquals(await gpu.read(parts[name]), await gpu.read(whole[name]), name);
  }
});

Deno.test("a state takes a byte an element, and a little for each row and each 256 of them", () => {
  const plan = new PlanAllocator();
  adamFactored.createState(plan, "weight", [512, 1000], SIZES);
  const blocks = 4 * 512, moments = 2 * 1000;
  assertEquals(plan.account.byPurpose.optimizer_state, 512 * 1000 + 4 * (blocks + 512 + moments));
});
