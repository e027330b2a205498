import { assertEquals } from "@std/assert";
import { ChatTemplate } from "../../../src/data/instruct/chat_template.ts";
import { chatTemplate, TEMPLATE_NAMES } from "../../../src/data/instruct/templates.ts";
import { endOfTurn, unlearnedEnd } from "../../../src/data/instruct/end_of_turn.ts";
import { DAY, tokenizers } from "./support.ts";

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

Deno.test("an end of turn that is not learned is named: outside the marks, or not written", () => {
  const { options } = chatTemplate("chatml", tokenizers.chat);
  const of = (source: string) => unlearnedEnd(new ChatTemplate(source, options));
  const turn = (text: string) => `{% for m in messages %}${text}{% endfor %}`;
  assertEquals(
    of(turn("{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>\n")),
    'template chatml leaves "<|im_end|>", which ends a turn, outside its generation marks: it is ' +
      "not learned",
  );
  assertEquals(
    of(turn("{{ m.role }}: {{ m.content }}\n\n")),
    "template chatml writes nothing after an answer: where it ends is not learned",
  );
  assertEquals(
    of(turn("{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n")),
    undefined,
  );
  for (const name of TEMPLATE_NAMES.slice(1)) {
    assertEquals(unlearnedEnd(chatTemplate(name, tokenizers.chat)), undefined, name);
  }
});
