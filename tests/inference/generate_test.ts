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

gpuTest("a released model is refused by name, and the device works on", async (gpu) => {
  const [{ prompt, continuation }] = golden["llama-mha"];
  const load = () => LlamaForCausalLM.fromPretrained(`${FIXTURES}llama-mha`, { gpu });
  const { live } = gpu.account, options = { maxNewTokens: 4, temperature: 0 };
  const released = await load();
  released.release();
  await assertRejects(
    () => Array.fromAsync(released.generate(prompt, options)),
    UserError,
    "the memory of model.embed_tokens.weight was released",
  );
  assertEquals(gpu.account.live, live);
  using model = await load();
  assertEquals(await Array.fromAsync(model.generate(prompt, options)), continuation.slice(0, 4));
});

gpuTest(
  "a model that cannot be made, or a device that is none, leaves nothing behind",
  async (gpu) => {
    const { live } = gpu.account, folder = `${FIXTURES}llama-mha`;
    await assertRejects(
      () => LlamaForCausalLM.fromPretrained(folder, { gpu, weights: "int8", weightGroupSize: 7 }),
      UserError,
      "group size",
    );
    assertEquals(gpu.account.live, live);
    for (
      const [given, got] of [[undefined, "undefined"], [Promise.resolve(gpu), "a Promise"]] as const
    ) {
      await assertRejects(
        () => LlamaForCausalLM.fromPretrained(folder, { gpu: given as unknown as typeof gpu }),
        UserError,
        `gpu: must be a Gpu, got ${got}`,
      );
    }
  },
);

gpuTest("settings of a generation that mean nothing are refused", async (gpu) => {
  using model = await LlamaForCausalLM.fromPretrained(`${FIXTURES}llama-mha`, { gpu });
  const faults = [
    [{ maxNewTokens: -4 }, "maxNewTokens: must be a whole number, got -4"],
    [{ maxNewTokens: NaN }, "maxNewTokens: must be a whole number, got NaN"],
    [{ temperature: -1 }, "temperature: must be a number from 0 on, got -1"],
    [{ temperature: NaN }, "temperature: must be a number from 0 on, got NaN"],
    [{ topP: 7 }, "topP: must be from 0 to 1, got 7"],
    [{ topK: 0.5 }, "topK: must be a whole number, got 0.5"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty: must be above 0, got 0"],
  ] as const;
  for (const [fault, message] of faults) {
    const options = { maxNewTokens: 1, temperature: 0, ...fault };
    await assertRejects(
      () => Array.fromAsync(model.generate([1], options)),
      UserError,
      message,
    );
  }
});
