/** The formula is OpenAI's: mu[j] −= c[j]·frequency + (c[j] > 0)·presence; a bias is added to mu. */
import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/options/user_error.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { assertSampling } from "../../src/inference/assert_sampling.ts";
import type { SamplingOptions } from "../../src/inference/sampling.ts";
import { gpuTest } from "../support.ts";
import { chooser } from "./support_choice.ts";

const LOGITS = [0, 1, 2, 3];

/** What becomes of the logits after a prompt and an answer so far, and the likeliest token then. */
async function changed(
  gpu: Gpu,
  options: Partial<SamplingOptions>,
  prompt: readonly number[] = [],
  answer: readonly number[] = [],
) {
  const given = { temperature: 0, ...options };
  const { choose, changed } = chooser(gpu, { tokens: prompt, logits: LOGITS }, given);
  // Whatever the penalties, this token is the likeliest.
  for (const id of answer) await choose(LOGITS.map((_, each) => each === id ? 1e6 : -1e6));
  const id = await choose(LOGITS);
  return { id, logits: await changed() };
}

gpuTest("penalties are for generated tokens, by their number and once", async (gpu) => {
  const prompt = [3, 3], answer = [1, 2, 2, 1, 2];
  const count = (id: number) => answer.filter((each) => each === id).length;
  for (const [frequencyPenalty, presencePenalty] of [[0.5, 0], [0, 1.25], [-0.5, 0.25], [2, -2]]) {
    const options = { frequencyPenalty, presencePenalty };
    const expected = LOGITS.map((logit, id) =>
      logit - count(id) * frequencyPenalty - (count(id) > 0 ? presencePenalty : 0)
    );
    assertEquals((await changed(gpu, options, prompt, answer)).logits, expected);
    // A prompt alone is no answer yet.
    assertEquals((await changed(gpu, options, [...prompt, ...answer])).logits, LOGITS);
  }
});

gpuTest("a bias excludes a token, or chooses it", async (gpu) => {
  const { logits } = await changed(gpu, { logitBias: { 0: 2.5, 3: -100 } });
  assertEquals(logits, [2.5, 1, 2, -97]);
  const choose = async (logitBias: Record<number, number>) =>
    (await changed(gpu, { logitBias })).id;
  assertEquals([await choose({}), await choose({ 3: -100 }), await choose({ 0: 100 })], [3, 2, 0]);
  const both = { logitBias: { 3: 1 }, repetitionPenalty: 2 };
  assertEquals((await changed(gpu, both, [3])).logits, [0, 1, 2, 2]);
});

gpuTest(
  "a penalty makes earlier tokens less likely, once, whatever the logit's sign",
  async (gpu) => {
    const logitBias = { 0: 3, 1: -4, 2: -2, 3: 2 }; // to 3, -3, 0, 5
    const { logits } = await changed(gpu, { logitBias, repetitionPenalty: 1.5 }, [0, 1, 0, 2]);
    assertEquals(logits, [2, -4.5, 0, 5]);
    const answered = await changed(gpu, { logitBias, repetitionPenalty: 2 }, [1], [0, 0]);
    assertEquals(answered.logits, [1.5, -6, 0, 5]);
  },
);

gpuTest("biases that mean nothing are refused", (gpu) => {
  const refused = (options: Partial<SamplingOptions>, message: string) =>
    assertThrows(() => assertSampling(options), UserError, message);
  refused({ frequencyPenalty: NaN }, "frequencyPenalty: must be a number, got NaN");
  refused({ logitBias: { 2: Infinity } }, "logitBias: must be numbers by token id, got Infinity");
  refused({ logitBias: { a: 1 } as Record<number, number> }, "got 1 for a");
  assertThrows(
    () => chooser(gpu, { tokens: [], logits: LOGITS }, { temperature: 0, logitBias: { 4: 1 } }),
    UserError,
    "logitBias: token 4 is outside the vocabulary of 4",
  );
});
