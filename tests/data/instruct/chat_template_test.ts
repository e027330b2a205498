import { assertEquals, assertThrows } from "@std/assert";
import {
  ChatTemplate,
  type TemplateOptions,
  withoutGenerationMarks,
} from "../../../src/data/instruct/chat_template.ts";
import { assistantSpans } from "../../../src/data/instruct/assistant_spans.ts";
import { strftime } from "../../../src/data/instruct/strftime.ts";
import {
  chatTemplate,
  spelledMarks,
  TEMPLATE_NAMES,
} from "../../../src/data/instruct/templates.ts";
import { loadTokenizer } from "../../../src/tokenizers/load_tokenizer.ts";
import { UserError } from "../../../src/options/user_error.ts";
import { DAY, golden, tokenizers } from "./support.ts";
import { assertRefuses } from "../../support_errors.ts";

const HELLO = [{ role: "user", content: "hi" }, { role: "assistant", content: "yo" }];

for (const name of TEMPLATE_NAMES.slice(1)) {
  Deno.test(`template ${name}: the text that transformers renders`, () => {
    const cases = golden.rendered.filter(({ template }) => template === name);
    assertEquals(cases.length, 8);
    for (const { tokenizer, dialogue, text, prompt } of cases) {
      const template = chatTemplate(name, tokenizers[tokenizer]);
      const messages = golden.dialogues[dialogue];
      assertEquals(template.render(messages, "a.json:1").text, text);
      const begun = template.render(messages.slice(0, -1), "", { addGenerationPrompt: true });
      assertEquals(begun.text, prompt);
      // The saved template renders the same.
      const bare = new ChatTemplate(withoutGenerationMarks(template.source), template.options);
      const { text: plain, generated } = bare.render(messages, "");
      assertEquals([plain, generated], [text, []]);
    }
  });
}

const OPTIONS: TemplateOptions = {
  name: "own",
  specialTokens: tokenizers.chat.specialTokens,
  now: DAY,
};

for (const name of Object.keys(golden.templates)) {
  Deno.test(`a template in the manner of published ones, ${name}: as transformers`, () => {
    const template = new ChatTemplate(golden.templates[name], OPTIONS);
    for (const { dialogue, tools, text } of golden.foreign.filter((c) => c.template === name)) {
      assertEquals(template.render(golden.dialogues[dialogue], "", { tools }).text, text);
    }
  });
}

Deno.test("generation marks: white space as Jinja has it around any tag", () => {
  const source = `{% for m in messages %}
[{{ m.role }}]
  {%- if m.role == 'assistant' %}
    {% generation %}
    {{ m.content }}!
    {% endgeneration %}
    {%- generation -%}  a  {%- endgeneration -%}  .
  {% endif %}
{% endfor %}`;
  const { text, generated } = new ChatTemplate(source, OPTIONS).render(HELLO, "");
  const without = new ChatTemplate(
    source.replaceAll("endgeneration", "endif").replaceAll("generation", "if true"),
    OPTIONS,
  );
  const plain = without.render(HELLO, "");
  assertEquals([plain.text, plain.generated], [text, []]);
  assertEquals(generated.map(([start, end]) => text.slice(start, end)), ["    yo!\n", "a"]);
});

Deno.test("templates that are wrong are refused with the line", () => {
  const refused = (source: string, message: string) =>
    assertRefuses(() => new ChatTemplate(source, OPTIONS), UserError, message);
  refused("a\nb\n{% if x %}\nc\n", "own, line 3: is not a valid template");
  refused("a\n{% frobnicate %}\nb", "own, line 2: is not a valid template");
  refused("{% if x %}\n{{ 'a\n", "own, line 2: is not a valid template");
  refused("{% if x %}\n\n\n{{ 1 + }}\n{% endif %}", "own, line 4: is not a valid template");
  refused("a\n{{ 'x' | wat }}", "own, line 2: is not a valid template: No filter named 'wat'.");
  refused("a\n{{ 'x' | }}", "hint: another can be given by name with template");
});

Deno.test("a template that refuses the dialogue: its line, its words, the example", () => {
  const source = "{% for m in messages %}\n{% if m.role != 'user' %}\n" +
    "{{ raise_exception('no ' + m.role + '!') }}\n{% endif %}{% endfor %}";
  assertRefuses(
    () => new ChatTemplate(source, OPTIONS).render(HELLO, "a.jsonl:7"),
    UserError,
    "a.jsonl:7: own, line 3: no assistant!\n  hint: the template refuses this dialogue",
  );
  assertRefuses(
    () =>
      new ChatTemplate("\n{{ messages | map('wat') | list }}", OPTIONS).render(HELLO, "a.jsonl:7"),
    UserError,
    "a.jsonl:7: own, line 2: No filter named 'wat'.",
  );
  const tool = [{ role: "tool", content: "" }];
  for (const name of ["gemma", "llama2", "mistral", "alpaca", "vicuna"]) {
    const template = chatTemplate(name, tokenizers.llama);
    const message = `${name}: a message is by system (the first), user or assistant, not tool`;
    assertRefuses(() => template.render(tool, "a.json:2"), UserError, message);
  }
});

Deno.test("templates by name: those that cannot be are refused", async () => {
  const refused = (name: string, message: string) =>
    assertRefuses(() => chatTemplate(name, tokenizers.llama), UserError, message);
  refused("default", "the tokenizer has no chat template, which conversations need");
  refused("default", "trained with: alpaca, chatml, gemma");
  refused("chatlm", 'template "chatlm" is not known\n  hint: known are default, alpaca, chatml');
  const tokenizer = { ...tokenizers.llama, specialTokens: { ...OPTIONS.specialTokens } };
  const endless = {
    ...tokenizer,
    encode: () => [],
    specialTokens: { ...tokenizer.specialTokens, eosToken: null },
  };
  assertRefuses(() => chatTemplate("zephyr", endless), UserError, "which this tokenizer lacks");
  const own = { ...endless, chatTemplate: "{{ messages[0].content }}{{ eos_token }}" };
  assertEquals(chatTemplate("default", own).render(HELLO, "").text, "hi");
  const bytes = await loadTokenizer("bytes");
  const text = chatTemplate("vicuna", bytes).render(HELLO, "").text;
  assertEquals(text.endsWith("questions. USER: hi ASSISTANT: yo<|endoftext|>"), true);
});

Deno.test("a template can write every token that its tokenizer names", () => {
  const specialTokens = { ...OPTIONS.specialTokens, others: { sep_token: "<sep>" } };
  const template = new ChatTemplate("{{ sep_token }}|{{ cls_token }}", {
    ...OPTIONS,
    specialTokens,
  });
  assertEquals(template.render(HELLO, "").text, "<sep>|");
});

Deno.test("a template for tools is used where the dialogue has some, as in transformers", () => {
  const tokenizer = {
    ...tokenizers.chat,
    specialTokens: OPTIONS.specialTokens,
    chatTemplate: "{% for m in messages %}{{ m.content }};{% endfor %}",
    toolTemplate: "{{ tools | length }} tools: {% for m in messages %}{{ m.content }};{% endfor %}",
  };
  const template = chatTemplate("default", tokenizer);
  assertEquals(template.render(HELLO, "").text, "hi;yo;");
  assertEquals(template.render(HELLO, "", { tools: [{}] }).text, "1 tools: hi;yo;");
  const { text, spans } = assistantSpans(template, {
    kind: "chat",
    messages: HELLO,
    tools: [{}],
    where: "",
  });
  assertEquals(spans.map(([start, end]) => text.slice(start, end)), ["yo;"]);
  assertRefuses(
    () => chatTemplate("default", { ...tokenizer, toolTemplate: "\n{% if %}" }),
    UserError,
    "the tokenizer's template tool_use, line 2: is not a valid template",
  );
});

Deno.test("marks that the tokenizer has no tokens for are named", () => {
  const marks = (name: string, tokenizer: keyof typeof tokenizers) =>
    spelledMarks(chatTemplate(name, tokenizers[tokenizer]), tokenizers[tokenizer]);
  assertEquals(marks("chatml", "chat"), []);
  assertEquals(marks("gemma", "chat"), []);
  assertEquals(marks("llama3", "chat"), []);
  assertEquals(marks("llama2", "llama"), []);
  assertEquals(marks("chatml", "llama"), ["<|im_start|>", "<|im_end|>"]);
  // Those of tools are text in Qwen's own tokenizers, too.
  const source = "{% if tools %}<tools>{% endif %}{% for m in messages %}<|im_end|>{% endfor %}";
  assertEquals(spelledMarks(new ChatTemplate(source, OPTIONS), tokenizers.chat), []);
});

Deno.test("strftime: as Python's, and no guesses", async () => {
  const path = new URL("../../fixtures/jinja/strftime.json", import.meta.url);
  const { format, cases } = JSON.parse(await Deno.readTextFile(path));
  for (const { date: [year, month, ...rest], text } of cases) {
    assertEquals(strftime(new Date(year, month - 1, ...rest as [number]), format), text);
  }
  assertThrows(() => strftime(DAY, "%Q"), Error, "strftime_now: %Q is not known");
});
