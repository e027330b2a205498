/** Converts a record in one of the formats to an {@link Example}. */
import { isObject } from "../../files/fields.ts";
import { UserError } from "../../options/user_error.ts";
import type { ChatExample, Example, Message } from "./example.ts";
import { excerpt, type RecordFormat, type Tags } from "./record_format.ts";

type Json = Record<string, unknown>;

/** Throws a {@link UserError} that names place and field if the record does not fit the format. */
export function toExample(value: unknown, format: RecordFormat, where: string): Example {
  if (!isObject(value)) {
    throw new UserError(`${where}: a record must be a JSON object, got ${excerpt(value)}`);
  }
  switch (format.name) {
    case "alpaca":
      return fromAlpaca(value, format, where);
    case "sharegpt":
    case "openai":
      return fromMessages(value, format, where);
    case "prompt_completion":
      return fromCompletion(value, format, where);
    case "text":
      return { kind: "text", text: textIn(value, format.columns.prompt, where), where };
  }
}

/** Taori et al. 2023; `history` (pairs of earlier turns) and `system` as in LLaMA-Factory. */
function fromAlpaca(record: Json, { columns }: RecordFormat, where: string): ChatExample {
  const messages = systemIn(record, columns.system, where);
  for (const pair of listIn(record, columns.history, where)) {
    if (!Array.isArray(pair) || pair.length !== 2 || pair.some((each) => !isString(each))) {
      throw new UserError(
        `${where}: each of "${columns.history}" must be [question, answer], got ${excerpt(pair)}`,
      );
    }
    messages.push({ role: "user", content: pair[0] }, { role: "assistant", content: pair[1] });
  }
  const query = optionalText(record, columns.query, where);
  const prompt = textIn(record, columns.prompt, where);
  messages.push(
    { role: "user", content: query && prompt ? `${prompt}\n${query}` : prompt || (query ?? "") },
    { role: "assistant", content: textIn(record, columns.response, where) },
  );
  return { kind: "chat", messages, ...toolsIn(record, columns.tools, where), where };
}

/** ShareGPT's `conversations` and OpenAI's `messages`. */
function fromMessages(record: Json, { columns, tags }: RecordFormat, where: string): ChatExample {
  const messages = systemIn(record, columns.system, where);
  const listed = fieldOf(record, columns.messages, where);
  if (!Array.isArray(listed)) throw fault(where, columns.messages, "a list of messages", listed);
  listed.forEach((each, index) => {
    messages.push(toMessage(each, tags, `${where}: ${columns.messages}[${index}]`));
  });
  return { kind: "chat", messages, ...toolsIn(record, columns.tools, where), where };
}

/** Strings, or (as in TRL) messages on both sides, of which the prompt's are not trained on. */
function fromCompletion(record: Json, { columns }: RecordFormat, where: string): Example {
  const prompt = fieldOf(record, columns.prompt, where);
  const completion = fieldOf(record, columns.response, where);
  if (isString(prompt) && isString(completion)) {
    return { kind: "completion", prompt, completion, where };
  }
  if (!Array.isArray(prompt)) throw fault(where, columns.prompt, "a string", prompt);
  if (!Array.isArray(completion)) {
    throw fault(where, columns.response, "a list of messages as the prompt is", completion);
  }
  const messagesOf = (list: unknown[], name: string) =>
    list.map((each, index) => toMessage(each, undefined, `${where}: ${name}[${index}]`));
  const before = messagesOf(prompt, columns.prompt).map((each) => ({ ...each, weight: 0 }));
  const messages = [...before, ...messagesOf(completion, columns.response)];
  return { kind: "chat", messages, ...toolsIn(record, columns.tools, where), where };
}

const SHAREGPT: Tags = {
  role_tag: "from",
  content_tag: "value",
  user_tag: "human",
  assistant_tag: "gpt",
  observation_tag: "observation",
  function_tag: "function_call",
  system_tag: "system",
};

/** Common aliases of roles, where no tags are declared. */
const ROLES: Record<string, string> = {
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
  chatgpt: "assistant",
  model: "assistant",
  system: "system",
  developer: "system",
  tool: "tool",
  observation: "tool",
  function: "tool",
  function_call: "function_call",
};

export const DEFAULT_TAGS = SHAREGPT;

function toMessage(value: unknown, tags: Tags | undefined, where: string): Message {
  if (!isObject(value)) throw new UserError(`${where} must be a message, got ${excerpt(value)}`);
  const plain = !tags && "role" in value;
  const { role_tag, content_tag } = tags ?? SHAREGPT;
  const [roleTag, contentTag] = plain ? ["role", "content"] : [role_tag, content_tag];
  const role = roleOf(value[roleTag], tags, `${where}.${roleTag}`);
  const content = contentText(value[contentTag], `${where}.${contentTag}`, "tool_calls" in value);
  if (role === "function_call") return functionCall(content, where);
  const rest = Object.entries(value)
    .filter(([name, each]) => name !== roleTag && name !== contentTag && each !== null);
  return { ...Object.fromEntries(rest), role, content };
}

function roleOf(value: unknown, tags: Tags | undefined, where: string): string {
  const roles = tags
    ? {
      [tags.user_tag]: "user",
      [tags.assistant_tag]: "assistant",
      [tags.observation_tag]: "tool",
      [tags.function_tag]: "function_call",
      [tags.system_tag]: "system",
    }
    : ROLES;
  if (isString(value) && Object.hasOwn(roles, value)) return roles[value];
  throw new UserError(
    `${where} is ${excerpt(value)}, no known role`,
    `known are ${Object.keys(roles).join(", ")}`,
  );
}

/** A string, or OpenAI's list of parts if all are text. */
function contentText(value: unknown, where: string, mayLack: boolean): string {
  if (isString(value)) return value;
  if ((value === null || value === undefined) && mayLack) return "";
  if (!Array.isArray(value)) {
    throw new UserError(`${where} must be a string, got ${excerpt(value)}`);
  }
  return value.map((part) => {
    if (isObject(part) && part.type === "text" && isString(part.text)) return part.text;
    throw new UserError(`${where} has a part that is not text: ${excerpt(part)}`);
  }).join("");
}

/** ShareGPT writes a call as JSON in the message text; chat templates expect a separate field. */
function functionCall(content: string, where: string): Message {
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch {
    parsed = undefined;
  }
  const calls = Array.isArray(parsed) ? parsed : [parsed];
  if (!calls.every((call) => isObject(call) && isString(call.name))) {
    throw new UserError(
      `${where}: a function call must be JSON with "name" and "arguments", got ${excerpt(content)}`,
    );
  }
  const toolCalls = calls.map(({ name, arguments: given }) => ({
    type: "function",
    function: { name, arguments: given ?? {} },
  }));
  return { role: "assistant", content: "", tool_calls: toolCalls };
}

function systemIn(record: Json, column: string | null, where: string): Message[] {
  const content = optionalText(record, column, where);
  return content ? [{ role: "system", content }] : [];
}

/** A list, or a string with one as JSON, as in flat tables. */
function toolsIn(record: Json, column: string | null, where: string): { tools?: unknown[] } {
  let value = column === null ? undefined : record[column];
  if (value === null || value === undefined || value === "") return {};
  const given = value;
  if (isString(value)) {
    try {
      value = JSON.parse(value);
    } catch { /* said below */ }
  }
  if (!Array.isArray(value)) throw fault(where, column!, "a list of functions", given);
  return value.length ? { tools: value } : {};
}

function listIn(record: Json, column: string | null, where: string): unknown[] {
  const value = column === null ? undefined : record[column];
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw fault(where, column!, "a list", value);
  return value;
}

function optionalText(record: Json, column: string | null, where: string): string | undefined {
  const value = column === null ? undefined : record[column];
  if (value === null || value === undefined) return undefined;
  if (!isString(value)) throw fault(where, column!, "a string", value);
  return value;
}

function textIn(record: Json, column: string, where: string): string {
  const value = fieldOf(record, column, where);
  if (!isString(value)) throw fault(where, column, "a string", value);
  return value;
}

function fieldOf(record: Json, column: string, where: string): unknown {
  const value = record[column];
  if (value !== null && value !== undefined) return value;
  throw new UserError(
    `${where}: has no field "${column}"${value === null ? " (it is null)" : ""}`,
    `it has ${Object.keys(record).join(", ") || "no fields"}`,
  );
}

function fault(where: string, column: string, rule: string, value: unknown): UserError {
  return new UserError(`${where}: field "${column}" must be ${rule}, got ${excerpt(value)}`);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}
