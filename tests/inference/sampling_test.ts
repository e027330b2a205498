import { assert, assertEquals } from "@std/assert";
import {
  candidates,
  forbidRepeats,
  nextToken,
  penalise,
  randomStream,
  type SamplingOptions,
} from "../../src/inference/sampling.ts";

const FIXTURE = new URL(import.meta.resolve("../fixtures/sampling.json"));

/** Settings by transformers' names, and what its processors make of the logits, in float64. */
interface Golden {
  readonly settings: Readonly<Record<string, number>>;
  readonly tokens: number[];
  readonly logits: number[];
  readonly probabilities: number[];
}
const golden: Golden[] = JSON.parse(await Deno.readTextFile(FIXTURE));

function optionsOf({ settings }: Golden): SamplingOptions {
  return {
    temperature: settings.temperature ?? 1,
    topK: settings.top_k,
    topP: settings.top_p,
    minP: settings.min_p,
    repetitionPenalty: settings.repetition_penalty,
    noRepeatNgramSize: settings.no_repeat_ngram_size,
  };
}

for (const each of golden) {
  const name = JSON.stringify(each.settings);
  Deno.test(`probabilities are those of transformers: ${name}`, () => {
    const options = optionsOf(each), logits = Float64Array.from(each.logits);
    penalise(logits, each.tokens, options.repetitionPenalty ?? 1);
    forbidRepeats(logits, each.tokens, options.noRepeatNgramSize ?? 0);
    const { weights, id } = candidates(logits, options);
    const sum = weights.reduce((a, b) => a + b), actual = new Array(logits.length).fill(0);
    weights.forEach((weight, rank) => actual[id(rank)] = weight / sum);
    // Both in float64; they differ in the order of a sum of 48 terms.
    each.probabilities.forEach((expected, id) =>
      assert(Math.abs(actual[id] - expected) <= 1e-14, `${id}: ${actual[id]}, not ${expected}`)
    );
  });
}

Deno.test("ids are drawn with their probabilities, after all processors", () => {
  const each = golden.at(-1)!, draws = 4000, counts = each.logits.map(() => 0);
  for (let i = 0; i < draws; i++) {
    const logits = Float64Array.from(each.logits), random = () => (i + 0.5) / draws;
    counts[nextToken(logits, each.tokens, optionsOf(each), random)]++;
  }
  // The random numbers are evenly spread: a share is exact but for their spacing.
  each.probabilities.forEach((expected, id) =>
    assert(Math.abs(counts[id] / draws - expected) <= 1 / draws, `${id}: ${counts[id]}`)
  );
});

const draw = (logits: readonly number[], options: SamplingOptions, random: number) =>
  nextToken(Float32Array.from(logits), [], options, () => random);

Deno.test("temperature 0 takes the first of the likeliest", () => {
  assertEquals(draw([Math.log(2), 0, Math.log(4), 0], { temperature: 0 }, 0.99), 2);
  assertEquals(draw([1, 3, 3], { temperature: 0 }, 0.99), 1);
});

Deno.test("temperature 0 heeds the tokens so far, as transformers does", () => {
  const options = { temperature: 0, repetitionPenalty: 2 };
  assertEquals(nextToken(Float32Array.of(3, 2), [0], options, () => 0), 1);
  const never = { temperature: 0, noRepeatNgramSize: 2 };
  assertEquals(nextToken(Float32Array.of(3, 2, 1), [1, 0, 1], never, () => 0), 1);
});

Deno.test("equal logits are ordered by id, among many", () => {
  const logits = Array.from({ length: 1000 }, (_, id) => id % 10);
  const of = (random: number) => draw(logits, { temperature: 1, topK: 200, topP: 1 }, random);
  const nine = Math.exp(9), eight = Math.exp(8), all = 100 * (nine + eight);
  assertEquals(of(0), 9);
  assertEquals(of(2.5 * nine / all), 29);
  assertEquals(of((100 * nine + 41.5 * eight) / all), 418);
  assertEquals(of(1 - 1e-9), 998);
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
