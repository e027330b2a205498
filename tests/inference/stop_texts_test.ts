/** Stop texts that decoding hides, in an answer of scripted tokens. */
import { assertEquals } from "@std/assert";
import type { CachedSequence } from "../../src/inference/cached_sequence.ts";
import { Continuation } from "../../src/inference/continuation.ts";
import { readStops } from "../../src/inference/stop_texts.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { TOKENIZER } from "./support.ts";

/** A model that writes these tokens and then goes on with the last. */
function scripted(ids: readonly number[]): CachedSequence {
  const decode = async function* (_prompt: unknown, { maxNewTokens }: { maxNewTokens: number }) {
    for (let at = 0; at < maxNewTokens; at++) {
      yield await Promise.resolve(ids[Math.min(at, ids.length - 1)]);
    }
  };
  return { decode } as unknown as CachedSequence;
}

Deno.test("a stop text of a special token ends the answer at the token", async () => {
  const tokenizer = await loadTokenizer(TOKENIZER);
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const [end] = encode("<|im_end|>");
  const ids = [...encode("To be, or not"), end, ...encode(" to be")];
  const answer = async (stopTexts: string[]) => {
    const sequence = scripted(ids);
    const continuation = new Continuation(sequence, tokenizer, encode("x"), {
      maxNewTokens: ids.length,
      temperature: 0,
      stopTexts,
    });
    await Array.fromAsync(continuation.pieces());
    return [continuation.text, continuation.finishReason];
  };
  assertEquals(await answer([]), ["To be, or not to be", "length"]);
  assertEquals(await answer(["<|im_end|>"]), ["To be, or not", "stop"]);
  assertEquals(await answer(["<|im_end|>\n", "never"]), ["To be, or not", "stop"]);
  assertEquals(await answer(["or"]), ["To be, ", "stop"]);
  assertEquals(readStops(["or", "<|im_end|>"], tokenizer), { texts: ["or"], tokens: [end] });
});
