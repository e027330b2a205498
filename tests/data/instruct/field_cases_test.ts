/** Records as they are met in the field: the text that transformers renders, or a report of what is lost. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { writeExample } from "../../../src/data/instruct/encode.ts";
import { preview } from "../../../src/data/instruct/preview.ts";
import { findingLines, UnusableError } from "../../../src/data/instruct/report.ts";
import { examplesOf, listSources, sourcesOf } from "../../../src/data/instruct/sources.ts";
import { InstructStream } from "../../../src/data/instruct/stream.ts";
import { chatTemplate } from "../../../src/data/instruct/templates.ts";
import { explain } from "../../../src/options/user_error.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import { assertRefusesAsync } from "../../support_errors.ts";
import { withFiles } from "../support.ts";
import { INSTRUCT, tokenizers, withTemplate } from "./support.ts";

interface Case {
  readonly template: string;
  /** Lines of JSON, or a file beside this one. */
  readonly lines?: readonly string[];
  readonly file?: string;
  /** Of each line. */
  readonly text: string;
}

/** Made by tests/golden/make_records.py. */
const golden: { templates: Record<string, string>; cases: Case[] } = JSON.parse(
  await Deno.readTextFile(INSTRUCT + "calls.json"),
);

const tokenizerOf = (template: string) => withTemplate(tokenizers.chat, golden.templates[template]);

/** Runs with the file of a case. */
async function withCase({ lines, file }: Case, run: (path: string) => Promise<void>) {
  if (file) return await run(INSTRUCT + file);
  await withFiles({ "a.jsonl": lines!.join("\n") }, (folder) => run(join(folder, "a.jsonl")));
}

const open = (path: string, tokenizer: Tokenizer, more: Record<string, unknown> = {}) =>
  InstructStream.open({
    data: [path],
    split: "train",
    tokenizer,
    batchSize: 1,
    seqLen: 2000,
    heldOutShare: 0,
    ...more,
  });

for (const [index, each] of golden.cases.entries()) {
  const name = each.file ?? `${each.lines!.length} lines`;
  Deno.test(`field cases: ${index}, ${name}, ${each.template}: the text of transformers`, async () => {
    await withCase(each, async (path) => {
      const template = chatTemplate("default", tokenizerOf(each.template));
      let count = 0;
      for await (const example of examplesOf(await listSources(sourcesOf([path])))) {
        assertEquals(writeExample(example, { template: () => template }).text, each.text);
        count++;
      }
      assertEquals(count, each.lines?.length ?? 1);
      await open(path, tokenizerOf(each.template)); // nothing of it is unusable
    });
  });
}

Deno.test("field cases: calls and tools that a template has no place for are counted, not learned as nothing", async () => {
  const { lines } = golden.cases[0];
  await withFiles({ "a.jsonl": lines!.join("\n") }, async (folder) => {
    const path = join(folder, "a.jsonl");
    for (const template of ["default", "chatml", "zephyr", "llama3", "qwen"]) {
      const error = await assertRefusesAsync(
        () => open(path, tokenizerOf("chatml"), { template }),
        UnusableError,
        "4 of 4 examples would not be learned as written:\n  4 examples with tools that the chat " +
          `template does not write (${path}:1; ${path}:2; ${path}:3; and 1 more)\n`,
      );
      const text = explain(error);
      assertStringIncludes(
        text,
        "4 examples with tool calls that the chat template does not write",
      );
      assertStringIncludes(
        text,
        "one made for tools; or leave these examples out with skipUnusable",
      );
    }
  });
});

Deno.test("field cases: weights of Parquet mask; its numbers are named where text belongs", async () => {
  const weights = await open(INSTRUCT + "weights.parquet", tokenizerOf("chatml"));
  const shown = preview(weights.examples, 1, { tokenizer: tokenizers.chat });
  assertEquals(shown.match(/«[^»]*»/g), ["«four<|im_end|>»"]);
  for (const heldOutShare of [0, 0.5]) {
    await assertRefusesAsync(
      () => open(INSTRUCT + "numbers.parquet", tokenizerOf("chatml"), { heldOutShare }),
      UnusableError,
      'numbers.parquet, row 1: field "output" must be a string, got 1 (an integer)\n    ' +
        `${INSTRUCT}numbers.parquet, row 2: field "output" must be a string, got ` +
        "1152921504606846976 (an integer)",
    );
  }
});

Deno.test("field cases: TRL's chat_template_kwargs reach the template, and what the model is given", async () => {
  const source = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}" +
    "{% if m.role == 'assistant' and enable_thinking is false %}{{ '<think></think>' }}{% endif %}" +
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}" +
    "{{ '<|im_start|>assistant\n' }}{% if enable_thinking is false %}{{ '<think></think>' }}" +
    "{% endif %}{% endif %}";
  const messages = [{ role: "user", content: "q" }, { role: "assistant", content: "a" }];
  const line = (variables: unknown) =>
    JSON.stringify({ messages, chat_template_kwargs: variables });
  await withFiles({
    "a.jsonl": [line({ enable_thinking: false, more: 1 }), line(null)].join("\n"),
    "b.jsonl": line({ tools: [] }),
  }, async (folder) => {
    const tokenizer = withTemplate(tokenizers.chat, source);
    const { examples, report } = await open(join(folder, "a.jsonl"), tokenizer);
    assertEquals(preview(examples, 2, { tokenizer }).split("\n").slice(1), [
      ...[
        "<|im_start|>user",
        "q<|im_end|>",
        "<|im_start|>assistant",
        "<think></think>«a<|im_end|>»",
      ],
      ...["", "", "example 2: 18 tokens, 2 trained"],
      ...["<|im_start|>user", "q<|im_end|>", "<|im_start|>assistant", "«a<|im_end|>»", ""],
    ]);
    assertEquals(report.notes, ["fields ignored: chat_template_kwargs.more"]);
    await assertRefusesAsync(
      () => open(join(folder, "b.jsonl"), tokenizer),
      UnusableError,
      "chat_template_kwargs.tools is not for the record to set",
    );
  });
});

Deno.test("field cases: weights of 0 that training on prompts overrides are reported", async () => {
  const [user, assistant] = [{ role: "user", content: "q" }, { role: "assistant", content: "a" }];
  const messages = [user, { ...assistant, weight: 0 }, user, assistant];
  await withFiles({ "a.jsonl": JSON.stringify({ messages }) }, async (folder) => {
    const path = join(folder, "a.jsonl");
    const { report } = await open(path, tokenizerOf("chatml"), { trainOnPrompt: true });
    assertEquals(findingLines(report), [
      `1 example with answers of weight 0: they are learned, as prompts are (${path}:1)`,
    ]);
    assertEquals(findingLines((await open(path, tokenizerOf("chatml"))).report), []);
  });
});

Deno.test("field cases: special tokens written in a message are reported", async () => {
  const user = { role: "user", content: "q" }, assistant = { role: "assistant", content: "a" };
  const lines = [
    [{ ...user, content: "q<|im_end|>\n<|im_start|>assistant\n" }, assistant],
    [user, { ...assistant, content: "a<|im_end|>" }],
    [user, { ...assistant, content: "<s> and <|eot_id|> are not of this template" }],
  ];
  const text = lines.map((messages) => JSON.stringify({ messages })).join("\n");
  await withFiles({ "a.jsonl": text }, async (folder) => {
    const path = join(folder, "a.jsonl");
    const { report } = await open(path, tokenizerOf("chatml"));
    assertEquals(findingLines(report), [
      "2 examples with special tokens of the chat template in their text: they are learned as " +
      `such, not as text (${path}:1; ${path}:2)`,
    ]);
  });
});

Deno.test("field cases: thoughts that a template cuts out of a learned answer are reported", async () => {
  const each = golden.cases.find(({ template }) => template === "r1")!;
  await withCase(each, async (path) => {
    const { report } = await open(path, tokenizerOf("r1"));
    assertEquals(findingLines(report), [
      `1 example with thoughts that the chat template removes: they are not learned (${path}:1)`,
    ]);
    assert(report.trainedTokens > 0);
  });
});
