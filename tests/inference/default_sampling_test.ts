import { assertEquals } from "@std/assert";
import { samplingFor, textSampling } from "../../src/inference/default_sampling.ts";

const MODEL = { eosTokenIds: [], ignored: [] };
const GREEDY = {
  temperature: 0,
  topP: undefined,
  topK: undefined,
  minP: undefined,
  repetitionPenalty: undefined,
  noRepeatNgramSize: undefined,
};
/** What transformers' GenerationConfig has of its own. */
const SAMPLED = { ...GREEDY, temperature: 1, topK: 50, topP: 1 };

Deno.test("sampling: what is given, then the model's, then transformers' defaults", () => {
  assertEquals(samplingFor({}, { ...MODEL, temperature: 0.6 }), GREEDY);
  const sampled = { ...MODEL, doSample: true };
  assertEquals(samplingFor({}, sampled), SAMPLED);
  const own = {
    temperature: 0.6,
    topP: 0.9,
    topK: 20,
    minP: 0.05,
    repetitionPenalty: 1.1,
    noRepeatNgramSize: 3,
  };
  const full = { ...sampled, ...own };
  assertEquals(samplingFor({}, full), own);
  const none = { temperature: 0, topK: 0, minP: 0 };
  assertEquals(samplingFor(none, full), { ...own, ...none });
});

Deno.test("sampling of a text: ours only where the model leaves it open", () => {
  const words = textSampling({ vocabSize: 32_000 }), bytes = textSampling({ vocabSize: 257 });
  const ours = { ...GREEDY, temperature: 0.8, topK: 40, topP: 0.95 };
  assertEquals(samplingFor({}, MODEL, words), { ...ours, repetitionPenalty: 1.1 });
  assertEquals(samplingFor({}, MODEL, bytes), ours);
  assertEquals(samplingFor({}, { ...MODEL, doSample: false }, words), GREEDY);
  assertEquals(samplingFor({}, { ...MODEL, doSample: true }, words), SAMPLED);
  // Greedy decoding is transformers': our penalty is for what is sampled.
  assertEquals(samplingFor({ temperature: 0 }, MODEL, words), { ...ours, temperature: 0 });
});
