/** The examples of instruction data, whatever file they came from. */

/** A message of a dialogue; other fields (`tool_calls`, `name`) are passed to the template. */
export interface Message {
  /** `system`, `user`, `assistant` or `tool`; others only if the record itself uses them. */
  readonly role: string;
  /** The text. */
  readonly content: string;
  /** As in OpenAI's files: 0 excludes an assistant's message from training. */
  readonly weight?: number;
  /** Handed to the template as it is. */
  readonly [field: string]: unknown;
}

/** A dialogue, to be rendered by a chat template. */
export interface ChatExample {
  readonly kind: "chat";
  readonly messages: readonly Message[];
  /** Descriptions of the functions that the model may call. */
  readonly tools?: readonly unknown[];
  /** For messages: "alpaca.json:17". */
  readonly where: string;
}

/** A prompt and its completion, without a template. */
export interface CompletionExample {
  readonly kind: "completion";
  readonly prompt: string;
  readonly completion: string;
  readonly where: string;
}

/** A text to train on as a whole. */
export interface TextExample {
  readonly kind: "text";
  readonly text: string;
  readonly where: string;
}

export type Example = ChatExample | CompletionExample | TextExample;

/** The content of an example, without its place: equal for equal examples. */
export function contentOf(example: Example): string {
  const { where: _, ...content } = example;
  return JSON.stringify(content);
}
