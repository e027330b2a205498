import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { rowRange } from "../../../src/gpu/tensor.ts";
import { BLOCK_ROWS } from "../../../src/optim/rules/rule.ts";
import { RULES } from "../../../src/optim/rules/rules.ts";
import { gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { RATES, SIZES } from "../support_rates.ts";
import { matmulWorkspace } from "../support.ts";

const COLUMNS = 12, ROWS = 2 * BLOCK_ROWS + 75; // stored in rows of 16

/** The updates and the state after three steps, whole or in blocks of rows. */
async function train(gpu: Gpu, name: keyof typeof RULES, blocks: readonly [number, number][]) {
  const rule = RULES[name], shape = [ROWS, COLUMNS];
  const whole = rule.createState(gpu, name, shape, SIZES), matmul = matmulWorkspace(gpu, []);
  const workspace = rule.createWorkspace?.(gpu, [shape], SIZES);
  const bytes: Uint8Array[] = [];
  for (let step = 1; step <= 3; step++) {
    const values = randomNormal(ROWS * COLUMNS, step, 10 ** -step);
    const gradient = upload(gpu, "gradient", shape, values);
    runPass(gpu, (pass) => {
      for (const [start, end] of blocks) {
        const state = rule.rows!(whole, start, end), lr = 1e-3, rates = RATES;
        rule.record(pass, {
          gradient: rowRange(gradient, start, end),
          state,
          workspace,
          tensor: 0,
          step,
          lr,
          rates,
          matmul,
        });
      }
    });
    bytes.push(await gpu.read(gradient));
  }
  for (const tensor of Object.values(whole)) if (tensor) bytes.push(await gpu.read(tensor));
  return bytes;
}

gpuTest("blocks of rows get the bits of the whole, by every rule that takes them", async (gpu) => {
  const names = (Object.keys(RULES) as (keyof typeof RULES)[]).filter((name) => RULES[name].rows);
  assert(["adam", "adam8bit", "adam4bit"].every((name) => names.some((it) => it === name)));
  for (const name of names) {
    const whole = await train(gpu, name, [[0, ROWS]]);
    const blocks = [[BLOCK_ROWS, ROWS], [0, BLOCK_ROWS]] as [number, number][];
    assertEquals(await train(gpu, name, blocks), whole, name);
  }
});
