/** Records of published data sets under other names: what they would have to look like. */
import { assertEquals } from "@std/assert";
import { detectFormat } from "../../../src/data/instruct/record_format.ts";
import { UserError } from "../../../src/options/user_error.ts";
import { assertRefuses } from "../../support_errors.ts";

const declared = (entry: unknown) =>
  `declare the fields in a dataset_info.json: {"my_data":{"file_name":"…",${
    JSON.stringify(entry).slice(1, -1)
  }}}`;
const message = { role: "user", content: "q" };
const preferences = "which cannot be trained on: keep the better answer, as " +
  '{"prompt": …, "completion": …}';

/** Data set, record, hint. */
const CASES: [string, Record<string, unknown>, string][] = [
  [
    "GSM8K",
    { question: "q", answer: "a" },
    'rename "question" to "instruction", "answer" to ' +
    `"output", or ${declared({ columns: { prompt: "question", response: "answer" } })}`,
  ],
  [
    "Dolly",
    { instruction: "q", context: "", response: "a", category: "c" },
    'rename "context" to ' +
    `"input", "response" to "output", or ${
      declared({ columns: { prompt: "instruction", query: "context", response: "response" } })
    }`,
  ],
  [
    "OpenOrca",
    { id: 1, system_prompt: "s", question: "q", response: "a" },
    'rename "question" to ' +
    `"instruction", "response" to "output", "system_prompt" to "system", or ${
      declared({ columns: { prompt: "question", response: "response", system: "system_prompt" } })
    }`,
  ],
  [
    "Firefly",
    { kind: "k", input: "q", target: "a" },
    'rename "input" to "instruction", "target" ' +
    `to "output", or ${declared({ columns: { prompt: "input", response: "target" } })}`,
  ],
  [
    "medical-o1",
    { Question: "q", Response: "a" },
    'rename "Question" to "instruction", ' +
    `"Response" to "output", or ${
      declared({ columns: { prompt: "Question", response: "Response" } })
    }`,
  ],
  ["WildChat", { model: "m", conversation: [message] }, 'rename "conversation" to "messages"'],
  ["ShareGPT", { items: [{ from: "human", value: "q" }] }, 'rename "items" to "conversations"'],
  [
    "speakers",
    { turns: [{ speaker: "user", text: "q" }] },
    declared({
      formatting: "sharegpt",
      columns: { messages: "turns" },
      tags: { role_tag: "speaker", content_tag: "text" },
    }),
  ],
  ["HH-RLHF", { chosen: "a", rejected: "b" }, `"chosen" is for preferences, ${preferences}`],
  [
    "OpenAI's preferences",
    { input: {}, preferred_output: [] },
    `"preferred_output" is for preferences, ${preferences}`,
  ],
  [
    "xLAM",
    { query: "q", answers: "[]", tools: "[]" },
    'write the calls in "answers" as the ' +
    'assistant\'s, as {"messages": [{"role": "user", "content": …}, {"role": "assistant", ' +
    '"tool_calls": […]}], "tools": […]}',
  ],
  [
    "one message a row",
    message,
    "each record is one message: join those of a dialogue, as " +
    '{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}',
  ],
];

for (const [name, record, hint] of CASES) {
  Deno.test(`unknown records, ${name}: what would be right`, () => {
    const error = assertRefuses(
      () => detectFormat(record, "a:1"),
      UserError,
      `a:1: no format of instruction data has the fields ${Object.keys(record).join(", ")}`,
    );
    assertEquals(error.hint, hint);
  });
}
