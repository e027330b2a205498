import { assert, assertEquals } from "@std/assert";
import { penalise, randomStream, sampleToken } from "../../src/inference/sampling.ts";

/** Probabilities 1/2, 1/4, 1/8, 1/8 at the ids 2, 0, 3, 1. */
const LOGITS = Float32Array.of(Math.log(2), 0, Math.log(4), 0);
const PROBABILITIES = [1 / 4, 1 / 8, 1 / 2, 1 / 8];

/** Shares of the ids over evenly spread random numbers: exact but for the spacing. */
function shares(options: Parameters<typeof sampleToken>[1]): number[] {
  const draws = 4000, counts = [0, 0, 0, 0];
  for (let i = 0; i < draws; i++) counts[sampleToken(LOGITS, options, () => (i + 0.5) / draws)]++;
  return counts.map((count) => count / draws);
}

function assertShares(actual: number[], expected: number[]): void {
  for (const [id, share] of expected.entries()) {
    assert(Math.abs(actual[id] - share) <= 1e-3, `id ${id}: ${actual[id]}, expected ${share}`);
  }
}

Deno.test("at temperature 1 ids are drawn with their probabilities", () => {
  assertShares(shares({ temperature: 1 }), PROBABILITIES);
});

Deno.test("temperature divides the logits", () => {
  const squared = PROBABILITIES.map((p) => p * p), sum = squared.reduce((a, b) => a + b);
  assertShares(shares({ temperature: 0.5 }), squared.map((p) => p / sum));
});

Deno.test("top-k keeps the k likeliest, ties to the lower id", () => {
  assertShares(shares({ temperature: 1, topK: 2 }), [1 / 3, 0, 2 / 3, 0]);
  assertShares(shares({ temperature: 1, topK: 3 }), [2 / 7, 1 / 7, 4 / 7, 0]);
});

Deno.test("top-p keeps the fewest that reach p, and at least one", () => {
  assertShares(shares({ temperature: 1, topP: 0.75 }), [1 / 3, 0, 2 / 3, 0]);
  assertShares(shares({ temperature: 1, topP: 0.76 }), [2 / 7, 1 / 7, 4 / 7, 0]);
  assertShares(shares({ temperature: 1, topP: 0.01 }), [0, 0, 1, 0]);
});

Deno.test("temperature 0 takes the first of the likeliest", () => {
  assertEquals(sampleToken(LOGITS, { temperature: 0 }, () => 0.99), 2);
  assertEquals(sampleToken(Float32Array.of(1, 3, 3), { temperature: 0 }, () => 0.99), 1);
});

Deno.test("equal logits are ordered by id, among many", () => {
  const logits = Float32Array.from({ length: 1000 }, (_, id) => id % 10);
  const draw = (random: number) =>
    sampleToken(logits, { temperature: 1, topK: 200, topP: 1 }, () => random);
  const nine = Math.exp(9), eight = Math.exp(8), all = 100 * (nine + eight);
  assertEquals(draw(0), 9);
  assertEquals(draw(2.5 * nine / all), 29);
  assertEquals(draw((100 * nine + 41.5 * eight) / all), 418);
  assertEquals(draw(1 - 1e-9), 998);
});

Deno.test("a penalty makes earlier tokens less likely, once, whatever the logit's sign", () => {
  const logits = Float32Array.of(3, -3, 0, 5);
  penalise(logits, [0, 1, 0, 2], 1.5);
  assertEquals([...logits], [2, -4.5, 0, 5]);
  penalise(logits, [3], 1);
  assertEquals(logits[3], 5);
});

Deno.test("the stream of random numbers is even, and its own for each seed", () => {
  const next = randomStream(7), draws = 20_000, counts = new Array(10).fill(0);
  for (let i = 0; i < draws; i++) counts[Math.floor(10 * next())]++;
  // Each count is binomial: mean 2000, deviation 42; five of those are a one in a million event.
  for (const count of counts) assert(Math.abs(count - draws / 10) < 215, `${counts}`);
  assert(randomStream(1)() !== randomStream(2)());
});
