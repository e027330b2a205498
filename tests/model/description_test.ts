import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { readLlamaConfig } from "../../src/formats/hf_config.ts";
import { PRESETS } from "../../src/model/config.ts";
import { describeParameters, parameterCount, PROJECTIONS } from "../../src/model/description.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/models/"));

const byName = (shapes: Map<string, readonly number[]>) =>
  [...shapes].sort(([one], [other]) => one < other ? -1 : 1);

for (
  const model of [
    "llama-mha",
    "llama-gqa-tied",
    "mistral-window",
    "qwen2-bias",
    "qwen3-qknorm",
    "gemma-geglu",
  ]
) {
  Deno.test(`${model}: the parameters and shapes that transformers saved`, async () => {
    const config = await readLlamaConfig(FIXTURES + model);
    using file = await Safetensors.open(FIXTURES + model);
    const saved = new Map([...file.tensors.values()].map(({ name, shape }) => [name, shape]));
    const described = new Map(describeParameters(config).map(({ name, shape }) => [name, shape]));
    assertEquals(byName(described), byName(saved));
  });
}

Deno.test("published numbers of parameters", () => {
  // Llama-2-7b, of the same shape, and Qwen2-0.5B, as their model cards have them.
  assertEquals(parameterCount(PRESETS.llama_7b), 6_738_415_616);
  const qwen = {
    ...PRESETS.llama_7b,
    vocabSize: 151_936,
    hiddenSize: 896,
    intermediateSize: 4864,
    layers: 24,
    heads: 14,
    keyValueHeads: 2,
    headSize: 64,
    tieWordEmbeddings: true,
    attentionBias: true,
  };
  assertEquals(parameterCount(qwen), 494_032_768);
});

Deno.test("projections have peft's names of LLaMA's linear layers", () => {
  assertEquals(PROJECTIONS, [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
  ]);
});
