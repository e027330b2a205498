/** LoRA and QLoRA against peft, and training of adapters. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { applyLora, createLoraWorkspace, loraInputGradient } from "../../src/model/lora.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { lossAndGradients } from "../../src/inference/loss_and_gradients.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import type { Adapter, Parameter } from "../../src/model/parameters.ts";
import { unpacker } from "../../src/formats/tensor_values.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../support.ts";
import {
  type AdaptedModel,
  adapterCase,
  assertCloseToLargest,
  loadAdapted,
  readBatch,
} from "./support_lora.ts";
import { matmulWorkspace } from "../optim/support.ts";

/** The names of the trainable parameters: A and B of every adapted matrix, and what is trained whole. */
function trainedIn({ parameters }: AdaptedModel): string[] {
  return parameters.all.filter(({ trainable }) => trainable).map(({ name }) => name);
}

for (
  const [name, weights] of [
    ["llama-all-r4", "float32"],
    ["llama-qv-r8", "float32"],
    ["qwen2-all-r8", "float32"], // on projections with biases
    ["qwen2-qv-r4-rslora", "float32"],
    ["odd-all-r5", "float32"], // a width of 109
    ["wide-nf4", "nf4"], // bitsandbytes' QLoRA
    ["odd-dora", "float32"], // of ranks above sides, scaled by their root
    ["tied-dora", "float32"], // on every projection, with biases
    ["odd-patterns", "float32"], // a rank and an alpha of its own for some modules
    ["odd-layers", "float32"], // in one layer only
    ["odd-vocabulary", "float32"], // on embedding and head
    ["tied-vocabulary", "float32"], // on each of them, though they are one matrix
    ["odd-whole", "float32"], // with both trained whole, and their gradients
    ["tied-whole", "float32"], // trained apart
    ["tied-whole-embedding", "float32"], // the head stays as it was
    ["odd-norms", "float32"],
    ["tied-bias-all", "float32"],
    ["tied-bias-lora-only", "float32"],
    ["tied-dora-bias", "float32"], // lengths are of weights alone
    ["odd-tokens", "float32"], // rows of three tokens
    ["tied-tokens", "float32"], // in the head as well
    ["odd-tokens-head", "float32"],
    ["odd-resized", "float32"], // 61 rows in the base, 70 in the adapter
    ["tied-resized", "float32"],
  ] as const
) {
  gpuTest(`${name}: logits, loss and the gradient of every factor are peft's`, async (gpu) => {
    const fixture = await adapterCase(name);
    using expected = await Safetensors.open(`${fixture.adapter}/expected.safetensors`);
    const { inputIds, labels, shape } = await readBatch(expected);
    const trained = name === "odd-whole" ? "adapters_and_embeddings" : "adapters";
    const model = await loadAdapted(gpu, fixture, { weights, trained });
    const actual = await lossAndGradients(model, inputIds, labels, shape);
    // Both sides sum in float32 in their own order: 1e-4 of a tensor's largest value allows for it.
    const compare = async (entry: string, values: ArrayLike<number>) =>
      assertCloseToLargest(entry, values, await expected.readFloat32(entry), 1e-4);
    await compare("logits", actual.logits);
    await compare("loss", [actual.loss]);
    const gradients = [...expected.tensors.keys()].filter((entry) => entry.startsWith("grad."));
    // Parameters trained whole have the base's names here.
    const nameOf = (entry: string) => entry.slice(5).replace(/^base_model\.model\.(?!.*lora_)/, "");
    assertEquals([...actual.gradients.keys()], trainedIn(model));
    assertEquals(gradients.map(nameOf).sort(), trainedIn(model).sort());
    for (const entry of gradients) {
      const gradient = actual.gradients.get(nameOf(entry))!;
      const { shape } = expected.info(entry);
      // On the device that of an embedding's A is transposed.
      const transposed = entry.endsWith("lora_embedding_A");
      await compare(entry, transposed ? transpose(gradient, shape) : gradient);
    }
    model.release();
  });
}

/** (rows, columns) of values that are (columns, rows). */
function transpose(values: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  return values.map((_, i) => values[(i % columns) * rows + Math.floor(i / columns)]);
}

/** Copies the values of a matrix in any format to a float32 one. */
async function copyDequantised(gpu: Gpu, from: Parameter, to: Parameter): Promise<void> {
  const unpack = await unpacker(gpu, from.weight);
  const values = unpack.values(from.weight, await gpu.read(from.weight));
  gpu.write(to.weight, packTensor(to.weight, values));
}

for (
  const [name, weights] of [
    ["odd-all-r5", "nf4"],
    ["qwen2-all-r8", "nf4"],
    ["odd-dora", "nf4"],
    ["tied-dora", "int8"],
  ] as const
) {
  gpuTest(`${name}: adapters of ${weights} weights are those of their values`, async (gpu) => {
    const fixture = await adapterCase(name);
    using expected = await Safetensors.open(`${fixture.adapter}/expected.safetensors`);
    const { inputIds, labels, shape } = await readBatch(expected);
    const quantised = await loadAdapted(gpu, fixture, { weights });
    const plain = await loadAdapted(gpu, fixture);
    for (const [index, parameter] of quantised.parameters.all.entries()) {
      await copyDequantised(gpu, parameter, plain.parameters.all[index]);
    }
    const actual = await lossAndGradients(quantised, inputIds, labels, shape);
    const reference = await lossAndGradients(plain, inputIds, labels, shape);
    // The values are equal, but products of the two formats may sum in different orders.
    assertClose("loss", [actual.loss], [reference.loss], { atol: 0, rtol: 1e-5 });
    assertNotEquals(actual.loss, (await expected.readFloat32("loss"))[0]);
    for (const [name, gradient] of reference.gradients) {
      assertCloseToLargest(name, actual.gradients.get(name)!, gradient, 2e-5);
    }
    quantised.release();
    plain.release();
  });
}

gpuTest("activation checkpointing gives the same gradients, with dropout as well", async (gpu) => {
  const fixture = await adapterCase("odd-all-r5");
  using expected = await Safetensors.open(`${fixture.adapter}/expected.safetensors`);
  const { inputIds, labels, shape } = await readBatch(expected);
  const model = await loadAdapted(gpu, fixture);
  const dropout = { share: 0.3, seed: 4, step: 7 };
  const run = (keep: "everything" | "layer_inputs") =>
    lossAndGradients(model, inputIds, labels, { ...shape, keep, dropout });
  const [kept, recomputed] = [await run("everything"), await run("layer_inputs")];
  assertEquals(recomputed, kept);
  assert(Math.abs(kept.loss - (await expected.readFloat32("loss"))[0]) > 1e-3, "nothing dropped");
  model.release();
});

gpuTest("gradients through dropout are those of central differences", async (gpu) => {
  const fixture = await adapterCase("odd-all-r5");
  using expected = await Safetensors.open(`${fixture.adapter}/expected.safetensors`);
  const { inputIds, labels, shape } = await readBatch(expected);
  const model = await loadAdapted(gpu, fixture);
  const dropout = { share: 0.4, seed: 1, step: 2 };
  const run = () => lossAndGradients(model, inputIds, labels, { ...shape, dropout });
  const { gradients } = await run();
  const factors = model.parameters.all.filter(({ kind }) => kind === "adapter");
  const start: Float32Array[] = [];
  for (const { weight } of factors) start.push(await download(gpu, weight));

  for (const which of ["lora_A", "lora_B"]) {
    // In one direction the difference is accurate enough in float32: uphill, but not along the
    // gradient.
    const directions = factors.map(({ name }, index) => {
      const noise = randomNormal(start[index].length, 100 + index);
      return gradients.get(name)!.map((g, i) => name.includes(which) ? g * (1 + noise[i]) : 0);
    });
    const norm = Math.hypot(...directions.flatMap((direction) => [...direction]));
    const step = 0.004 / norm;
    const lossAt = async (sign: number) => {
      for (const [index, { weight }] of factors.entries()) {
        const moved = start[index].map((value, i) => value + sign * step * directions[index][i]);
        gpu.write(weight, packTensor(weight, moved));
      }
      return (await run()).loss;
    };
    const slope = (await lossAt(1) - await lossAt(-1)) / (2 * step);
    const along = factors.reduce(
      (sum, { name }, index) =>
        gradients.get(name)!.reduce((inner, g, i) => inner + g * directions[index][i], sum),
      0,
    );
    // The loss, about 4, changes by about 0.015 and is rounded to 5e-7; the rest is curvature.
    assertClose(which, [slope], [along], { atol: 0, rtol: 2e-3 });
  }
  model.release();
});

/** A single adapter with random factors. */
function randomAdapter(
  gpu: Gpu,
  { rank, inner, out, index }: { rank: number; inner: number; out: number; index: number },
) {
  const factor = (name: string, shape: [number, number], position: number) => {
    const values = randomNormal(shape[0] * shape[1], 10 + position);
    const weight = upload(gpu, name, shape, values);
    const parameter = {
      name,
      kind: "adapter",
      shape,
      weight,
      trainable: true,
      kept: true,
      index: position,
    };
    return [parameter as Parameter, values] as const;
  };
  const [a, aValues] = factor("lora_A", [rank, inner], index);
  const [b, bValues] = factor("lora_B", [out, rank], index + 1);
  const adapter: Adapter = { a, b, scale: 2 };
  // scale · B·A, in float64
  const product = Array.from(
    { length: out },
    (_, row) =>
      Array.from({ length: inner }, (_, column) => {
        let sum = 0;
        for (let i = 0; i < rank; i++) sum += bValues[row * rank + i] * aValues[i * inner + column];
        return 2 * sum;
      }),
  );
  return { adapter, product };
}

gpuTest("dropout preserves expectations, forward and back", async (gpu) => {
  const [tokens, rank, inner, out] = [6, 5, 109, 21], share = 0.25, keys = 400;
  const { adapter, product } = randomAdapter(gpu, { rank, inner, out, index: 3 });
  const workspace = createLoraWorkspace(gpu, [adapter], {
    matmul: matmulWorkspace(gpu, []),
    tokens,
    dtype: "float32",
    dropout: share,
    backward: true,
  })!;
  const xs = randomNormal(tokens * inner, 1), dys = randomNormal(tokens * out, 2);
  const x = upload(gpu, "x", [tokens, inner], xs), dy = upload(gpu, "dy", [tokens, out], dys);
  const sums = upload(gpu, "sums", [tokens, out]), dsums = upload(gpu, "dsums", [tokens, inner]);
  runPass(gpu, (pass) => {
    for (let step = 0; step < keys; step++) {
      workspace.key = { seed: 9, step };
      applyLora(pass, workspace, { adapter, x, out: sums }); // both add to what is there
      loraInputGradient(pass, workspace, { adapter, dy, dx: dsums });
    }
  });
  const means = (await download(gpu, sums)).map((sum) => sum / keys);
  const dmeans = (await download(gpu, dsums)).map((sum) => sum / keys);
  // A term is dropped or divided by 1 − share: its variance is share / (1 − share) of its square.
  // Five standard deviations of the mean: one of 800 values exceeds them once in 2,000 runs.
  const allowed = (squares: number) => 5 * Math.sqrt((share / (1 - share)) * squares / keys);
  for (let n = 0; n < tokens; n++) {
    for (let row = 0; row < out; row++) {
      const terms = product[row].map((w, c) => w * xs[n * inner + c]);
      const squares = terms.reduce((sum, term) => sum + term * term, 0);
      const expected = terms.reduce((sum, term) => sum + term, 0);
      assertClose("y", [means[n * out + row]], [expected], { atol: allowed(squares), rtol: 0 });
    }
    for (let column = 0; column < inner; column++) {
      let expected = 0;
      for (let row = 0; row < out; row++) expected += product[row][column] * dys[n * out + row];
      const atol = allowed(expected * expected);
      assertClose("dx", [dmeans[n * inner + column]], [expected], { atol, rtol: 1e-4 });
    }
  }
});

gpuTest("activations in bfloat16 give the loss within their rounding", async (gpu) => {
  const fixture = await adapterCase("llama-all-r4");
  using expected = await Safetensors.open(`${fixture.adapter}/expected.safetensors`);
  const { inputIds, labels, shape } = await readBatch(expected);
  const model = await loadAdapted(gpu, fixture, { dtype: "bfloat16" });
  const { loss } = await lossAndGradients(model, inputIds, labels, shape);
  // 8 bits per activation: independent errors of 0.4%.
  assertClose("loss", [loss], await expected.readFloat32("loss"), { atol: 0, rtol: 4e-3 });
  model.release();
});
