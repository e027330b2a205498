import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/options/user_error.ts";
import { checkTokenizer } from "../../src/tokenizers/check_tokenizer.ts";
import { assertKnownIds } from "../../src/tokenizers/known_ids.ts";
import { ByteTokenizer } from "../../src/tokenizers/byte_tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { DATA } from "../data/support.ts";
import { assertRefuses } from "../support_errors.ts";

const NAMES = { tokenizer: "a/tokenizer.json", model: "b" };
const IDS = { bosTokenId: 1, eosTokenId: 2, padTokenId: undefined };

Deno.test("checkTokenizer: as many ids as embeddings, or fewer", async () => {
  const tokenizer = await loadTokenizer(DATA + "tokenizer-llama");
  for (const vocabSize of [tokenizer.vocabSize, tokenizer.vocabSize + 63, 128256]) {
    checkTokenizer(tokenizer, { ...IDS, vocabSize }, NAMES);
  }
  const bytes = new ByteTokenizer();
  checkTokenizer(bytes, { ...IDS, vocabSize: bytes.vocabSize }, NAMES);
});

Deno.test("checkTokenizer: ids without an embedding are told, with both numbers", async () => {
  const tokenizer = await loadTokenizer(DATA + "tokenizer-llama");
  const { vocabSize } = tokenizer, last = tokenizer.decode([vocabSize - 1]);
  assertEquals(checkTokenizer(tokenizer, { ...IDS, vocabSize: vocabSize - 1 }, NAMES), [
    `tokenizer a/tokenizer.json has ${vocabSize} ids, model b a vocab_size of ${vocabSize - 1}: ` +
    `text with ${vocabSize - 1} (${JSON.stringify(last)}) is refused`,
  ]);
  const [warning] = checkTokenizer(tokenizer, { ...IDS, vocabSize: 9 }, NAMES);
  assert(warning.endsWith(", … is refused"), warning);
  const padded = { ...IDS, vocabSize, padTokenId: vocabSize };
  const [padding] = checkTokenizer(tokenizer, padded, NAMES);
  assert(padding.includes(`model b: pad_token_id ${vocabSize} is outside`), padding);
});

Deno.test("assertKnownIds: an id that is used is refused, with its text", () => {
  const tokenizer = { vocabSize: 5, decode: (ids: ArrayLike<number>) => `<${ids[0]}>` };
  assertKnownIds("a", [0, 3], 4, tokenizer);
  assertRefuses(
    () => assertKnownIds("x.jsonl:3", [0, 4], 4, tokenizer),
    UserError,
    'x.jsonl:3: token 4 ("<4>") is outside the model\'s vocabulary of 4',
  );
});

Deno.test("checkTokenizer: special tokens outside the vocabulary are refused, all at once", () => {
  const tokenizer = { vocabSize: 4, bosTokenId: 4, eosTokenId: null, decode: () => "" };
  const config = { vocabSize: 4, bosTokenId: 1, eosTokenId: [2, 4, 9], padTokenId: undefined };
  const error = assertThrows(() => checkTokenizer(tokenizer, config, NAMES), UserError);
  assertEquals(error.message.split("\n").map((line) => line.trim()), [
    "tokenizer a/tokenizer.json: bos token 4 is outside the model's vocab_size of 4",
    "model b: eos_token_id 4 is outside the model's vocab_size of 4",
    "model b: eos_token_id 9 is outside the model's vocab_size of 4",
  ]);
});
