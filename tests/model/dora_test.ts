/** DoRA's gradients in blocks of tokens, and models that decode with it. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { mergeAdapter } from "../../src/export/merge.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { doraInputGradient, doraWeightGradients, recordNorms } from "../../src/model/dora.ts";
import type { GradientSink } from "../../src/model/gradients.ts";
import { createLoraWorkspace } from "../../src/model/lora.ts";
import { adaptersOf, createParameters, type Parameter } from "../../src/model/parameters.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import { adapted, rowNorms } from "../oracles/misc/adapted_norms.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../support.ts";
import { matmulWorkspace } from "../optim/support.ts";
import { TINY } from "../train/support.ts";
import { adapterCase } from "./support_lora.ts";

gpuTest("gradients in blocks of 64 of 150 tokens are those of the formulas", async (gpu) => {
  const scope = new Scope(gpu), tokens = 150, rank = 3;
  const parameters = createParameters(scope, TINY, {
    weights: "float32",
    groupSize: 256,
    embeddings: "float32",
    trained: "adapters",
    lora: { rank, alpha: 6, targets: ["down_proj"], dora: true },
  });
  const linear = parameters.layers[0].down, { a, b, dora } = linear.adapter!;
  const [out, inner] = linear.weight.shape;
  const fill = (parameter: Parameter, seed: number, scale: number, shift = 0) => {
    const { shape, weight } = parameter, count = shape.reduce((size, side) => size * side, 1);
    const values = randomNormal(count, seed, scale).map((value) => value + shift);
    gpu.write(weight, packTensor(weight, values));
    return values;
  };
  const terms = {
    weight: fill(linear.weight, 1, 0.2),
    a: fill(a, 2, 0.3),
    b: fill(b, 3, 0.3),
    scale: 2,
  };
  const m = fill(dora!.magnitude, 4, 0.3, 1);
  const made = createLoraWorkspace(scope, adaptersOf(parameters), {
    matmul: matmulWorkspace(gpu, []),
    tokens,
    dtype: "float32",
    dropout: 0,
    backward: true,
  })!;
  const scratch = upload(gpu, "scratch", [64, out]);
  const lora = { ...made, dora: { ...made.dora!, scratch } };
  const xs = randomNormal(tokens * inner, 5), dys = randomNormal(tokens * out, 6);
  const x = upload(gpu, "x", [tokens, inner], xs), dy = upload(gpu, "dy", [tokens, out], dys);
  const dx = upload(gpu, "dx", [tokens, inner]);
  const gradients = new Map<Parameter, ReturnType<typeof upload>>();
  const sink: GradientSink = {
    target(parameter) {
      const gradient = upload(gpu, "gradient", parameter.shape);
      gradients.set(parameter, gradient);
      return { gradient, accumulate: false };
    },
    consume: () => {},
  };
  runPass(gpu, (pass) => {
    recordNorms(pass, { parameters, lora });
    doraInputGradient(pass, lora, { linear, dy, dx });
    doraWeightGradients(pass, lora, sink, { linear, dy, x });
  });

  const sum = adapted(terms, rank), norms = rowNorms(sum, inner);
  const du = Float64Array.from(dys, (value, i) => value * m[i % out] / norms[i % out]);
  // (rows, columns) = Σ over `count` of left(row, k)·right(k, column)
  const product = (
    [rows, columns, count]: readonly [number, number, number],
    left: (row: number, k: number) => number,
    right: (k: number, column: number) => number,
  ) =>
    Float64Array.from({ length: rows * columns }, (_, i) => {
      let total = 0;
      for (let k = 0; k < count; k++) {
        total += left(Math.floor(i / columns), k) * right(k, i % columns);
      }
      return total;
    });
  const duAt = (n: number, o: number) => du[n * out + o];
  const xAt = (n: number, c: number) => xs[n * inner + c];
  const low = product([tokens, rank, inner], xAt, (c, k) => terms.a[k * inner + c]);
  const dlow = product([tokens, rank, out], duAt, (o, k) => 2 * terms.b[o * rank + k]);
  const u = product([tokens, out, inner], xAt, (c, o) => sum[o * inner + c]);
  const expected: [string, ReturnType<typeof upload>, Float64Array][] = [
    ["dx", dx, product([tokens, inner, out], duAt, (o, c) => sum[o * inner + c])],
    [
      "dB",
      gradients.get(b)!,
      product([out, rank, tokens], (o, n) => duAt(n, o), (n, k) => 2 * low[n * rank + k]),
    ],
    ["dA", gradients.get(a)!, product([rank, inner, tokens], (k, n) => dlow[n * rank + k], xAt)],
    [
      "dm",
      gradients.get(dora!.magnitude)!,
      norms.map((norm, o) => {
        let total = 0;
        for (let n = 0; n < tokens; n++) total += dys[n * out + o] * u[n * out + o];
        return total / norm;
      }),
    ],
  ];
  for (const [name, tensor, values] of expected) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // Sums of some hundred float32 terms of the size of the largest.
    assertClose(name, await download(gpu, tensor), values, { atol: 2e-6 * largest, rtol: 1e-5 });
  }
  scope.release();
});

for (const name of ["odd-dora", "tied-dora"]) {
  gpuTest(`${name}: decodes as its merged model does, from a cache`, async (gpu) => {
    const { adapter, base } = await adapterCase(name), folder = await Deno.makeTempDir();
    const output = join(folder, "merged"), prompt = [5, 17, 2, 3, 3, 9, 41];
    await mergeAdapter(gpu, { model: base, adapter, output, dtype: "keep" });
    const generate = async (model: string, adapter?: string) => {
      using opened = await LlamaForCausalLM.fromPretrained(model, { gpu, adapter });
      const options = { maxNewTokens: 16, temperature: 0 };
      return await Array.fromAsync(opened.generate(prompt, options));
    };
    const adaptedTokens = await generate(base, adapter);
    assertEquals(adaptedTokens, await generate(output));
    assert(String(adaptedTokens) !== String(await generate(base)), "the adapter changes nothing");
    await Deno.remove(folder, { recursive: true });
  });
}
