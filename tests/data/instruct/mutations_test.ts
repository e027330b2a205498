/**
 * Every field of every record format, removed, of another type, null, huge, empty or twice: the
 * outcome is the right text, or a refusal that names the line and the field.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ChatTemplate } from "../../../src/data/instruct/chat_template.ts";
import type { Example } from "../../../src/data/instruct/example.ts";
import { ExampleCheck } from "../../../src/data/instruct/example_check.ts";
import type { FormatName } from "../../../src/data/instruct/record_format.ts";
import { emptyReport } from "../../../src/data/instruct/report.ts";
import { examplesOf, listSources, sourcesOf } from "../../../src/data/instruct/sources.ts";
import { withFiles } from "../support.ts";
import { DAY, tokenizers } from "./support.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

/** A field's rule decides what becomes of a value of another kind. */
type Rule =
  | "text" // required; any string
  | "optional" // a string, or nothing
  | "name" // a string that is not empty
  | "weight"
  | "role"
  | "call" // an assistant's text: nothing if it calls a function
  | "arguments" // an object, or a string with one
  | "tools"
  | "calls"
  | "older call"
  | "history"
  | "list" // a required list of messages
  | "element" // an object of a list
  | "pair"
  | "value" // whatever JSON has
  | "unused"; // ignored

const CALL = { name: "f", arguments: { x: 1, y: "ü" } };
const TOOL = { type: "function", function: { name: "f", description: "d", parameters: {} } };

interface Format {
  readonly format: FormatName;
  readonly record: Json;
  /** Paths and their rules. */
  readonly fields: readonly (readonly [string, Rule])[];
}

const FORMATS: readonly Format[] = [
  {
    format: "alpaca",
    record: {
      instruction: "a",
      input: "b",
      output: "c",
      system: "s",
      history: [["q", "r"]],
      tools: [TOOL],
      id: 5,
    },
    fields: [
      ["instruction", "text"],
      ["input", "optional"],
      ["output", "text"],
      ["system", "optional"],
      ["history", "history"],
      ["history.0", "pair"],
      ["history.0.0", "text"],
      ["history.0.1", "text"],
      ["tools", "tools"],
      ["tools.0", "element"],
      ["tools.0.function", "element"],
      ["tools.0.function.name", "name"],
      ["id", "unused"],
    ],
  },
  {
    format: "sharegpt",
    record: {
      conversations: [
        { from: "human", value: "q" },
        { from: "function_call", value: JSON.stringify(CALL) },
        { from: "observation", value: "4" },
        { from: "gpt", value: "r", weight: 1 },
      ],
      system: "s",
      tools: JSON.stringify([TOOL]),
    },
    fields: [
      ["conversations", "list"],
      ["conversations.0", "element"],
      ["conversations.0.from", "role"],
      ["conversations.0.value", "text"],
      ["conversations.1.from", "role"],
      ["conversations.2.value", "text"],
      ["conversations.3.value", "text"],
      ["conversations.3.weight", "weight"],
      ["system", "optional"],
      ["tools", "tools"],
    ],
  },
  {
    format: "openai",
    record: {
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: "q", name: "Ann" },
        {
          role: "assistant",
          content: "I look.",
          reasoning_content: "hm",
          tool_calls: [{ id: "1", type: "function", function: CALL }],
        },
        { role: "tool", content: "4", tool_call_id: "1" },
        { role: "assistant", content: "r", weight: 1 },
      ],
      tools: [TOOL],
    },
    fields: [
      ["messages", "list"],
      ["messages.0", "element"],
      ["messages.0.role", "role"],
      ["messages.0.content", "text"],
      ["messages.1.content", "text"],
      ["messages.1.name", "optional"],
      ["messages.2.content", "call"],
      ["messages.2.reasoning_content", "optional"],
      ["messages.2.tool_calls", "calls"],
      ["messages.2.tool_calls.0", "element"],
      ["messages.2.tool_calls.0.id", "optional"],
      ["messages.2.tool_calls.0.function", "element"],
      ["messages.2.tool_calls.0.function.name", "name"],
      ["messages.2.tool_calls.0.function.arguments", "arguments"],
      ["messages.2.tool_calls.0.function.arguments.x", "value"],
      ["messages.3.content", "text"],
      ["messages.3.tool_call_id", "optional"],
      ["messages.4.weight", "weight"],
      ["tools", "tools"],
      ["tools.0", "element"],
      ["tools.0.function.name", "name"],
      ["tools.0.function.description", "optional"],
    ],
  },
  {
    format: "openai",
    record: {
      messages: [
        { role: "user", content: "q" },
        { role: "assistant", content: "", function_call: { name: "f", arguments: '{"x":1}' } },
        { role: "function", name: "f", content: "4" },
        { role: "assistant", content: "r" },
      ],
      functions: [TOOL.function],
    },
    fields: [
      ["messages.1.function_call", "older call"],
      ["messages.1.function_call.name", "name"],
      ["messages.1.function_call.arguments", "arguments"],
      ["messages.2.name", "optional"],
      ["messages.2.content", "text"],
      ["functions", "tools"],
      ["functions.0", "element"],
      ["functions.0.name", "name"],
    ],
  },
  {
    format: "prompt_completion",
    record: { prompt: "p", completion: "c", id: "x" },
    fields: [["prompt", "text"], ["completion", "text"], ["id", "unused"]],
  },
  {
    format: "prompt_completion",
    record: {
      prompt: [{ role: "user", content: "q" }],
      completion: [{ role: "assistant", content: "r" }],
      system: "s",
    },
    fields: [
      ["prompt", "list"],
      ["completion", "list"],
      ["prompt.0.content", "text"],
      ["completion.0.role", "role"],
      ["completion.0.content", "text"],
      ["system", "optional"],
    ],
  },
  { format: "text", record: { text: "t", id: 1 }, fields: [["text", "text"], ["id", "unused"]] },
];

const HUGE = "xy".repeat(500_000);
const REMOVED = Symbol("removed");
/** What a field becomes; by default its own value, twice. */
const MUTATIONS: Record<string, unknown> = {
  removed: REMOVED,
  null: null,
  integer: 3,
  real: 0.5,
  "beyond 2^53": 12345678901234567890n,
  boolean: true,
  list: [1],
  object: { a: 1 },
  string: "z",
  huge: HUGE,
  empty: "",
  "no elements": [],
  "no fields": {},
  half: "\ud83d",
};

/** Whether a record with that value is refused; undefined if that depends on its other fields. */
function isRefused(rule: Rule, mutation: string): boolean | undefined {
  const isText = ["string", "huge", "empty"].includes(mutation);
  const isNothing = ["removed", "null"].includes(mutation);
  switch (rule) {
    case "text":
      return !isText;
    case "call":
    case "optional":
      return !isText && !isNothing;
    case "name":
      return !isText || mutation === "empty";
    case "weight":
      return !isNothing;
    case "role":
      return true;
    case "element":
    case "pair":
      return mutation === "removed" ? undefined : true;
    case "list":
      return mutation !== "no elements";
    case "arguments":
      return !isNothing && !["object", "no fields"].includes(mutation);
    case "tools":
    case "history":
      return !isNothing && !["empty", "no elements"].includes(mutation);
    case "older call":
      return !isNothing;
    case "calls":
      return !isNothing && mutation !== "no elements";
    case "value":
      return mutation === "half";
    case "unused":
      return false;
  }
}

/** The record as JSON, with the field at `path` replaced or, without a value, twice. */
function mutated(record: Json, path: string, value?: { readonly is: unknown }): string {
  const write = (at: Json, here: string): string => {
    if (Array.isArray(at)) {
      const elements = at.flatMap((each, index) => field(each, `${here}${index}`));
      return `[${elements.join(",")}]`;
    }
    if (typeof at === "bigint") return String(at);
    if (typeof at !== "object" || at === null) return JSON.stringify(at);
    const fields = Object.entries(at).flatMap(([key, each]) =>
      field(each, `${here}${key}`).map((text) => `${JSON.stringify(key)}:${text}`)
    );
    return `{${fields.join(",")}}`;
  };
  const field = (each: Json, here: string): string[] => {
    if (here !== path) return [write(each, `${here}.`)];
    // Of a key that occurs twice, the last value counts.
    if (!value) return ["[null]", write(each, `${here}.`)];
    return value.is === REMOVED ? [] : [write(value.is, "\0")];
  };
  return write(record, "");
}

// What the template and the trainer should make of a record, written without them.

const TEMPLATE = "{% for t in tools or [] %}[{{ t | tojson }}]{% endfor %}{% for m in messages %}" +
  "<{{ m.role }}>{% if m.name %}{{ m.name }}: {% endif %}" +
  "{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{{ m.content or '' }}" +
  "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}</>{% endfor %}" +
  "{% if add_generation_prompt %}<assistant>{% endif %}";

const spaced = (value: Json): string =>
  Array.isArray(value)
    ? `[${value.map(spaced).join(", ")}]`
    : typeof value === "object" && value !== null
    ? `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${spaced(v)}`).join(", ")}}`
    : typeof value === "bigint"
    ? String(value)
    : JSON.stringify(value);

const ALIASES: Record<string, string> = {
  human: "user",
  gpt: "assistant",
  observation: "tool",
  function: "tool",
};

function written(format: FormatName, record: Json): string {
  const listed = (value: Json): Json[] =>
    typeof value === "string" ? JSON.parse(value || "[]") : value ?? [];
  const system = record.system ? [{ role: "system", content: record.system }] : [];
  const tools = (functions: Json[]) =>
    functions.map((each) => `[${spaced(withoutNull(each))}]`).join("");
  const message = (m: Json) => {
    let { role = ALIASES[m.from] ?? m.from, content = m.value, tool_calls, function_call } = m;
    role = ALIASES[role] ?? role;
    if (role === "function_call") {
      [role, function_call, content] = ["assistant", JSON.parse(content), ""];
    }
    const calls = [...listed(tool_calls), ...(function_call ? [{ function: function_call }] : [])]
      .map((call) => {
        const { arguments: given } = call.function;
        const object = typeof given === "string" ? JSON.parse(given) : given ?? {};
        return spaced({ ...call.function, arguments: object });
      });
    return `<${role}>${m.name ? `${m.name}: ` : ""}${
      m.reasoning_content ? `(${m.reasoning_content})` : ""
    }${content ?? ""}${calls.join("")}</>`;
  };
  const all = (messages: Json[]) => messages.map(message).join("");
  switch (format) {
    case "alpaca": {
      const { instruction, input, output, history } = record;
      const turns = [...listed(history), [[instruction, input].filter(Boolean).join("\n"), output]];
      return tools(listed(record.tools)) + all([
        ...system,
        ...turns.flatMap((
          [q, r],
        ) => [{ role: "user", content: q }, { role: "assistant", content: r }]),
      ]);
    }
    case "prompt_completion":
      if (typeof record.prompt === "string") return record.prompt + record.completion;
      return all([...system, ...record.prompt, ...record.completion]);
    case "text":
      return record.text;
    default: {
      const functions = listed(record.functions).map((each) => ({
        type: "function",
        function: each,
      }));
      return tools([...listed(record.tools), ...functions]) +
        all([...system, ...record.messages ?? record.conversations]);
    }
  }
}

function withoutNull(value: Json): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== null).map((
      [key, each],
    ) => [key, withoutNull(each)]),
  );
}

interface Outcome {
  readonly text?: string;
  readonly refusal?: string;
}

/** What becomes of each line. */
async function outcomesOf(format: FormatName, path: string): Promise<Map<number, Outcome>> {
  const report = emptyReport(), outcomes = new Map<number, Outcome>();
  const template = new ChatTemplate(TEMPLATE, {
    name: "test",
    specialTokens: tokenizers.chat.specialTokens,
    now: DAY,
  });
  const check = new ExampleCheck({ template: () => template, tokenizer: tokenizers.chat }, report);
  const lineOf = (where: string) => Number(where.split(":").at(-1));
  const examples = examplesOf(
    await listSources(sourcesOf([path], { format })),
    (error, where) => outcomes.set(lineOf(where), { refusal: error.message }),
  );
  for await (const example of examples as AsyncIterable<Example>) {
    const text = check.written(example)?.text;
    const found = report.findings.map(({ kind, first }) => `${kind} at ${first.at(-1)}`).join();
    outcomes.set(lineOf(example.where), text === undefined ? { refusal: found } : { text });
  }
  return outcomes;
}

const counts = { learned: 0, refused: 0 };

for (const [number, { format, record, fields }] of FORMATS.entries()) {
  Deno.test(`mutations of ${format} ${number}: the right text, or a refusal with its place`, async () => {
    const cases = fields.flatMap(([path, rule]) => [
      ...Object.entries(MUTATIONS).map(([mutation, is]) => ({ path, rule, mutation, is: { is } })),
      ...(/\.\d+$/.test(path) ? [] : [{ path, rule, mutation: "twice", is: undefined }]),
    ]);
    const lines = [
      JSON.stringify(record),
      ...cases.map(({ path, is }) => mutated(record, path, is)),
    ];
    await withFiles({ "a.jsonl": lines.join("\n") }, async (folder) => {
      const outcomes = await outcomesOf(format, join(folder, "a.jsonl"));
      assertEquals(outcomes.size, lines.length);
      assertEquals(outcomes.get(1), { text: written(format, record) });
      for (const [index, { path, rule, mutation }] of cases.entries()) {
        const line = index + 2, outcome = outcomes.get(line)!;
        const what = `line ${line}: ${path}, ${mutation}: ${lines[index + 1].slice(0, 300)}`;
        if (mutation === "twice") {
          assertEquals(outcome.text, written(format, record), what);
          counts.learned++;
          continue;
        }
        if (outcome.refusal !== undefined) {
          assert(isRefused(rule, mutation) !== false, `${what}: ${outcome.refusal}`);
          const last = path.split(".").filter((part) => !/^\d+$/.test(part)).at(-1)!;
          const named = outcome.refusal.includes(`a.jsonl:${line}`) &&
            outcome.refusal.includes(last);
          assert(named, `${what}: ${outcome.refusal}`);
          counts.refused++;
        } else {
          assert(
            isRefused(rule, mutation) !== true,
            `${what}: is not refused: ${outcome.text?.slice(0, 200)}`,
          );
          const expected = written(format, parsed(lines[index + 1]));
          assert(
            outcome.text === expected,
            `${what}\n${outcome.text?.slice(0, 300)}\n${expected.slice(0, 300)}`,
          );
          counts.learned++;
        }
      }
    });
  });
}

Deno.test("mutations: none was left out", () => {
  assertEquals(counts, { learned: 270, refused: 681 });
});

/** With integers beyond 2^53 as bigints. */
function parsed(line: string): Json {
  return JSON.parse(line, (_, value, context?: { source: string }) => {
    const isLarge = typeof value === "number" && !Number.isSafeInteger(value) &&
      Number.isInteger(value);
    return isLarge ? BigInt(context!.source) : value;
  });
}
