/** The examples of instruction data, whatever file they came from. */
import { stringifyJson } from "../../files/json_value.ts";
import type { FindingKind } from "./findings.ts";

/** A message of a dialogue; other fields (`tool_calls`, `name`) are passed to the template. */
export interface Message {
  /** `system`, `user`, `assistant` or `tool`; others only if the record itself uses them. */
  readonly role: string;
  /** The text; null only beside `tool_calls`, if the record says so. */
  readonly content: string | null;
  /** As in OpenAI's files: 0 excludes an assistant's message from training. */
  readonly weight?: number;
  /** Handed to the template as it is. */
  readonly [field: string]: unknown;
}

/** What an example has beside its content. */
interface Found {
  /** For messages: "alpaca.json:17". */
  readonly where: string;
  /** What the report counts about it. */
  readonly remarks?: readonly FindingKind[];
  /** Fields of the record that are not used. */
  readonly ignored?: readonly string[];
}

/** A dialogue, to be rendered by a chat template. */
export interface ChatExample extends Found {
  readonly kind: "chat";
  readonly messages: readonly Message[];
  /** Descriptions of the functions that the model may call. */
  readonly tools?: readonly unknown[];
  /** Further variables of the template, as TRL's `chat_template_kwargs`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A prompt and its completion, without a template. */
export interface CompletionExample extends Found {
  readonly kind: "completion";
  readonly prompt: string;
  readonly completion: string;
}

/** A text to train on as a whole. */
export interface TextExample extends Found {
  readonly kind: "text";
  readonly text: string;
}

export type Example = ChatExample | CompletionExample | TextExample;

/** The content of an example, without what else was found: equal for equal examples. */
export function contentOf(example: Example): string {
  const { where: _where, remarks: _remarks, ignored: _ignored, ...content } = example;
  if (content.kind !== "chat") return stringifyJson(content);
  // No content and an empty one are the same content.
  const messages = content.messages.map((each) => ({ ...each, content: each.content ?? "" }));
  return stringifyJson({ ...content, messages });
}
