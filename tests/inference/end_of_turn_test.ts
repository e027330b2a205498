import { assertEquals } from "@std/assert";
import { ChatTemplate } from "../../src/data/instruct/chat_template.ts";
import { chatTemplate } from "../../src/data/instruct/templates.ts";
import { endOfTurn, TextUntil } from "../../src/inference/end_of_turn.ts";
import { DAY, tokenizers } from "../data/instruct/support.ts";

Deno.test("what ends a turn, by template and tokenizer", () => {
  const end = (name: string, tokenizer: keyof typeof tokenizers) =>
    endOfTurn(chatTemplate(name, tokenizers[tokenizer]), tokenizers[tokenizer]);
  assertEquals(end("chatml", "chat"), { token: 401 });
  assertEquals(end("llama3", "chat"), { token: 405 });
  assertEquals(end("gemma", "chat"), { token: 407 });
  assertEquals(end("llama2", "llama"), { token: tokenizers.llama.eosTokenId! });
  assertEquals(end("chatml", "llama"), { text: "<|im_end|>" });
});

Deno.test("templates without an end, or that refuse a short dialogue, yield none", () => {
  const end = (source: string) => {
    const { specialTokens } = tokenizers.chat;
    const template = new ChatTemplate(source, { name: "own", specialTokens, now: DAY });
    return endOfTurn(template, tokenizers.chat);
  };
  assertEquals(end("{% for m in messages %}{{ m.content }}\n{% endfor %}"), {});
  assertEquals(end("{{ messages[0].content }}"), {});
  assertEquals(end("{{ raise_exception('no') }}"), {});
  // Phi's: the end of the turn, then that of the text.
  assertEquals(end("{{ messages[1].content }}<|im_end|>\n<|endoftext|>"), { token: 401 });
});

for (
  const [pieces, expected] of [
    [["one ", "two"], ["one ", "two", ""]],
    [["one<", "/s", "> two", "three"], ["one", "", "", "", ""]],
    [["a<", "b<", "/", "c"], ["a", "<b", "", "</c", ""]],
    [["a<</s>b"], ["a<", ""]],
    [["a</s"], ["a", "</s"]],
  ] as const
) {
  Deno.test(`text until a mark: ${JSON.stringify(pieces)}`, () => {
    const until = new TextUntil("</s>");
    const shown: string[] = pieces.map((piece) => until.push(piece));
    assertEquals<readonly string[]>([...shown, until.flush()], expected);
    assertEquals(until.ended, pieces.join("").includes("</s>"));
  });
}

for (
  const [stops, pieces, expected] of [
    [["END", "\n\n"], ["a\n", "b\n", "\nE"], ["a", "\nb", "", ""]],
    [["END", "\n\n"], ["xE", "N", "D\n\n"], ["x", "", "", ""]],
    // The one that starts first, regardless of order.
    [["cd", "bc"], ["abcd"], ["a", ""]],
    [["stop", "top"], ["a s", "to"], ["a ", "", "sto"]],
    [["", "x"], ["ab", "xc"], ["ab", "", ""]],
    [[], ["ab", "c"], ["ab", "c", ""]],
  ] as const
) {
  Deno.test(`text until one of ${JSON.stringify(stops)}: ${JSON.stringify(pieces)}`, () => {
    const until = new TextUntil(...stops);
    const shown: string[] = pieces.map((piece) => until.push(piece));
    assertEquals<readonly string[]>([...shown, until.flush()], expected);
  });
}
