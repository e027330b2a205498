/** The messages of a dialogue, in ShareGPT's and OpenAI's form. */
import { option, phrase } from "../../options/phrase.ts";
import type { Message } from "./example.ts";
import type { Tags } from "./record_format.ts";
import {
  excerpt,
  isGiven,
  isRecord,
  jsonAt,
  objectAt,
  RecordError,
  textAt,
  weightAt,
} from "./record_values.ts";
import { callAt, callsInText, type NullRule, toolCallsAt } from "./tool_fields.ts";

type Json = Record<string, unknown>;

export const DEFAULT_TAGS: Tags = {
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
  prompter: "user",
  gpt: "assistant",
  assistant: "assistant",
  chatgpt: "assistant",
  bing: "assistant",
  bard: "assistant",
  model: "assistant",
  system: "system",
  developer: "system",
  tool: "tool",
  observation: "tool",
  function: "tool",
  ipython: "tool",
  tool_response: "tool",
  function_call: "function_call",
  tool_call: "function_call",
};

/** Fields that hold text, apart from the content. */
const TEXTS = [
  "name",
  "tool_call_id",
  "reasoning_content",
  "reasoning",
  "thinking",
  "tool_plan",
];

/** Other programs' names of `weight`, of which axolotl's and ms-swift's are booleans. */
const WEIGHTS = ["weight", "train", "training", "loss"];

/** Throws a {@link RecordError} that names the field below `where`. */
export function messageAt(
  value: unknown,
  tags: Tags | undefined,
  where: string,
  rule: NullRule,
): Message {
  if (!isRecord(value)) {
    throw new RecordError(
      `${where} must be a message, got ${excerpt(value)}`,
      '{"role": "user", "content": …}, or {"from": "human", "value": …}',
    );
  }
  const isPlain = !tags && isGiven(value.role);
  const { role_tag, content_tag } = tags ?? DEFAULT_TAGS;
  const [roleTag, contentTag] = isPlain ? ["role", "content"] : [role_tag, content_tag];
  const role = roleAt(value[roleTag], tags, `${where}.${roleTag}`);
  const rest = Object.entries(value)
    .filter(([name, each]) => name !== roleTag && name !== contentTag && isGiven(each))
    .flatMap(([name, each]) => fieldAt(name, each, { role, where, rule }));
  const fields = Object.fromEntries(rest), text = value[contentTag], at = `${where}.${contentTag}`;
  const weights = rest.flatMap(([name, each]) => name === "weight" ? [each] : []);
  if (new Set(weights).size > 1) {
    throw new RecordError(`${where} says twice whether it is learned, and differently`);
  }
  const calls = rest.filter(([name]) => name === "tool_calls").length;
  if (calls + Number(role === "function_call") > 1) {
    throw new RecordError(`${where} has its calls twice, which may differ`);
  }
  if (role === "function_call") {
    const tool_calls = callsInText(textAt(text, at), where, rule);
    return { role: "assistant", content: "", tool_calls, ...fields };
  }
  return { ...fields, role, content: contentAt(text, at, calls > 0) };
}

function roleAt(value: unknown, tags: Tags | undefined, where: string): string {
  const roles = tags
    ? {
      [tags.user_tag]: "user",
      [tags.assistant_tag]: "assistant",
      [tags.observation_tag]: "tool",
      [tags.function_tag]: "function_call",
      [tags.system_tag]: "system",
    }
    : ROLES;
  if (typeof value === "string" && Object.hasOwn(roles, value)) return roles[value];
  throw new RecordError(
    `${where} is ${excerpt(value)}, no known role`,
    `known are ${Object.keys(roles).join(", ")}`,
  );
}

/**
 * A string, or OpenAI's list of parts if all are text. Only beside calls it may be null, which the
 * template then sees, as in transformers.
 */
function contentAt(value: unknown, where: string, mayLack: boolean): string | null {
  if (!isGiven(value) && mayLack) return null;
  if (!Array.isArray(value) || value.length === 0) return textAt(value, where);
  return value.map((part) => {
    if (isRecord(part) && part.type === "text") return textAt(part.text, `${where}: a part's text`);
    throw new RecordError(`${where} has a part that is not text: ${excerpt(part)}`);
  }).join("");
}

/** A further field, as the template gets it; none if it says nothing. */
function fieldAt(
  name: string,
  value: unknown,
  { role, where, rule }: { role: string; where: string; rule: NullRule },
): [string, unknown][] {
  const at = `${where}.${name}`;
  if (WEIGHTS.includes(name)) {
    const weight = weightAt(typeof value === "boolean" && name !== "weight" ? +value : value, at);
    if (weight === 0 || role === "assistant" || name === "weight") return [["weight", weight]];
    throw new RecordError(
      `${at}: only the assistant's messages are learned, not those of ${role}`,
      phrase`${option("trainOnPrompt", true)} trains on all messages`,
    );
  }
  if (name === "train_detail" && !(Array.isArray(value) && value.length === 0)) {
    throw new RecordError(`${at}: parts of a message cannot be left out of training`);
  }
  if (TEXTS.includes(name)) return [[name, textAt(value, at)]];
  if (name === "tool_calls" || name === "function_call") {
    const calls = name === "tool_calls"
      ? toolCallsAt(value, at, rule)
      : [oldCallAt(value, at, rule)];
    if (!calls) return [];
    if (role === "assistant") return [["tool_calls", calls]];
    throw new RecordError(`${at}: only the assistant calls functions, not ${role}`);
  }
  if (name === "refusal" && value !== "") {
    throw new RecordError(`${at}: a refusal is learned as content: move it there`);
  }
  return [[name, jsonAt(value, at, () => rule.fromTable === true)]];
}

/** OpenAI's `function_call`, from before `tool_calls`. */
function oldCallAt(value: unknown, where: string, rule: NullRule) {
  return { type: "function", function: callAt(objectAt(value, where), where, rule) };
}
