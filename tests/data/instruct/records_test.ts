import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { datasetSources } from "../../../src/data/instruct/dataset_info.ts";
import { contentOf, type Example } from "../../../src/data/instruct/example.ts";
import type { FormatName } from "../../../src/data/instruct/record_format.ts";
import {
  examplesOf,
  type ExampleSource,
  kindOfData,
  listSources,
  sourcesOf,
} from "../../../src/data/instruct/sources.ts";
import { UserError } from "../../../src/options/user_error.ts";
import { withFiles } from "../support.ts";
import { golden, INSTRUCT } from "./support.ts";
import { assertRefusesAsync } from "../../support_errors.ts";

async function examplesIn(sources: readonly ExampleSource[]): Promise<Example[]> {
  return await Array.fromAsync(examplesOf(await listSources(sources)));
}

/** The examples of one record, without their places. */
async function read(record: unknown, format?: FormatName): Promise<Record<string, unknown>> {
  let content: Record<string, unknown> = {};
  await withFiles({ "a.json": JSON.stringify([record]) }, async (folder) => {
    const [example] = await examplesIn(sourcesOf([join(folder, "a.json")], { format }));
    content = JSON.parse(contentOf(example));
  });
  return content;
}

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const system = (content: string) => ({ role: "system", content });
const CALL = { id: "1", type: "function", function: { name: "f", arguments: { x: 1 } } };
const TOOLS = [{ type: "function", function: { name: "f" } }];

/** Name, record, expected example. */
const RECORDS: [string, unknown, Record<string, unknown>][] = [
  ["Alpaca", { instruction: "a", input: "", output: "c" }, {
    kind: "chat",
    messages: [user("a"), assistant("c")],
  }],
  ["Alpaca with an input", { instruction: "a", input: "b", output: "c", system: "" }, {
    kind: "chat",
    messages: [user("a\nb"), assistant("c")],
  }],
  ["Alpaca with all", {
    instruction: "a",
    input: null,
    output: "c",
    system: "s",
    history: [["q", "r"], ["t", "u"]],
    tools: JSON.stringify(TOOLS),
  }, {
    kind: "chat",
    messages: [system("s"), user("q"), assistant("r"), user("t"), assistant("u")]
      .concat(user("a"), assistant("c")),
    tools: TOOLS,
  }],
  ["Alpaca without an instruction", { instruction: "", input: "b", output: "c" }, {
    kind: "chat",
    messages: [user("b"), assistant("c")],
  }],
  ["ShareGPT", {
    id: 7,
    system: "s",
    conversations: [{ from: "human", value: "q" }, { from: "gpt", value: "r", markdown: null }],
  }, { kind: "chat", messages: [system("s"), user("q"), assistant("r")] }],
  ["ShareGPT with a call", {
    conversations: [
      { from: "system", value: "s" },
      { from: "human", value: "q" },
      { from: "function_call", value: '{"name": "f", "arguments": {"x": 1}}' },
      { from: "observation", value: "1" },
      { from: "gpt", value: "r" },
    ],
    tools: TOOLS,
  }, {
    kind: "chat",
    messages: [
      system("s"),
      user("q"),
      {
        role: "assistant",
        content: "",
        tool_calls: [{ type: "function", function: { name: "f", arguments: { x: 1 } } }],
      },
      { role: "tool", content: "1" },
      assistant("r"),
    ],
    tools: TOOLS,
  }],
  ["ShareGPT with OpenAI's tags", { conversations: [user("q"), assistant("r")] }, {
    kind: "chat",
    messages: [user("q"), assistant("r")],
  }],
  ["OpenAI", {
    messages: [
      { role: "developer", content: "s" },
      { role: "user", content: [{ type: "text", text: "q" }, { type: "text", text: "!" }] },
      { role: "assistant", content: null, tool_calls: [CALL], name: null },
      { role: "tool", content: "1", tool_call_id: "1" },
      { role: "assistant", content: "r", weight: 0 },
    ],
  }, {
    kind: "chat",
    messages: [
      system("s"),
      user("q!"),
      { role: "assistant", content: "", tool_calls: [CALL] },
      { role: "tool", content: "1", tool_call_id: "1" },
      { role: "assistant", content: "r", weight: 0 },
    ],
  }],
  ["prompt and completion", { prompt: "a", completion: " b" }, {
    kind: "completion",
    prompt: "a",
    completion: " b",
  }],
  ["prompt and completion as messages", {
    prompt: [user("q"), assistant("r"), user("s")],
    completion: [assistant("t")],
  }, {
    kind: "chat",
    messages: [
      ...[user("q"), assistant("r"), user("s")].map((each) => ({ ...each, weight: 0 })),
      assistant("t"),
    ],
  }],
  ["text", { text: "a", url: "b" }, { kind: "text", text: "a" }],
];

for (const [name, record, expected] of RECORDS) {
  Deno.test(`records, ${name}: as examples`, async () => {
    const { messages, ...example } = await read(record) as { messages?: { role: string }[] };
    assertEquals(sorted({ ...example, ...(messages && { messages }) }), sorted(expected));
  });
}

/** Independent of the order of fields. */
function sorted(value: unknown): string {
  return JSON.stringify(
    value,
    (_, each) =>
      typeof each === "object" && each !== null && !Array.isArray(each)
        ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1))
        : each,
  );
}

Deno.test("records: the same from JSON Lines and parquet, with their places", async () => {
  const expected = golden.dialogues.slice(0, 4);
  for (const [file, second] of [["sharegpt.jsonl", ":2"], ["sharegpt.parquet", ", row 2"]]) {
    const examples = await examplesIn(sourcesOf([INSTRUCT + file]));
    assertEquals(examples.map((each) => each.kind === "chat" && sorted(each.messages)), [
      ...expected.map(sorted),
    ]);
    assertEquals(examples[1].where, INSTRUCT + file + second);
    assertEquals((await examplesIn(sourcesOf([INSTRUCT + file], { limit: 3 }))).length, 3);
  }
  const [first, second] = await examplesIn(sourcesOf([INSTRUCT + "alpaca.json"]));
  assertEquals([first.where, second.where], [
    INSTRUCT + "alpaca.json:2",
    INSTRUCT + "alpaca.json:7",
  ]);
});

/** The record, the format if given, the message. */
const BROKEN: [unknown, FormatName | undefined, string][] = [
  [{ question: "a", answer: "b" }, undefined, "has the fields question, answer"],
  [{ words: "a", labels: "b" }, undefined, "; openai (messages); prompt"],
  [{ words: "a", labels: "b" }, undefined, "alpaca (instruction, output)"],
  [{}, undefined, "has the fields of an empty object"],
  [5, undefined, "a record must be a JSON object, got 5"],
  [{ text: "a" }, "alpaca", 'has no field "instruction"\n  hint: it has text'],
  [{ instruction: "a", output: null }, undefined, 'has no field "output" (it is null)'],
  [{ instruction: 1, output: "a" }, undefined, 'field "instruction" must be a string, got 1'],
  [{ instruction: "a", output: "b", history: [["q"]] }, undefined, "must be [question, answer]"],
  [{ instruction: "a", output: "b", tools: "f" }, undefined, "must be a list of functions"],
  [{ messages: "hello" }, undefined, '"messages" must be a list of messages, got "hello"'],
  [{ messages: ["hello"] }, undefined, 'messages[0] must be a message, got "hello"'],
  [
    { messages: [user("a"), { role: "narrator", content: "b" }] },
    undefined,
    'messages[1].role is "narrator", no known role\n  hint: known are human, user',
  ],
  [
    { messages: [{ role: "user" }] },
    undefined,
    "messages[0].content must be a string, got nothing",
  ],
  [
    { messages: [{ role: "user", content: [{ type: "image_url", image_url: "x" }] }] },
    undefined,
    'has a part that is not text: {"type":"image_url"',
  ],
  [
    { conversations: [{ from: "function_call", value: "f(1)" }] },
    undefined,
    'a function call must be JSON with "name" and "arguments", got "f(1)"',
  ],
  [
    { prompt: "a", completion: 5 },
    undefined,
    'field "completion" must be a string as the prompt is, got 5',
  ],
  [{ prompt: [], completion: "b" }, undefined, '"completion" must be a list of messages'],
];

for (const [record, format, message] of BROKEN) {
  Deno.test(`records: ${message}`, async () => {
    const error = await assertRefusesAsync(() => read(record, format), UserError, message);
    assertEquals(error.message.includes("a.json:1"), true, error.message);
  });
}

Deno.test("records: a broken line is named, and an array that does not end", async () => {
  const files = {
    "a.jsonl": '{"text": "x"}\n\n{"text": "y"\n',
    "b.json": '[\n{"text": "x"},\n{"text": "y',
    "c.txt": "text",
  };
  await withFiles(files, async (folder) => {
    const refused = (file: string, message: string) =>
      assertRefusesAsync(() => examplesIn(sourcesOf([join(folder, file)])), UserError, message);
    await refused("a.jsonl", "a.jsonl:3: is not valid JSON");
    await refused("b.json", "b.json:3: the JSON array does not end: the file stops inside");
    await refused("c.txt", "c.txt: a text has no examples");
  });
  await assertRefusesAsync(() => listSources([]), UserError, "no file given");
});

Deno.test("the kind of the data: texts, or records, not both", async () => {
  await withFiles({ "t/a.txt": "a", "t/b.md": "b", "c.jsonl": "{}" }, async (folder) => {
    assertEquals(await kindOfData([join(folder, "t")]), "text");
    assertEquals(await kindOfData([join(folder, "c.jsonl")]), "instruct");
    await assertRefusesAsync(() => kindOfData([folder]), UserError, "a run takes only one kind");
  });
});

const INFO = {
  plain: { file_name: "alpaca.json" },
  renamed: {
    file_name: "qa.json",
    columns: { prompt: "question", response: "answer" },
    num_samples: 1,
    split: "train",
  },
  wiki: { file_name: "qa.json", columns: { prompt: "question" } },
  shared: {
    file_name: "chat.jsonl",
    formatting: "sharegpt",
    columns: { messages: "talk", system: "sys" },
    tags: { role_tag: "who", content_tag: "what", user_tag: "U", assistant_tag: "A" },
  },
  plain_shared: { file_name: "shared.json", formatting: "sharegpt" },
  hub: { hf_hub_url: "org/set" },
  images: { file_name: "x.json", formatting: "sharegpt", columns: { images: "i" }, ranking: true },
};

const DATASET = {
  "dataset_info.json": JSON.stringify(INFO),
  "alpaca.json": JSON.stringify([{ instruction: "a", output: "b", system: "unmapped" }]),
  "qa.json": JSON.stringify([{ question: "q", answer: "r" }, { question: "s", answer: "t" }]),
  "chat.jsonl": JSON.stringify({
    talk: [{ who: "U", what: "q" }, { who: "A", what: "r" }],
    sys: "s",
    system: "unmapped",
  }),
  "shared.json": JSON.stringify([{ conversations: [{ from: "human", value: "q" }] }]),
};

Deno.test("dataset_info.json: data sets by name, with their columns and tags", async () => {
  await withFiles(DATASET, async (folder) => {
    const contents = async (...names: string[]) => {
      const examples = await examplesIn(await datasetSources(folder, names));
      return examples.map((each) => JSON.parse(contentOf(each)));
    };
    assertEquals(await contents("plain", "renamed"), [
      { kind: "chat", messages: [user("a"), assistant("b")] },
      { kind: "chat", messages: [user("q"), assistant("r")] }, // one sample of two
    ]);
    assertEquals(await contents("wiki"), [
      { kind: "text", text: "q" },
      { kind: "text", text: "s" },
    ]);
    assertEquals(await contents("shared", "plain_shared"), [
      { kind: "chat", messages: [system("s"), user("q"), assistant("r")] },
      { kind: "chat", messages: [user("q")] },
    ]);
    const [source] = await datasetSources(folder, ["renamed"]);
    assertEquals([source.name, source.limit], ["renamed", 1]);
  });
});

Deno.test("dataset_info.json: what is not supported is named, all at once", async () => {
  await withFiles(DATASET, async (folder) => {
    const error = await assertRejects(
      () => datasetSources(folder, ["hub", "images", "none", "plain"]),
      UserError,
    );
    for (
      const part of [
        'dataset_info.json: hub: "hf_hub_url" is not supported here: download the files, and name',
        'hub: "file_name" must name a file of the folder',
        'images: "ranking": preference data is not supported',
        'images: "columns.images" is not supported here; known are messages, system, tools',
        'has no dataset "none"; it has plain, renamed',
      ]
    ) assertEquals(error.message.includes(part), true, `${part}\nnot in\n${error.message}`);
  });
  await assertRefusesAsync(
    () => datasetSources("/nowhere", ["a"]),
    UserError,
    "/nowhere/dataset_info.json: cannot be read",
  );
  const files = (info: unknown) => ({ "dataset_info.json": JSON.stringify(info) });
  const refused = (entry: unknown, message: string) =>
    withFiles(files({ a: entry }), async (folder) => {
      await assertRefusesAsync(() => datasetSources(folder, ["a"]), UserError, message);
    });
  await refused({ file_name: "x", folder: "y" }, '"folder" is not supported here; known are');
  await refused(
    { file_name: "x", columns: { prompt: "p", chosen: "c" } },
    '"columns.chosen" is for preferences, which cannot be trained on',
  );
  const nulls = { file_name: "x", folder: null, formatting: null, tags: null, num_samples: null };
  await withFiles(
    files({ a: { ...nulls, columns: { prompt: "p", query: null } } }),
    async (dir) => {
      const [{ format }] = await datasetSources(dir, ["a"]);
      assertEquals([format!.name, format!.columns.prompt, format!.columns.query], [
        "text",
        "p",
        "input",
      ]);
    },
  );
  await refused({ file_name: "x", formatting: "csv" }, "must be alpaca, sharegpt or openai");
  await refused({ file_name: "x", num_samples: 0 }, '"num_samples" must be a positive integer');
  await refused({ file_name: "x", tags: {} }, '"tags" belong to formatting sharegpt');
  await refused(
    { file_name: "x", columns: { query: "q" } },
    'must say which field is the "prompt"',
  );
  await refused({ file_name: "x", columns: { prompt: 5 } }, '"columns.prompt" must be a string');
});
