/** The formula is OpenAI's: mu[j] −= c[j]·frequency + (c[j] > 0)·presence; a bias is added to mu. */
import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/options/user_error.ts";
import { assertSampling } from "../../src/inference/assert_sampling.ts";
import { nextToken, type SamplingOptions } from "../../src/inference/sampling.ts";

/** The logits from which the next token is chosen. */
function changed(options: Partial<SamplingOptions>, tokens: number[] = [], promptTokens = 0) {
  const logits = Float64Array.of(0, 1, 2, 3);
  nextToken(logits, tokens, { temperature: 0, promptTokens, ...options }, () => 0);
  return [...logits];
}

Deno.test("penalties are for generated tokens, by their number and once", () => {
  const tokens = [3, 3, 1, 2, 2, 1, 2];
  const count = (id: number) => tokens.slice(2).filter((each) => each === id).length;
  for (const [frequencyPenalty, presencePenalty] of [[0.5, 0], [0, 1.25], [-0.5, 0.25], [2, -2]]) {
    const expected = [0, 1, 2, 3].map((logit, id) =>
      logit - count(id) * frequencyPenalty - (count(id) > 0 ? presencePenalty : 0)
    );
    assertEquals(changed({ frequencyPenalty, presencePenalty }, tokens, 2), expected);
  }
  // A prompt alone is no answer yet.
  assertEquals(changed({ frequencyPenalty: 1, presencePenalty: 1 }, tokens, 7), [0, 1, 2, 3]);
});

Deno.test("a bias excludes a token, or chooses it", () => {
  assertEquals(changed({ logitBias: { 0: 2.5, 3: -100 } }), [2.5, 1, 2, -97]);
  const choose = (logitBias: Record<number, number>) =>
    nextToken(Float64Array.of(0, 1, 2, 3), [], { temperature: 0, logitBias }, () => 0);
  assertEquals([choose({}), choose({ 3: -100 }), choose({ 0: 100 })], [3, 2, 0]);
  assertEquals(changed({ logitBias: { 3: 1 }, repetitionPenalty: 2 }, [3]), [0, 1, 2, 2]);
});

Deno.test("biases that mean nothing are refused", () => {
  const refused = (options: Partial<SamplingOptions>, message: string) =>
    assertThrows(() => assertSampling(options), UserError, message);
  refused({ frequencyPenalty: NaN }, "frequencyPenalty: must be a number, got NaN");
  refused({ logitBias: { 2: Infinity } }, "logitBias: must be numbers by token id, got Infinity");
  refused({ logitBias: { a: 1 } as Record<number, number> }, "got 1 for a");
  assertThrows(
    () => changed({ logitBias: { 4: 1 } }),
    UserError,
    "logitBias: token 4 is outside the vocabulary of 4",
  );
});
