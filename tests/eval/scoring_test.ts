import { assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { encodePairs } from "../../src/eval/scoring.ts";
import { UserError } from "../../src/options/user_error.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));

interface Pair {
  readonly text: [context: string, continuation: string];
  readonly context: number[];
  readonly continuation: number[];
}
const { pairs }: { pairs: Record<string, Pair[]> } = JSON.parse(
  await Deno.readTextFile(`${FIXTURES}eval/log_likelihoods.json`),
);

for (const [name, cases] of Object.entries(pairs)) {
  Deno.test(`${name}: texts are split as lm-evaluation-harness splits them`, async () => {
    const tokenizer = await loadTokenizer(`${FIXTURES}data/${name}`);
    for (const { text: [before, after], context, continuation } of cases) {
      assertEquals(encodePairs(tokenizer, before, [after]), [{ context, continuation }]);
    }
  });
}

Deno.test("an answer without a token of its own, or no prefix token, is refused", async () => {
  const bytes = await loadTokenizer("bytes");
  assertThrows(
    () => encodePairs(bytes, "Answer:", [" yes", ""]),
    UserError,
    'the answer "" has no token of its own',
  );
  const bare: Tokenizer = {
    ...bytes,
    vocabSize: 257,
    eosTokenId: null,
    encode: (text) => bytes.encode(text),
  };
  assertThrows(() => encodePairs(bare, "", ["x"]), UserError, "neither a BOS nor an EOS token");
  assertEquals(encodePairs(bytes, "", ["x"]), [{ context: [256], continuation: [120] }]);
});
