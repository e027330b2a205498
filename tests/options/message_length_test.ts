/** Whatever a program is given, what it says fits on a screen, at once. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import {
  BatchStream,
  chatTemplate,
  explain,
  finetuneOptions,
  GgufFile,
  InstructStream,
  loadTask,
  loadTokenizer,
  memoryOptions,
  openPretrained,
  parseTaskSpecs,
  pretrainOptions,
  readConfigFile,
  readLlamaConfig,
  resolveConfig,
  resolveModel,
  Safetensors,
  UserError,
} from "../../mod.ts";
import { FLAGS } from "../../src/options/spelling.ts";
import { serverOptions } from "../../src/server/options.ts";
import { quoted, shortened } from "../../src/text.ts";

const LONG = "x/y 'é\n".repeat(20_000);
const TEXTS = Array.from({ length: 10_000 }, (_, i) => `text ${i}`);
const FIELDS = Object.fromEntries(TEXTS.map((name) => [name, 1]));
const DEEP: unknown = Array.from({ length: 5_000 }).reduce((inner) => [inner], 5);

/** Values that no option takes, and some do. */
const VALUES: readonly unknown[] = [LONG, "x".repeat(1e5), TEXTS, FIELDS, DEEP, [LONG], 5n, NaN];

/** Fails unless the call throws a UserError that is short in every spelling, or succeeds. */
async function assertShort(name: string, call: () => unknown): Promise<void> {
  const start = performance.now();
  try {
    await call();
  } catch (error) {
    const texts = error instanceof UserError
      ? [explain(error), explain(error, FLAGS), error.message, error.hint ?? ""]
      : [String(error)];
    for (const text of texts) {
      const lines = text.split("\n").length;
      assert(text.length <= 12_000 && lines <= 60, `${name}: ${text.length} in ${lines} lines`);
    }
    assert(error instanceof UserError, `${name}: ${texts[0].slice(0, 300)}`);
  }
  const seconds = (performance.now() - start) / 1000;
  assert(seconds < 10, `${name}: took ${seconds} s`);
}

for (
  const [name, options, least] of [
    ["pretrain", pretrainOptions, { model: "llama_nano", data: ["a"], output: "o" }],
    ["finetune", finetuneOptions, { model: "llama_nano", data: ["a"], output: "o" }],
    ["memory", memoryOptions, { model: "llama_nano" }],
    ["server", serverOptions, {}],
  ] as const
) {
  Deno.test(`options of ${name}: enormous values`, async () => {
    for (const option of Object.keys(options.fields)) {
      for (const [index, value] of VALUES.entries()) {
        for (const parse of [options.parse, options.parseUnknown]) {
          await assertShort(
            `${option}, value ${index}`,
            () => (parse as (input: unknown) => unknown)({ ...least, [option]: value }),
          );
        }
      }
    }
    await assertShort("names", () => options.parseUnknown({ [LONG]: 1 }));
    await assertShort("many names", () => options.parseUnknown(FIELDS));
  });
}

Deno.test("data: enormous items", async () => {
  const tokenizer = await loadTokenizer("bytes");
  const stream = { split: "train", tokenizer, batchSize: 1, seqLen: 8, heldOutShare: 0 } as const;
  const answer = (content: unknown) => ({ messages: [{ role: "user", content: "a" }, content] });
  const items: readonly object[] = [
    FIELDS,
    { text: FIELDS },
    { text: DEEP },
    { [LONG]: 1 },
    { instruction: LONG, output: TEXTS },
    { instruction: "a", output: "b", [LONG]: LONG },
    { instruction: "a", output: "b", system_prompt: LONG },
    { prompt: TEXTS, completion: LONG },
    { messages: LONG },
    { messages: [LONG] },
    answer({ role: LONG, content: "b" }),
    answer({ role: "assistant", content: FIELDS }),
    answer({ role: "assistant", content: "b", name: TEXTS }),
    answer({ role: "assistant", tool_calls: [{ function: { name: LONG, arguments: LONG } }] }),
    { ...answer({ role: "assistant", content: "b" }), tools: LONG },
    { ...answer({ role: "assistant", content: "b" }), chat_template_kwargs: { [LONG]: 1 } },
  ];
  for (const [index, item] of items.entries()) {
    await assertShort(`text ${index}`, () => BatchStream.open({ ...stream, data: [item] }));
    await assertShort(`example ${index}`, async () => {
      const { report } = await InstructStream.open({ ...stream, template: "chatml", data: [item] });
      assertEquals(report.records, 1);
    });
  }
  for (const data of [LONG, [LONG], [LONG, LONG], TEXTS.slice(0, 3), [[LONG, FIELDS]]]) {
    await assertShort("data", () => BatchStream.open({ ...stream, data }));
    await assertShort("data", () => InstructStream.open({ ...stream, data }));
  }
  await assertShort(
    "columns",
    () => InstructStream.open({ ...stream, data: { rows: [{}], columns: { [LONG]: LONG } } }),
  );
  const field = { ...stream, textField: LONG, data: [{ text: "a" }] };
  await assertShort("textField", () => BatchStream.open(field));
});

Deno.test("other functions: enormous arguments", async () => {
  const tokenizer = await loadTokenizer("bytes"), folder = await Deno.makeTempDir();
  const file = async (name: string, content: unknown) => {
    const path = join(folder, name),
      text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(path, text);
    return path;
  };
  try {
    for (const long of [LONG, "x".repeat(1e6), `hf:${"x".repeat(1e6)}/y`, `hf:a/${LONG}`]) {
      const calls: Record<string, () => unknown> = {
        loadTokenizer: () => loadTokenizer(long),
        openPretrained: () => openPretrained(long),
        resolveConfig: () => resolveConfig(long),
        resolveModel: () => resolveModel(long),
        safetensors: () => Safetensors.open(long),
        gguf: () => GgufFile.open(long),
        task: () => loadTask(parseTaskSpecs(long)[0]),
        template: () => chatTemplate(long, tokenizer),
        config: () => readConfigFile(long, pretrainOptions),
        messages: () =>
          chatTemplate("chatml", tokenizer).render([{ role: long, content: long }], long),
      };
      for (const [name, call] of Object.entries(calls)) await assertShort(name, call);
    }
    for (
      const [name, json] of [
        ["list", TEXTS],
        ["fields", FIELDS],
        ["type", { model_type: LONG }],
        ["sizes", { model_type: "llama", hidden_size: LONG, num_hidden_layers: FIELDS }],
        ["rope", { model_type: "llama", hidden_size: 8, rope_scaling: { type: LONG } }],
      ] as const
    ) {
      const path = await file(`${name}.json`, json);
      await assertShort(name, () => readLlamaConfig(path));
      await assertShort(name, () => loadTokenizer(path));
      await assertShort(name, () => readConfigFile(path, finetuneOptions));
    }
    for (const yaml of [`lr: ${LONG.replaceAll("\n", " ")}`, `${"x".repeat(1e5)}: 1`, LONG]) {
      const path = await file("run.yaml", yaml);
      await assertShort("yaml", () => readConfigFile(path, finetuneOptions));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a value in a message is its JSON, or the beginning and its length", () => {
  for (const value of ["a", 5, null, true, ["a", { b: 1 }], { a: '"' }]) {
    assertEquals(quoted(value), JSON.stringify(value));
  }
  assertEquals(quoted(undefined), "undefined");
  assertEquals(quoted(5n), "5");
  assertEquals(quoted("ab".repeat(100_000)), `"${"ab".repeat(50)}…" (200,000 characters)`);
  assertEquals(quoted(TEXTS).length < 260, true);
  assertEquals(shortened("😀".repeat(100), 3), "😀\ufffd… (200 characters)");
  const circle: unknown[] = [];
  circle.push(circle);
  assertEquals(quoted(circle), "a value that JSON cannot hold");
});
