/** Tokens added to a tokenizer, against transformers 5.17. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { addSpecialTokens } from "../../src/tokenizers/hf_tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { ByteTokenizer } from "../../src/tokenizers/byte_tokenizer.ts";
import { DATA } from "../data/support.ts";
import { assertRefuses } from "../support_errors.ts";

const TOKENS = ["<|im_start|>", "<|im_end|>", "the"];

/**
 * t = AutoTokenizer.from_pretrained(name); t.add_tokens(TOKENS, special_tokens=True)
 * t.convert_tokens_to_ids(TOKENS), len(t), t(TEXT, add_special_tokens=False).input_ids
 */
const TEXT = "<|im_start|>user\nthe end<|im_end|>";
const EXPECTED = [
  ["tokenizer-llama", [500, 501, 496], 502, [
    ...[500, 319, 365, 327, 13, 496, 319, 319, 331, 296, 501],
  ]],
  ["tokenizer-gpt2", [400, 401, 402], 403, [400, 389, 273, 199, 402, 335, 267, 401]],
] as const;

for (const [name, ids, size, encoded] of EXPECTED) {
  Deno.test(`${name}: added tokens have transformers' ids, also when saved and loaded`, async () => {
    const added = addSpecialTokens(await loadTokenizer(DATA + name), TOKENS);
    const folder = await Deno.makeTempDir();
    try {
      await added.save(folder);
      for (const tokenizer of [added, await loadTokenizer(folder)]) {
        const of = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
        assertEquals(TOKENS.map((token) => of(token)), ids.map((id) => [id]));
        assertEquals(tokenizer.vocabSize, size);
        assertEquals(of(TEXT), [...encoded]);
        assertEquals(tokenizer.decode([ids[0], ids[1]], { skipSpecialTokens: true }), "");
      }
      const json = async (file: string) => JSON.parse(await Deno.readTextFile(join(folder, file)));
      const { added_tokens } = await json("tokenizer.json");
      const listed = (added_tokens as { id: number }[]).map(({ id }) => id);
      assertEquals(listed, listed.toSorted((a, b) => a - b));
      const { additional_special_tokens } = await json("tokenizer_config.json");
      assertEquals(additional_special_tokens, TOKENS);
      // Adding them again changes nothing.
      const again = addSpecialTokens(await loadTokenizer(folder), TOKENS);
      assertEquals([again.vocabSize, again.encode(TEXT)], [size, added.encode(TEXT)]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("a tokenizer of bytes takes no tokens", () => {
  assertRefuses(
    () => addSpecialTokens(new ByteTokenizer(), ["<a>"]),
    UserError,
    "the tokenizer bytes has one token for each byte: <a> cannot be added",
  );
});
