import { assert, assertEquals } from "@std/assert";
import { assistantSpans } from "../../../src/data/instruct/assistant_spans.ts";
import { encodeExample } from "../../../src/data/instruct/encode.ts";
import { withoutGenerationMarks } from "../../../src/data/instruct/chat_template.ts";
import type { ChatExample } from "../../../src/data/instruct/example.ts";
import { dialogues, exampleOf, golden, rendered, templateOf, templates } from "./chat_renders.ts";
import { randomDialogue } from "./random_dialogues.ts";
import { tokenizers } from "./support.ts";

/** The example with one answer to learn: that of the message with this index. */
function only({ messages, ...example }: ChatExample, index: number): ChatExample {
  const weighted = messages.map((message, at) =>
    message.role === "assistant" && at !== index ? { ...message, weight: 0 } : message
  );
  return { ...example, messages: weighted };
}

const answersOf = ({ messages }: ChatExample) =>
  messages.flatMap(({ role }, index) => role === "assistant" ? [index] : []);
const upTo = ({ messages, ...example }: ChatExample, count: number): ChatExample => {
  return { ...example, messages: messages.slice(0, count) };
};
const unmarked = [...templates].map(([name, { source }]) =>
  templateOf(name, withoutGenerationMarks(source))
);
const generated = Array.from({ length: 12 }, (_, seed) => exampleOf(randomDialogue(seed)));

Deno.test("where the prompt begins the dialogue, what is learned begins at its end", () => {
  let exact = 0;
  for (const template of unmarked) {
    for (const example of [...dialogues.map(exampleOf), ...generated]) {
      const whole = rendered(template, example);
      if (whole === null) continue;
      for (const index of answersOf(example)) {
        const { spans: [span] } = assistantSpans(template, only(example, index));
        const prompt = rendered(template, upTo(example, index), true);
        const through = rendered(template, upTo(example, index + 1));
        if (prompt === null || !whole.startsWith(prompt)) continue;
        const about = `${template.options.name}: ${JSON.stringify(example.messages)}, ${index}`;
        if (through === null || !whole.startsWith(through)) {
          // Written differently once others follow: learned as it is written here.
          if (span) assertEquals(span[0], prompt.length, about);
          continue;
        }
        // Only white space that separates turns is not learned.
        const end = through.trimEnd().length;
        if (end <= prompt.length) continue;
        assertEquals(span?.[0], prompt.length, about);
        assert(span[1] === end || span[1] === through.length, about);
        exact++;
      }
    }
  }

  assert(exact > 1000);
});

Deno.test("the prompt's tokens and the learned ones are those of the whole dialogue", () => {
  const { chat, llama } = tokenizers;
  let checked = 0;
  for (const template of unmarked) {
    for (const example of generated) {
      if (rendered(template, example) === null) continue;
      for (const tokenizer of [chat, llama]) {
        const options = { tokenizer, template: () => template, vocabSize: tokenizer.vocabSize };
        const { ids, trained } = encodeExample(example, options);
        const { text, spans } = assistantSpans(template, example);
        assertEquals(ids, tokenizer.encode(text, { addSpecialTokens: false }));
        for (const [start, end] of spans) {
          const whole = ids.join(","),
            before = tokenizer.encode(text.slice(0, start), NOTHING_ADDED);
          // A prompt that ends within a token of the whole (a space before a word) is no border.
          if (!whole.startsWith(before.join(",") + ",")) continue;
          assertEquals(trained[before.length], 1);
          assertEquals(trained[before.length - 1] ?? 0, 0);
          const through = tokenizer.encode(text.slice(0, end), NOTHING_ADDED);
          if (!`${whole},`.startsWith(through.join(",") + ",")) continue;
          const learned = trained.subarray(before.length, through.length);
          assertEquals(learned.every((each) => each === 1), true);
          assertEquals(trained[through.length] ?? 0, 0);
          checked++;
        }
      }
    }
  }
  assert(checked > 1900, `${checked} answers checked`);
});

const NOTHING_ADDED = { addSpecialTokens: false };

Deno.test("without its marks, a template's answers are those that transformers finds by them", () => {
  const template = templateOf("phi_4", withoutGenerationMarks(templates.get("phi_4")!.source));
  golden.generated.phi_4.forEach((expected, index) => {
    const example = exampleOf({ messages: dialogues[index].messages });
    if (expected === null) return;
    const { text, spans } = assistantSpans(template, example);
    const points = (end: number) => Array.from(text.slice(0, end)).length;
    const found = spans.map(([start, end]) => [points(start), points(end)]);
    assertEquals(found, expected, dialogues[index].name);
  });
});

function learned(name: string, example: ChatExample): string[] {
  const { text, spans } = assistantSpans(templates.get(name)!, example);
  return spans.map(([start, end]) => text.slice(start, end));
}

Deno.test("answers as the dialogue shows them: thoughts, calls, ends that come later", () => {
  const named = (name: string) => exampleOf(dialogues.find((each) => each.name === name)!);
  assertEquals(learned("qwen_3", named("thoughts as a field")), [
    "one<|im_end|>",
    "<think>\nhm, two\n</think>\n\ntwo<|im_end|>",
  ]);
  assertEquals(learned("deepseek_r1", named("thoughts in text")), [
    "\n\none<｜end▁of▁sentence｜>",
    "\n\ntwo<｜end▁of▁sentence｜>",
  ]);
  assertEquals(learned("qwen_2_5_tools", named("several calls")), [
    'Let me see.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n' +
    '</tool_call>\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call><|im_end|>',
    "12 degrees at noon.<|im_end|>",
    "Welcome.<|im_end|>",
  ]);
  assertEquals(learned("late_end", named("turns")), ["\n 1 </s>", "2\n\n- a\n- b</s>", "3</s>"]);
  assertEquals(learned("by_index", named("turns")), ["\n 1 \n", "2\n\n- a\n- b\n", "3\n"]);
  assertEquals(learned("by_macro", named("turns")), ["\n 1 </s>", "2\n\n- a\n- b</s>", "3</s>"]);
  assertEquals(learned("yi", named("question")), ["B<|im_end|>"]);
  assertEquals(learned("qwen_2", named("begun by the assistant")), [
    "Hi!<|im_end|>",
    "B<|im_end|>",
  ]);
});

Deno.test("the answers of 1,000 turns take about ten times the rendering of those of 100", () => {
  const charactersOf = (turns: number) => {
    const template = templateOf("qwen_3", templates.get("qwen_3")!.source);
    const render = template.render.bind(template);
    let characters = 0;
    template.render = (...given) => {
      const rendered = render(...given);
      characters += rendered.text.length;
      return rendered;
    };
    const pair = [{ role: "user", content: "What?" }, { role: "assistant", content: "That." }];
    const messages = Array.from({ length: turns }, () => pair).flat().map((each) => ({ ...each }));
    assertEquals(assistantSpans(template, exampleOf({ messages })).spans.length, turns);
    return characters;
  };
  const ratio = charactersOf(1000) / charactersOf(100);
  // The square would be a hundred times.
  assert(ratio > 9 && ratio < 11, `${ratio} times`);
});
