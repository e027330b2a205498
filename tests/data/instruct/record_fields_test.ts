/** Values of records: which are understood in which forms, and which are refused where they stand. */
import { assertEquals } from "@std/assert";
import { type FormatName, recordFormat } from "../../../src/data/instruct/record_format.ts";
import { RecordError } from "../../../src/data/instruct/record_values.ts";
import { toExample } from "../../../src/data/instruct/records.ts";
import { parseJson, stringifyJson } from "../../../src/files/json_value.ts";
import { assertRefuses } from "../../support_errors.ts";

const WEATHER = {
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } } },
};
const TOOL = { type: "function", function: WEATHER };

/** The example of a record of OpenAI's form. */
function openai(record: unknown, fromTable = false) {
  const example = toExample(record, recordFormat("openai"), "a:1", { fromTable });
  if (example.kind !== "chat") throw new Error("a dialogue");
  return example;
}

const calling = (call: Record<string, unknown>) => ({
  messages: [
    { role: "user", content: "Oslo?" },
    { role: "assistant", content: null, ...call },
  ],
});
const callOf = (given: unknown) => ({
  tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: given } }],
});

Deno.test("tool calls: arguments as a string are the object that they spell", () => {
  const expected = openai(calling(callOf({ city: "Oslo" }))).messages;
  assertEquals(openai(calling(callOf('{"city": "Oslo"}'))).messages, expected);
  assertEquals(
    openai(calling({ tool_calls: JSON.stringify(callOf({ city: "Oslo" }).tool_calls) })).messages,
    expected,
  );
  const source = '{"b":1.0,"2":12345678901234567890,"1":[1e-7,null],"a":null}';
  for (const fromTable of [false, true]) {
    const [, { tool_calls: [call] }] = openai(calling(callOf(source)), fromTable).messages as [
      unknown,
      { tool_calls: [{ function: { arguments: unknown } }] },
    ];
    assertEquals(stringifyJson(call.function.arguments), source);
  }
});

Deno.test("OpenAI's older form: function_call, functions and results are calls, tools and results", () => {
  const older = openai({
    messages: [
      { role: "user", content: "Oslo?" },
      {
        role: "assistant",
        content: null,
        function_call: { name: "weather", arguments: '{"city":"Oslo"}' },
      },
      { role: "function", name: "weather", content: "4" },
      { role: "assistant", content: "4 degrees." },
    ],
    functions: [WEATHER],
  });
  const call = { type: "function", function: { name: "weather", arguments: { city: "Oslo" } } };
  assertEquals(older.messages.slice(1, 3), [
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", name: "weather", content: "4" },
  ]);
  assertEquals(older.tools, [TOOL]);
  assertEquals(older.ignored, undefined);
});

Deno.test("tables: null stands for what is not there; JSON's null is a value", () => {
  const given = { city: "Oslo", days: null, near: [{ km: null, of: "x" }, null] };
  const argumentsIn = (fromTable: boolean) => {
    const { tool_calls } = openai(calling(callOf(given)), fromTable).messages[1];
    return (tool_calls as [{ function: { arguments: unknown } }])[0].function.arguments;
  };
  assertEquals(argumentsIn(false), given);
  assertEquals(argumentsIn(true), { city: "Oslo", near: [{ of: "x" }, null] });
  const none = openai(calling(callOf(null)), true).messages[1].tool_calls;
  assertEquals(none, callOf({}).tool_calls);
});

Deno.test("tools: null is left out of a schema, but not where it is a value", () => {
  const filled = {
    type: "function",
    function: {
      name: "f",
      description: null,
      strict: null,
      parameters: {
        properties: {
          city: { type: "string", enum: ["a", null], default: null, minLength: null },
          default: null,
          day: null,
          const: { const: null },
        },
        required: null,
      },
    },
  };
  const properties = {
    city: { type: "string", enum: ["a", null], default: null },
    const: { const: null },
  };
  const expected = [{ type: "function", function: { name: "f", parameters: { properties } } }];
  const record = (tools: unknown) => ({ messages: [{ role: "user", content: "q" }], tools });
  assertEquals(openai(record([filled])).tools, expected);
  assertEquals(openai(record(JSON.stringify([filled]))).tools, expected);
  assertEquals(openai(record([JSON.stringify(filled)])).tools, expected);
  const asText = { name: "g", parameters: '{"type":"object","properties":{}}' };
  assertEquals(openai(record([asText])).tools, [{
    name: "g",
    parameters: { type: "object", properties: {} },
  }]);
  for (const nothing of [null, "", [], "[]"]) {
    assertEquals(openai(record(nothing)).tools, undefined);
  }
});

Deno.test("weights: 0 and 1, in any kind of number", () => {
  const weightOf = (weight: unknown) =>
    openai({ messages: [{ role: "assistant", content: "a", weight }] }).messages[0].weight;
  const zeros = [0, 0n, parseJson("0.0")], ones = [1, 1n, parseJson("1.0")];
  assertEquals(zeros.map(weightOf), [0, 0, 0]);
  assertEquals(ones.map(weightOf), [1, 1, 1]);
  assertEquals(weightOf(null), undefined);
});

Deno.test("weights by the names of other programs: axolotl's train, ms-swift's loss", () => {
  for (const [name, values] of [["train", [false, true]], ["loss", [0, 1.0]]] as const) {
    const answers = values.map((each) => ({ ...assistant, [name]: each }));
    const { messages } = openai({ messages: [user, answers[0], user, answers[1]] });
    assertEquals(messages.map(({ weight, [name]: left }) => [weight, left]), [
      [undefined, undefined],
      [0, undefined],
      [undefined, undefined],
      [1, undefined],
    ]);
  }
});

Deno.test("remarks: an empty completion is an empty answer", () => {
  const of = (completion: string) =>
    toExample({ prompt: "a", completion }, recordFormat("prompt_completion"), "a:1").remarks;
  assertEquals([of(" "), of("b")], [["emptyAnswers"], undefined]);
});

Deno.test("messages may be JSON in a string, as flat tables have them", () => {
  const messages = [user, assistant];
  assertEquals(openai({ messages: JSON.stringify(messages) }).messages, messages);
});

Deno.test("a system prompt under another name is none that is lost if the dialogue begins with it", () => {
  const messages = [{ role: "system", content: "s" }, user, assistant];
  assertEquals(openai({ messages, system_prompt: "s" }).ignored, ["system_prompt"]);
});

Deno.test("content: null only beside calls, which the template then sees", () => {
  assertEquals(openai(calling(callOf({}))).messages[1].content, null);
  const { messages } = openai({
    messages: [{ role: "user", content: [{ type: "text", text: "a", image_url: null }] }],
  });
  assertEquals(messages, [{ role: "user", content: "a" }]);
});

Deno.test("fields that are not read are named; those that mean something are refused", () => {
  const record = { id: 1, instruction: "a", output: "b", source: "web", tags: [], none: null };
  assertEquals(toExample(record, recordFormat("alpaca"), "a:1").ignored, ["id", "source"]);
  const declared = { ...recordFormat("alpaca", { system: null }), isDeclared: true };
  const more = { ...record, system: "s", chosen: "c" };
  assertEquals(toExample(more, declared, "a:1").ignored, ["id", "source", "system", "chosen"]);
});

Deno.test("remarks: empty answers, a dialogue that ends with a question, two system prompts", () => {
  const remarks = (...messages: unknown[]) => openai({ messages }).remarks;
  const [user, empty] = [{ role: "user", content: "q" }, { role: "assistant", content: "" }];
  assertEquals(remarks(user, empty), ["emptyAnswers"]);
  assertEquals(remarks(user, { ...empty, content: " \n" }), ["emptyAnswers"]);
  assertEquals(remarks(user, { ...empty, weight: 0 }), undefined);
  assertEquals(remarks({ ...user, content: " " }, assistant), ["emptyQuestions"]);
  assertEquals(remarks(user, { ...empty, content: "r" }, user), ["unanswered"]);
  const system = (content: string) => ({
    system: "field",
    messages: [{ role: "system", content }, user, { role: "assistant", content: "r" }],
  });
  assertEquals(openai(system("message")).remarks, ["twoSystems"]);
  assertEquals(openai(system("message")).messages[0].content, "message");
  assertEquals(openai(system("field")).remarks, undefined);
  assertEquals(openai(system("field")).messages.length, 3);
});

const user = { role: "user", content: "q" }, assistant = { role: "assistant", content: "r" };
const [human, gpt] = [{ from: "human", value: "q" }, { from: "gpt", value: "r" }];
const pair = { instruction: "a", output: "b" };
const message = (fields: Record<string, unknown>) => ({
  messages: [user, { ...assistant, ...fields }],
});
const tools = (...tools: unknown[]) => ({ messages: [user], tools });

/** Format, record, message below "a:1: ", kind. */
const REFUSED: [FormatName, unknown, string, string?][] = [
  ["alpaca", { ...pair, output: 1 }, 'field "output" must be a string, got 1 (an integer)'],
  ["alpaca", { ...pair, output: 10n ** 20n }, "got 100000000000000000000 (an integer)"],
  ["alpaca", { ...pair, output: parseJson("1.50") }, "got 1.50 (a number)"],
  ["alpaca", { ...pair, output: true }, "must be a string, got true"],
  ["alpaca", { ...pair, output: new Uint8Array(3) }, "must be a string, got 3 bytes"],
  ["alpaca", { ...pair, output: new Date(0) }, "got 1970-01-01T00:00:00.000Z (a date)"],
  ["alpaca", { ...pair, output: "a\ud83d" }, "half of a surrogate pair, \\ud83d, at character 2"],
  ["alpaca", { ...pair, input: 2 }, 'field "input" must be a string, got 2'],
  ["alpaca", { ...pair, history: [["q", 1]] }, "history[0][1] must be a string, got 1"],
  ["alpaca", { ...pair, history: [["q", "a", "b"]] }, "history[0] must be [question, answer]"],
  ["alpaca", { ...pair, images: ["a.png"] }, '"images" (["a.png"]) is for pictures', "unsupported"],
  ["alpaca", { ...pair, kto_tag: false }, '"kto_tag" (false) is for preferences', "unsupported"],
  [
    "prompt_completion",
    { prompt: "a", completion: "b", label: false },
    '"label" (false) has no place here',
    "unsupported",
  ],
  [
    "prompt_completion",
    { prompt: "a", completion: "b", system: "s" },
    '"system" ("s") has no place here',
    "unsupported",
  ],
  ["text", { text: 5 }, 'field "text" must be a string, got 5'],
  ["openai", message({ weight: 2 }), "messages[1].weight must be 0 or 1, got 2 (an integer)"],
  ["openai", message({ weight: 0.5 }), "messages[1].weight must be 0 or 1, got 0.5 (a number)"],
  ["openai", message({ weight: true }), "messages[1].weight must be 0 or 1, got true"],
  ["openai", message({ weight: "1" }), 'messages[1].weight must be 0 or 1, got "1"'],
  ["openai", message({ name: 1 }), "messages[1].name must be a string, got 1"],
  ["openai", message({ tool_call_id: 1n }), "messages[1].tool_call_id must be a string, got 1"],
  [
    "openai",
    message({ reasoning_content: ["a"] }),
    'messages[1].reasoning_content must be a string, got ["a"]',
  ],
  ["openai", message({ refusal: "no" }), "a refusal is learned as content"],
  ["openai", message({ train: true, weight: 0 }), "messages[1] says twice whether it is learned"],
  ["openai", message({ loss: 0.7 }), "messages[1].loss must be 0 or 1, got 0.7 (a number)"],
  ["openai", message({ train_detail: [{}] }), "parts of a message cannot be left out of training"],
  [
    "openai",
    { messages: [{ ...user, train: true }, assistant] },
    "messages[0].train: only the assistant's messages are learned, not those of user",
  ],
  ["openai", { ...message({}), label: false }, '"label" (false) has no place here', "unsupported"],
  ["openai", { ...message({}), system_prompt: "s" }, '"system_prompt" ("s")', "unsupported"],
  ["openai", { ...message({}), rejected_response: "c" }, "is for preferences", "unsupported"],
  ["alpaca", { ...pair, context: "c" }, '"context" ("c") has no place here', "unsupported"],
  ["text", { text: "q", role: "prompter" }, '"role" ("prompter") has no place', "unsupported"],
  [
    "openai",
    message({ content: null, tool_calls: [] }),
    "messages[1].content must be a string, got null",
  ],
  [
    "openai",
    message({ content: [{ type: "text", text: 1 }] }),
    "a part's text must be a string, got 1",
  ],
  ["openai", message({ extra: NaN }), "messages[1].extra must be a finite number, got NaN"],
  [
    "openai",
    message({ tool_calls: "x" }),
    'messages[1].tool_calls must be a list of calls, got "x"',
  ],
  [
    "openai",
    message({ tool_calls: [1] }),
    "messages[1].tool_calls[0] must be a JSON object, got 1",
  ],
  ["openai", message({ tool_calls: [{ id: 1 }] }), "tool_calls[0].id must be a string, got 1"],
  [
    "openai",
    message({ tool_calls: [{ type: "web" }] }),
    'tool_calls[0].type must be "function", got "web"',
  ],
  [
    "openai",
    message({ tool_calls: [{ id: "1" }] }),
    "tool_calls[0].function must be a JSON object, got nothing",
  ],
  [
    "openai",
    message({ tool_calls: [{ function: {} }] }),
    "tool_calls[0].function.name must be a string, got nothing",
  ],
  [
    "openai",
    message({ tool_calls: [{ function: { name: "" } }] }),
    "function.name must not be empty",
  ],
  [
    "openai",
    message(callOf("Oslo")),
    'tool_calls[0].function.arguments must be a JSON object, or a string with one, got "Oslo"',
  ],
  [
    "openai",
    message({ tool_calls: [{ function: { name: "f", parameters: { a: 1 } } }] }),
    'function.parameters ({"a":1}) has no place here, and would be lost',
  ],
  [
    "sharegpt",
    { conversations: [human, { from: "function_call", value: '{"name":"f","args":{}}' }] },
    "conversations[1].args ({}) has no place here",
  ],
  ["openai", message(callOf("[1]")), "arguments must be a JSON object, or a string with one"],
  ["openai", message(callOf([1])), "arguments must be a JSON object, got [1]"],
  ["openai", message({ function_call: "f" }), "messages[1].function_call must be a JSON object"],
  ["openai", message({ ...callOf({}), function_call: { name: "f" } }), "has its calls twice"],
  [
    "openai",
    { messages: [{ ...user, ...callOf({}) }] },
    "only the assistant calls functions, not user",
  ],
  ["openai", tools(5), "tools[0] must be a JSON object, got 5"],
  ["openai", tools({ type: "web_search" }), 'must be a function, got {"type":"web_search"}'],
  ["openai", tools({ type: "x", function: WEATHER }), "must be a function"],
  ["openai", tools({ name: 5 }), "tools[0].name must be a string, got 5"],
  [
    "openai",
    tools({ type: "function", function: { ...WEATHER, description: 1 } }),
    "tools[0].function.description must be a string",
  ],
  [
    "openai",
    tools({ ...WEATHER, parameters: [] }),
    "tools[0].parameters must be a JSON object, got []",
  ],
  ["openai", { messages: [user], tools: "f" }, "must be a list of functions"],
  [
    "openai",
    { messages: [user], tools: [TOOL], functions: [WEATHER] },
    "has both tools and functions",
  ],
  ["openai", { messages: [user, assistant], chosen: "c" }, "is for preferences", "unsupported"],
  ["sharegpt", { conversations: [gpt] }, "conversations[0]: the user must begin", "order"],
  ["sharegpt", { conversations: ["q", "a"] }, 'conversations[0] must be a message, got "q"'],
  [
    "sharegpt",
    { conversations: [human, human, gpt] },
    "conversations[1]: after user must come the assistant, not user",
    "order",
  ],
  [
    "sharegpt",
    { conversations: [human, gpt, gpt] },
    "conversations[2]: after assistant must come the user",
    "order",
  ],
  [
    "sharegpt",
    { conversations: [human, { from: "system", value: "s" }] },
    "conversations[1]: a system prompt must be the first",
    "order",
  ],
  [
    "sharegpt",
    { conversations: [human, { from: "function_call", value: '{"name": 1}' }] },
    "conversations[1].name must be a string, got 1",
  ],
  [
    "sharegpt",
    { conversations: [{ from: "gpt", role: null, value: 1 }] },
    "conversations[0].value must be a string, got 1",
  ],
];

for (const [format, record, text, kind] of REFUSED) {
  Deno.test(`refused, ${format}: ${text}`, () => {
    const error = assertRefuses(
      () => toExample(record, recordFormat(format), "a:1"),
      RecordError,
      text,
    );
    assertEquals([error.message.startsWith("a:1: "), error.kind], [true, kind ?? "invalid"]);
  });
}

Deno.test("turns of ShareGPT: what alternates, with several results of several calls", () => {
  const call = { from: "function_call", value: '[{"name": "f"}, {"name": "g"}]' };
  const result = { from: "observation", value: "1" };
  const conversations = [{ from: "system", value: "s" }, human, call, result, result, gpt, human];
  const example = toExample({ conversations }, recordFormat("sharegpt"), "a:1");
  assertEquals(example.kind === "chat" && example.messages.length, 7);
  assertEquals(example.remarks, ["unanswered"]);
});

Deno.test("refused: values nested too deep to be written, without an overflow", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 20_000; level++) deep = { deep };
  for (const record of [{ ...message({ extra: deep }) }, message({ content: deep })]) {
    assertRefuses(() => openai(record), RecordError, "deep");
  }
});
