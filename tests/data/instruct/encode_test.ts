import { assertEquals } from "@std/assert";
import { assistantSpans } from "../../../src/data/instruct/assistant_spans.ts";
import { ChatTemplate, withoutGenerationMarks } from "../../../src/data/instruct/chat_template.ts";
import { encodeExample } from "../../../src/data/instruct/encode.ts";
import type { ChatExample, Example, Message } from "../../../src/data/instruct/example.ts";
import { chatTemplate, TEMPLATE_NAMES } from "../../../src/data/instruct/templates.ts";
import { tokensIn } from "../../../src/data/instruct/token_spans.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import { UserError } from "../../../src/options/user_error.ts";
import { DAY, golden, INSTRUCT, tokenizers } from "./support.ts";
import { assertRefuses } from "../../support_errors.ts";

const chat = (messages: readonly Message[]): ChatExample => ({
  kind: "chat",
  messages,
  where: "a.json:1",
});

function encode(
  example: Example,
  tokenizer: Tokenizer,
  template: string | ChatTemplate = "chatml",
  trainOnPrompt = false,
) {
  const made = typeof template === "string" ? chatTemplate(template, tokenizer) : template;
  const { vocabSize } = tokenizer;
  return encodeExample(example, { tokenizer, template: () => made, vocabSize, trainOnPrompt });
}

for (const name of TEMPLATE_NAMES.slice(1)) {
  Deno.test(`${name}: ids and the assistant's tokens as transformers has them`, () => {
    for (const { tokenizer, dialogue, ids, mask } of golden.rendered) {
      const of = golden.rendered.find((each) =>
        each.template === name && each.tokenizer === tokenizer && each.dialogue === dialogue
      );
      if (of?.ids !== ids) continue;
      const encoded = encode(chat(golden.dialogues[dialogue]), tokenizers[tokenizer], name);
      assertEquals(encoded.ids, ids);
      assertEquals(encoded.trained.join(""), mask);
    }
  });

  Deno.test(`${name}: found by rendering prefixes, the spans are those that the marks give`, () => {
    for (const dialogue of golden.dialogues.slice(0, 4)) {
      const template = chatTemplate(name, tokenizers.llama);
      const bare = new ChatTemplate(withoutGenerationMarks(template.source), template.options);
      const marked = assistantSpans(template, chat(dialogue));
      assertEquals(assistantSpans(bare, chat(dialogue)), marked);
      assertEquals(marked.spans.length, dialogue.filter((m) => m.role === "assistant").length);
    }
  });
}

Deno.test("Alpaca's entries: ids and trained tokens as transformers has them", async () => {
  const entries = JSON.parse(await Deno.readTextFile(INSTRUCT + "alpaca.json"));
  assertEquals(golden.instructed.length, 60);
  for (const { tokenizer, template, entry, ids, mask } of golden.instructed) {
    const { instruction, input, output } = entries[entry];
    const asked = input ? `${instruction}\n${input}` : instruction;
    const messages = [{ role: "user", content: asked }, { role: "assistant", content: output }];
    const encoded = encode(chat(messages), tokenizers[tokenizer], template);
    assertEquals(encoded.ids, ids);
    assertEquals(encoded.trained.join(""), mask);
  }
});

/** The trained parts, as text. */
function learned(example: Example, template: string): { spans: string[]; lost: number } {
  const options = { name: template, specialTokens: tokenizers.chat.specialTokens, now: DAY };
  const made = new ChatTemplate(golden.templates[template], options);
  const { text, spans, lost } = assistantSpans(made, example as ChatExample);
  return { spans: spans.map(([start, end]) => text.slice(start, end)), lost };
}

Deno.test("templates without marks: the answers, with the token that ends a turn", () => {
  const [, dialogue] = golden.dialogues, calling = golden.dialogues.at(-1)!;
  assertEquals(learned(chat(dialogue), "chatml"), {
    spans: [
      "None, my lord.<|im_end|>",
      'Still "none".\n\n1. It\'s late\n2. naïve café 漢字 🙂<|im_end|>',
      "  Good night.  \n<|im_end|>",
    ],
    lost: 0,
  });
  const call = '{"name": "weather", "parameters": {"place": "Køln", "days": [1, 2.5, true, null]}}';
  assertEquals(learned(chat(calling), "dated"), {
    spans: [`${call}<|eot_id|>`, "It is.<|eot_id|>"],
    lost: 0,
  });
});

Deno.test("templates that rewrite earlier turns: answers are learned as the dialogue shows them", () => {
  const messages = [
    { role: "user", content: "1?" },
    { role: "assistant", content: "<think>\nhm\n</think>\n\none" },
    { role: "user", content: "2?" },
    { role: "assistant", content: "two" },
  ];
  assertEquals(learned(chat(messages), "thinking"), {
    spans: ["one<|im_end|>", "<think>\n\n</think>\n\ntwo<|im_end|>"],
    lost: 0,
  });
  // The generation prompt opens a thought that this answer does not have.
  assertEquals(learned(chat(messages), "opened"), {
    spans: ["<think>\nhm\n</think>\n\none<|endoftext|>", "two<|endoftext|>"].map((each) =>
      each.replace("<think>\n", "")
    ),
    lost: 0,
  });
});

Deno.test("messages of weight 0 are not learned, with marks and without", () => {
  const [, dialogue] = golden.dialogues;
  const weighted = dialogue.map((each, index) => index === 4 ? { ...each, weight: 0 } : each);
  const marked = chatTemplate("chatml", tokenizers.chat);
  const bare = new ChatTemplate(golden.templates.chatml, marked.options);
  for (const template of [marked, bare]) {
    const { text, spans } = assistantSpans(template, chat(weighted));
    assertEquals(spans.map(([start, end]) => text.slice(start, end)), [
      "None, my lord.<|im_end|>",
      "  Good night.  \n<|im_end|>",
    ]);
  }
});

Deno.test("messages of weight 0, and marks on some answers or twice in one: those of the others", () => {
  const { options } = chatTemplate("chatml", tokenizers.chat);
  const dialogue = [
    { role: "user", content: "1?" },
    { role: "assistant", content: "one", weight: 0 },
    { role: "user", content: "2?" },
    { role: "assistant", content: "two" },
  ];
  const written = (answer: string) => {
    const source = "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}" + answer +
      "{% else %}{{ m.content }}{% endif %}\n{% endfor %}";
    const { text, spans } = assistantSpans(new ChatTemplate(source, options), chat(dialogue));
    return spans.map(([start, end]) => text.slice(start, end));
  };
  const mark = (text: string) => `{% generation %}${text}{% endgeneration %}`;
  const last = `{% if loop.last %}${mark("{{ m.content }}")}{% else %}{{ m.content }}{% endif %}`;
  assertEquals(written(last), ["two"]);
  assertEquals(written(mark("a") + "-" + mark("{{ m.content }}")), ["a", "two"]);
  assertEquals(written(`{% if loop.first %}${mark("a")}{% endif %}{{ m.content }}`), []);
});

Deno.test("a question written anew elsewhere: the answer begins where it does", () => {
  const questions = "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }}\n" +
    "{% endif %}{% endfor %}";
  const { options } = chatTemplate("chatml", tokenizers.chat);
  const template = new ChatTemplate(questions + golden.templates.chatml, options);
  const { text, spans } = assistantSpans(
    template,
    chat([
      { role: "system", content: "s" },
      { role: "user", content: " 1? " },
      { role: "assistant", content: "one" },
      { role: "user", content: "1?" },
      { role: "assistant", content: "two" },
    ]),
  );
  assertEquals(spans.map(([start, end]) => text.slice(start, end)), [
    "one<|im_end|>",
    "two<|im_end|>",
  ]);
});

Deno.test("a dialogue that the assistant begins, and one it has no part in", () => {
  const begun = [{ role: "assistant", content: "hi" }, ...golden.dialogues[0]];
  const template = new ChatTemplate(golden.templates.chatml, {
    name: "chatml",
    specialTokens: tokenizers.chat.specialTokens,
    now: DAY,
  });
  assertEquals(assistantSpans(template, chat(begun)).spans.length, 2);
  const silent = [{ role: "user", content: "hello?" }];
  assertEquals(assistantSpans(template, chat(silent)).spans, []);
});

Deno.test("prompt and completion, text: as they are, with BOS and EOS", () => {
  const completion = {
    kind: "completion",
    prompt: "To be or ",
    completion: "not to be",
    where: "",
  } as const;
  for (const tokenizer of Object.values(tokenizers)) {
    const { ids, trained } = encode(completion, tokenizer);
    const bos = tokenizer === tokenizers.llama ? [1] : [];
    const plain = tokenizer.encode("To be or not to be", { addSpecialTokens: false });
    assertEquals(ids, [...bos, ...plain, tokenizer.eosTokenId!]);
    const prompt = ids.filter((_, index) => !trained[index]);
    const rest = ids.filter((_, index) => trained[index]);
    // The space belongs to the first token of the completion.
    assertEquals(tokenizer.decode(prompt.slice(bos.length)).trim(), "To be or");
    assertEquals(tokenizer.decode(rest.slice(0, -1)).trim(), "not to be");
    const all = encode(completion, tokenizer, "chatml", true);
    assertEquals(all.trained, new Uint8Array(ids.length).fill(1));
    const text = { kind: "text", text: "To be or not to be", where: "" } as const;
    assertEquals(encode(text, tokenizer), { ids, trained: all.trained, lost: 0 });
  }
});

Deno.test("tokens across a border count as inside", () => {
  const tokenizer = tokenizers.chat, text = "🙂 the other the";
  const encoding = tokenizer.encodeWithOffsets(text, { addSpecialTokens: false });
  const { ids } = encoding;
  const pieces = ids.map((id) => tokenizer.decode([id]));
  const within = (start: number, end: number) =>
    ids.filter((_, index) => tokensIn(encoding, [[start, end]])[index]);
  // The emoji is several tokens of bytes.
  assertEquals(tokenizer.decode(within(0, 2)), "🙂");
  // Borders inside a character are ignored.
  assertEquals(tokenizer.decode(within(1, 2)), "🙂");
  assertEquals(tokenizer.decode(within(0, 1)), "🙂");
  const last = pieces.at(-1)!;
  assertEquals(last, " the");
  assertEquals(tokenizer.decode(within(text.length - 2, text.length)), " the");
  assertEquals(tokenizer.decode(within(text.length - 3, text.length - 1)), " the");
  assertEquals(within(0, text.length), ids);
  assertEquals(within(3, 3), []);
});

Deno.test("a token outside the model's vocabulary is refused, with the example", () => {
  const { llama } = tokenizers, template = chatTemplate("llama2", llama);
  const example = chat(golden.dialogues[0]);
  assertRefuses(
    () => encodeExample(example, { tokenizer: llama, template: () => template, vocabSize: 300 }),
    UserError,
    "is outside the model's vocabulary of 300\n  hint: the tokenizer has 500 tokens",
  );
});
