/** What a restart of ReLoRA does to a matrix and its adapter, by the matrix's format. */
import { assert, assertEquals } from "@std/assert";
import { Scope } from "../../src/gpu/scope.ts";
import { valuesOf } from "../../src/formats/tensor_values.ts";
import { createParameters } from "../../src/model/parameters.ts";
import { initialize } from "../../src/model/initialize.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import { adaptedOf, mergedElements, Restarts } from "../../src/optim/restarts.ts";
import { assertClose, download, gpuTest, randomNormal, runPass } from "../support.ts";
import { TINY } from "../train/support.ts";
import { matmulWorkspace } from "./support.ts";
import { RATES } from "./support_rates.ts";

const RANK = 5, SEEDS = 64;

for (const weights of ["float32", "bfloat16", "int8"] as const) {
  gpuTest(`${weights}: W + s·B·A, on average, and a new adapter`, async (gpu) => {
    using scope = new Scope(gpu);
    const parameters = createParameters(scope, { ...TINY, layers: 1 }, {
      weights,
      groupSize: 64,
      embeddings: "float32",
      trained: "all_but_adapted",
      lora: { rank: RANK, alpha: 10, targets: ["down_proj"], merged: true },
    });
    const [linear] = adaptedOf(parameters), { weight: { weight, shape }, adapter } = linear;
    const scratch = scope.tensor({
      name: "scratch",
      shape: [Math.max(mergedElements(linear), 257 * 48)],
      dtype: "float32",
      purpose: "workspace",
    });
    runPass(gpu, (pass) => initialize(gpu, pass, TINY, parameters, { seed: 3, scratch }));
    const [out, inner] = shape, valuesNow = () => valuesOf(gpu, weight)(0, out * inner);
    const codes = new Uint8Array(await gpu.read(weight)),
      before = await valuesNow(),
      { a, b } = adapter;
    const A = randomNormal(RANK * inner, 1), B = randomNormal(out * RANK, 2).map((x) => x / 100);
    const constants = new Uint8Array(weight.constants ? await gpu.read(weight.constants) : []);
    const restarts = new Restarts([linear], scratch, matmulWorkspace(gpu, []));
    const sum = new Float64Array(out * inner), drawn: Float32Array[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      gpu.write(weight, codes);
      if (weight.constants) gpu.write(weight.constants, constants);
      gpu.write(a.weight, packTensor(a.weight, A));
      gpu.write(b.weight, packTensor(b.weight, B));
      const rates = { ...RATES, seed, stochasticRound: true };
      runPass(gpu, (pass) => restarts.record(pass, { step: 9, rates }));
      const merged = await valuesNow();
      merged.forEach((value, at) => sum[at] += value / SEEDS);
      drawn.push(await download(gpu, a.weight));
      assertEquals(await download(gpu, b.weight), new Float32Array(out * RANK));
    }
    function expected(at: number): number {
      const row = Math.floor(at / inner), column = at % inner;
      let value = before[at];
      for (let k = 0; k < RANK; k++) value += 2 * B[row * RANK + k] * A[k * inner + column];
      return value;
    }
    const values = sum.map((_, at) => expected(at));
    const largest = Math.max(...values.map(Math.abs));
    // The distance of two values of the format: one rounding is off by less, and its standard deviation
    // is at most half of it. The end of a group may be off by half of it always.
    const step = { float32: 1e-6, bfloat16: largest / 128, int8: 2 * largest / 255 }[weights];
    assertClose(weights, sum, values, { atol: step, rtol: 0 });
    const squares = values.reduce((total, value, at) => total + (sum[at] - value) ** 2, 0);
    const deviation = Math.sqrt(squares / values.length), most = step / 2 / Math.sqrt(SEEDS);
    assert(deviation <= most, `${weights}: ${deviation}, at most ${most}`);
    const all = drawn.flatMap((values) => [...values]), n = all.length;
    const variance = all.reduce((total, value) => total + value * value, 0) / n;
    assertClose("variance", [variance], [1 / (3 * inner)], { atol: 0, rtol: 5 * Math.sqrt(2 / n) });
    assert(drawn[0].some((value, at) => value !== drawn[1][at]), "drawn anew");
  });
}
