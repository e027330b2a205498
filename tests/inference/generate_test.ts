import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { gpuTest } from "../support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/models/"));

interface Golden {
  readonly prompt: number[];
  readonly continuation: number[];
}
const golden: Record<string, Golden[]> = JSON.parse(
  await Deno.readTextFile(`${FIXTURES}greedy.json`),
);

for (const [name, cases] of Object.entries(golden)) {
  gpuTest(`${name}: greedy tokens are those of transformers' generate`, async (gpu) => {
    const model = await LlamaForCausalLM.fromPretrained(`${FIXTURES}${name}`, { gpu });
    const before = gpu.account.live;
    for (const { prompt, continuation } of cases) {
      const options = { maxNewTokens: continuation.length, temperature: 0 };
      assertEquals(await Array.fromAsync(model.generate(prompt, options)), continuation);
    }
    assertEquals(gpu.account.live, before, "the cache and the buffers are freed");
    model.release();
  });
}

gpuTest("generation ends before a stop token, and a consumer may leave early", async (gpu) => {
  const [{ prompt, continuation }] = golden["llama-mha"];
  const model = await LlamaForCausalLM.fromPretrained(`${FIXTURES}llama-mha`, { gpu });
  const before = gpu.account.live;
  const options = { maxNewTokens: 24, temperature: 0, stopTokens: [continuation[5]] };
  const first = continuation.indexOf(continuation[5]);
  assertEquals(
    await Array.fromAsync(model.generate(prompt, options)),
    continuation.slice(0, first),
  );
  for await (const id of model.generate(prompt, { maxNewTokens: 24, temperature: 0 })) {
    assertEquals(id, continuation[0]);
    break;
  }
  assertEquals(gpu.account.live, before);
  model.release();
});

gpuTest("the same seed draws the same text, another seed another", async (gpu) => {
  const model = await LlamaForCausalLM.fromPretrained(`${FIXTURES}llama-mha`, { gpu });
  const draw = (seed: number) =>
    Array.fromAsync(model.generate([1], { maxNewTokens: 16, temperature: 1, seed }));
  assertEquals(await draw(1), await draw(1));
  assertEquals((await draw(1)).join() === (await draw(2)).join(), false);
  model.release();
});

gpuTest("a prompt beyond the model's positions, or none, is refused", async (gpu) => {
  const model = await LlamaForCausalLM.fromPretrained(`${FIXTURES}llama-mha`, { gpu });
  const generate = (prompt: number[], maxNewTokens: number) =>
    Array.fromAsync(model.generate(prompt, { maxNewTokens, temperature: 0 }));
  await assertRejects(
    () => generate([1, 2, 3], 126),
    UserError,
    "3 prompt tokens and 126 new ones exceed the model's 128 positions",
  );
  await assertRejects(() => generate([], 1), UserError, "generate: the prompt is empty");
  await assertRejects(() => generate([256], 1), UserError, "token id 256");
  model.release();
});
