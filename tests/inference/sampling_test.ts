/** The choice of a token on the device, against transformers' logits processors. */
import { assert, assertEquals } from "@std/assert";
import { KernelPass } from "../../src/gpu/pass.ts";
import { randomStream, type SamplingOptions } from "../../src/inference/sampling.ts";
import { chooseToken } from "../../src/kernels/sampling/choose_token.ts";
import { gpuTest } from "../support.ts";
import { chooser } from "./support_choice.ts";

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

const DRAWS = 512;

for (const each of golden) {
  const name = JSON.stringify(each.settings);
  gpuTest(`tokens are drawn with transformers' probabilities: ${name}`, async (gpu) => {
    const options = optionsOf(each);
    const { choice, logits, token, choose } = chooser(gpu, each, { ...options, positions: DRAWS });
    await choose(each.logits);
    // The logits are now as penalties leave them, and random numbers can be spread evenly.
    const pass = new KernelPass(gpu);
    for (let position = 0; position < DRAWS; position++) {
      const random = Math.floor((position + 0.5) / DRAWS * 2 ** 32);
      chooseToken(pass, { ...choice.buffers, ...options, logits, token, position, random });
    }
    pass.submit();
    const ids = new Uint32Array((await gpu.read(choice.buffers.history)).buffer);
    const counts = each.logits.map((_, id) => ids.filter((drawn) => drawn === id).length);
    // A share is exact but for the spacing, and float32's rounding where two tokens meet.
    each.probabilities.forEach((expected, id) => {
      assert(Math.abs(counts[id] / DRAWS - expected) <= 1 / DRAWS + 1e-5, `${id}: ${counts[id]}`);
      assert(counts[id] === 0 || expected > 0, `${id} is excluded`);
    });
  });
}

gpuTest("temperature 0 heeds the tokens so far, as transformers does", async (gpu) => {
  const likeliest = (tokens: number[], logits: number[], options: Partial<SamplingOptions>) =>
    chooser(gpu, { tokens, logits }, { temperature: 0, ...options }).choose(logits);
  assertEquals(await likeliest([0], [3, 2], { repetitionPenalty: 2 }), 1);
  assertEquals(await likeliest([1, 0, 1], [3, 2, 1], { noRepeatNgramSize: 2 }), 1);
});

gpuTest("an n-gram counts the tokens that were chosen", async (gpu) => {
  const logits = [4, 3, 2, 1];
  const options = { temperature: 0, noRepeatNgramSize: 2 };
  const { choose } = chooser(gpu, { tokens: [1], logits }, options);
  const chosen: number[] = [];
  for (let i = 0; i < 9; i++) chosen.push(await choose(logits));
  // The likeliest token that makes no pair that occurred.
  assertEquals(chosen, [0, 0, 1, 1, 2, 0, 2, 1, 3]);
});

Deno.test("the stream of random numbers is even, and its own for each seed", () => {
  const next = randomStream(7), draws = 20_000, counts = new Array(10).fill(0);
  for (let i = 0; i < draws; i++) counts[Math.floor(10 * next())]++;
  // Each count is binomial: mean 2000, deviation 42; five of those are a one in a million event.
  for (const count of counts) assert(Math.abs(count - draws / 10) < 215, `${counts}`);
  assert(randomStream(1)() !== randomStream(2)());
});
