/** Every kind of tokenizer.json, held against Python's library on strings made to differ. */
import { assertEquals } from "@std/assert";
import { UserError } from "../../src/options/user_error.ts";
import { TOKENIZER_JSON } from "../../src/files/tokenizer_files.ts";
import { tokenizerFromFiles } from "../../src/tokenizers/hf_tokenizer.ts";
import { TextStream, type Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { UnknownTokens } from "../../src/tokenizers/unknown_tokens.ts";
import { assertRefuses } from "../support_errors.ts";

interface Case {
  /** Without special tokens. */
  readonly bare: string;
  readonly bareText: string;
  /** With them, where that differs. */
  readonly ids?: string;
  readonly skipped?: string;
  /** Start and end of each of the bare tokens, in characters. */
  readonly offsets?: string;
}

const GOLDEN: {
  readonly strings: readonly string[];
  readonly kinds: Record<string, { tokenizer: unknown; cases: Case[] }>;
} = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/tokenizers/kinds.json", import.meta.url)),
);

/** From tokenizer.json and its companion files. */
function tokenizerOf(json: unknown, companions: Record<string, unknown> = {}): Tokenizer {
  const files = Object.entries({ [TOKENIZER_JSON]: json, ...companions }).map(([name, value]) =>
    [name, new TextEncoder().encode(JSON.stringify(value))] as const
  );
  return tokenizerFromFiles("x/tokenizer.json", new Map(files));
}

const kinds = Object.entries(GOLDEN.kinds)
  .map(([name, { tokenizer, cases }]) => ({ name, cases, tokenizer: tokenizerOf(tokenizer) }));
const kind = (name: string) => kinds.find((each) => each.name === name)!.tokenizer;

/** UTF-16 units before a character. */
function unitOf(text: string, character: number): number {
  return [...text].slice(0, character).join("").length;
}

for (const { name, cases, tokenizer } of kinds) {
  Deno.test(`${name}: ids, texts and offsets are Python's`, () => {
    cases.forEach(({ bare, bareText, ids = bare, skipped = bareText, offsets }, index) => {
      const text = GOLDEN.strings[index], what = JSON.stringify(text);
      const plain = { addSpecialTokens: false };
      assertEquals(tokenizer.encode(text, plain).join(" "), bare, what);
      const full = tokenizer.encode(text);
      assertEquals(full.join(" "), ids, what);
      assertEquals(tokenizer.decode(tokenizer.encode(text, plain)), bareText, what);
      assertEquals(tokenizer.decode(full, { skipSpecialTokens: true }), skipped, what);
      if (offsets === undefined) return;
      const encoding = tokenizer.encodeWithOffsets(text, plain);
      assertEquals(encoding.ids.join(" "), bare, what);
      const pairs = encoding.ids.flatMap((_, at) => [encoding.starts[at], encoding.ends[at]]);
      const expected = offsets === "" ? [] : offsets.split(" ").map(Number);
      assertEquals(pairs, expected.map((character) => unitOf(text, character)), what);
    });
  });

  Deno.test(`${name}: streamed pieces join to the text of all tokens`, () => {
    for (const skipSpecialTokens of [false, true]) {
      for (const text of GOLDEN.strings) {
        const ids = tokenizer.encode(text),
          stream = new TextStream(tokenizer, { skipSpecialTokens });
        const pieces = [...ids.map((id) => stream.push(id)), stream.flush()];
        assertEquals(pieces.join(""), tokenizer.decode(ids, { skipSpecialTokens }), text);
      }
    }
  });
}

interface Declared {
  readonly kind: string;
  readonly files: Record<string, unknown>;
  /** The number of tokens. */
  readonly size: number;
  readonly bos: number | null;
  readonly eos: number | null;
  readonly cases: [ids: number[], text: string, skipped: string][];
}

const DECLARED: { texts: string[]; declared: Record<string, Declared> } = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/tokenizers/declared.json", import.meta.url)),
);

for (const [name, { kind, files, size, bos, eos, cases }] of Object.entries(DECLARED.declared)) {
  Deno.test(`tokens and options beside tokenizer.json, as in transformers: ${name}`, () => {
    const tokenizer = tokenizerOf(GOLDEN.kinds[kind].tokenizer, files);
    assertEquals(tokenizer.vocabSize, size);
    // Without any names, the usual ones stand in.
    if (bos !== null) assertEquals(tokenizer.bosTokenId, bos);
    if (eos !== null) assertEquals(tokenizer.eosTokenId, eos);
    cases.forEach(([ids, text, skipped], index) => {
      assertEquals(tokenizer.encode(DECLARED.texts[index]), ids);
      assertEquals(tokenizer.decode(ids), text);
      assertEquals(tokenizer.decode(ids, { skipSpecialTokens: true }), skipped);
    });
  });
}

Deno.test("what a tokenizer has no token for is counted: unknown tokens, and what is left out", () => {
  const counted = (name: string, texts: string[]) => {
    const unknown = new UnknownTokens();
    for (const text of texts) kind(name).encode(text, { unknown });
    return { tokens: unknown.tokens, unknown: unknown.unknown, note: unknown.note() };
  };
  const plain = "First Citizen: speak, speak. ".repeat(40);
  assertEquals(counted("bpe_unknown", [plain]).note, null);
  const few = counted("bpe_unknown", [plain, "ᚠᚠᛇ ᚠ\u0007"]);
  assertEquals(few.unknown, 5);
  assertEquals(
    few.note,
    `${(500 / few.tokens).toPrecision(2)}% of the tokens are unknown to this tokenizer (5 of ` +
      `${few.tokens}), most often "ᚠ", "ᛇ", "\\u0007"`,
  );
  // At most a thousandth is not worth a word.
  assertEquals(counted("bpe_unknown", [plain.repeat(200), "ᚠ"]).note, null);
  const left = counted("bpe_left_out", ["ᚠᚠ speak"]);
  assertEquals(left.unknown, 2);
  assertEquals(left.note!.includes('most often "ᚠ"'), true);
  // One unknown token for several characters, and for a whole word.
  assertEquals(counted("llama2", ["ᚠᚠ"]).unknown, 0);
  assertEquals(counted("t5", ["ᚠᚠ speak"]).note!.includes('"ᚠ"'), true);
  assertEquals(counted("bert", ["ᚠᚠ speak"]).note!.includes('"ᚠᚠ"'), true);
});

Deno.test("halves of surrogate pairs count as U+FFFD, and leave offsets in place", () => {
  for (const { tokenizer } of kinds) {
    const text = "a\ud83d b\udc4d🙂c", valid = text.toWellFormed();
    assertEquals(tokenizer.encodeWithOffsets(text), tokenizer.encodeWithOffsets(valid));
  }
});

Deno.test("a tokenizer that panics says so with its file, and works again", () => {
  const json = structuredClone(GOLDEN.kinds.behaviors.tokenizer) as { pre_tokenizer: unknown };
  json.pre_tokenizer = { type: "FixedLength", length: 0 };
  const tokenizer = tokenizerOf(json);
  for (const _ of [1, 2]) {
    assertRefuses(
      () => tokenizer.encode("Hello"),
      UserError,
      'x/tokenizer.json: "Hello" cannot be encoded: chunk size must be non-zero',
    );
    assertEquals(tokenizer.encode(""), []);
    assertEquals(tokenizer.decode([5]), "#");
  }
});

/** SHA-256 of Python's ids of each character up to U+2FFFF alone: 32-bit words, a length first. */
const EVERY_CHARACTER = {
  llama3: "7b61ed9fadac8b25bb9e71780233858ed1cb5d8fb6a95b1efcb5517ce6fa9328",
  nmt: "a548264f0bf41e0b55cd9131a4d1203d4121bb568b11e216711bde4e275be338",
  bert: "3e2094704695008d0979ca75d0d6ef6b2f186f97fcd0b2781b9ce93bca0fcad8",
};

for (const [name, expected] of Object.entries(EVERY_CHARACTER)) {
  Deno.test(`${name}: every character has Python's ids`, async () => {
    const tokenizer = kind(name), words: number[] = [];
    for (let code = 0; code < 0x30000; code++) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const ids = tokenizer.encode(String.fromCodePoint(code), { addSpecialTokens: false });
      words.push(ids.length, ...ids);
    }
    const hash = await crypto.subtle.digest("SHA-256", Uint32Array.from(words));
    assertEquals(new Uint8Array(hash).toHex(), expected);
  });
}
