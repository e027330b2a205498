/** What records of an unknown layout probably are, and what they would have to look like. */
import { isRecord } from "./record_values.ts";

type Json = Record<string, unknown>;

/** Fields of preference data. */
export const PREFERENCES = [
  "chosen",
  "rejected",
  "chosen_response",
  "rejected_response",
  "rejected_messages",
  "preferred_output",
  "non_preferred_output",
  "kto_tag",
];

/** Names that published data sets have for Alpaca's fields, without regard to case; best first. */
const NAMES = {
  prompt: ["instruction", "question", "query", "problem", "prompt", "input"],
  query: ["input", "context"],
  response: ["output", "response", "answer", "completion", "solution", "target"],
  system: ["system", "system_prompt"],
  history: ["history"],
};
/** Names of those fields in Alpaca's own records. */
const ALPACA: Record<string, string> = {
  prompt: "instruction",
  query: "input",
  response: "output",
};
const ROLES = ["role", "from", "speaker", "user"];
const CONTENTS = ["content", "value", "text"];

/** What to do with such records; undefined if they look like nothing known. */
export function remedyFor(record: Json): string | undefined {
  const preference = PREFERENCES.find((name) => Object.hasOwn(record, name));
  if (preference) {
    return `"${preference}" is for preferences, which cannot be trained on: keep the better answer, ` +
      'as {"prompt": …, "completion": …}';
  }
  if (nameIn(record, ROLES.slice(0, 1)) && nameIn(record, CONTENTS)) {
    return "each record is one message: join those of a dialogue, as " +
      '{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}';
  }
  if (Object.hasOwn(record, "tools") && nameIn(record, ["answers"])) {
    return 'write the calls in "answers" as the assistant\'s, as {"messages": [{"role": "user", ' +
      '"content": …}, {"role": "assistant", "tool_calls": […]}], "tools": […]}';
  }
  return dialogueIn(record) ?? pairIn(record);
}

/** A list of messages under another name. */
function dialogueIn(record: Json): string | undefined {
  for (const [name, value] of Object.entries(record)) {
    const first = Array.isArray(value) ? value[0] : undefined;
    if (!isRecord(first)) continue;
    const role = nameIn(first, ROLES), content = nameIn(first, CONTENTS);
    if (!role || !content) continue;
    if (role === "role" && content === "content") return `rename "${name}" to "messages"`;
    if (role === "from" && content === "value") return `rename "${name}" to "conversations"`;
    const tags = { role_tag: role, content_tag: content };
    return declared({ formatting: "sharegpt", columns: { messages: name }, tags });
  }
  return undefined;
}

/** A question and an answer under other names. */
function pairIn(record: Json): string | undefined {
  const columns: Record<string, string> = {};
  for (const [column, names] of Object.entries(NAMES)) {
    const taken = Object.values(columns);
    const name = nameIn(record, names.filter((each) => !taken.includes(each)));
    if (name) columns[column] = name;
  }
  if (!columns.prompt || !columns.response) return undefined;
  const renamed = Object.entries(columns)
    .filter(([column, name]) => (ALPACA[column] ?? column) !== name)
    .map(([column, name]) => `"${name}" to "${ALPACA[column] ?? column}"`);
  return `rename ${renamed.join(", ")}, or ${declared({ columns })}`;
}

function declared(entry: Json): string {
  const text = JSON.stringify({ my_data: { file_name: "…", ...entry } });
  return `declare the fields in a dataset_info.json: ${text}`;
}

/** The record's spelling of the first of these names that it has. */
function nameIn(record: Json, names: readonly string[]): string | undefined {
  for (const name of names) {
    const found = Object.keys(record).find((each) => each.toLowerCase() === name);
    if (found !== undefined) return found;
  }
  return undefined;
}
