/** Logits, loss and every gradient of real architectures against PyTorch's, in float32. */
import { assertEquals } from "@std/assert";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { assertClose, gpuTest } from "../support.ts";

const FIXTURES = new URL("../fixtures/models/", import.meta.url).pathname;

for (
  const name of [
    "llama-mha",
    "llama-gqa-tied",
    "mistral-window",
    "qwen2-bias",
    "qwen3-qknorm",
    "gemma-geglu",
  ]
) {
  gpuTest(`${name}: logits, loss and every gradient are PyTorch's`, async (gpu) => {
    const directory = `${FIXTURES}${name}`;
    using expected = await Safetensors.open(`${directory}/expected.safetensors`);
    const [batch, length] = expected.info("input_ids").shape;
    const model = await LlamaForCausalLM.fromPretrained(directory, { gpu });
    const actual = await model.lossAndGradients(
      await expected.readFloat32("input_ids"),
      await expected.readFloat32("labels"),
      { batch, length },
    );
    // Both sides sum in float32 in their own order: 1e-4 of a tensor's largest value allows for it.
    const compare = async (entry: string, values: Float32Array) => {
      const reference = await expected.readFloat32(entry);
      const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      assertClose(entry, values, reference, { atol: 1e-4 * largest, rtol: 0 });
    };
    await compare("logits", actual.logits);
    await compare("loss", Float32Array.of(actual.loss));
    const gradients = [...expected.tensors.keys()].filter((entry) => entry.startsWith("grad."));
    assertEquals(
      gradients.map((entry) => entry.slice(5)).sort(),
      [...actual.gradients.keys()].sort(),
    );
    for (const entry of gradients) await compare(entry, actual.gradients.get(entry.slice(5))!);
    model.release();
  });
}

gpuTest("weights in INT8 and in bfloat16 give the loss within their rounding", async (gpu) => {
  const directory = `${FIXTURES}llama-gqa-tied`;
  using expected = await Safetensors.open(`${directory}/expected.safetensors`);
  const [batch, length] = expected.info("input_ids").shape;
  const [reference] = await expected.readFloat32("loss");
  for (const weights of ["int8", "bfloat16"] as const) {
    const before = gpu.account.live;
    const model = await LlamaForCausalLM.fromPretrained(directory, { gpu, weights });
    const { loss } = await model.lossAndGradients(
      await expected.readFloat32("input_ids"),
      await expected.readFloat32("labels"),
      { batch, length },
    );
    // Both keep some 8 bits of a weight: errors of 0.4% that are independent of each other.
    assertClose(weights, [loss], [reference], { atol: 0, rtol: 4e-3 });
    model.release();
    assertEquals(gpu.account.live, before);
  }
});
