/** What instruction data is made of, whatever file it came from. */

/** A message of a dialogue; fields beyond these (`tool_calls`, `name`) are the template's. */
export interface Message {
  /** `system`, `user`, `assistant` or `tool`; another only if the record itself says so. */
  readonly role: string;
  /** The text. */
  readonly content: string;
  /** As in OpenAI's files: 0 for an assistant's message that is not to be learned. */
  readonly weight?: number;
  /** Handed to the template as it is. */
  readonly [field: string]: unknown;
}

/** A dialogue, to be written out by a chat template. */
export interface ChatExample {
  readonly kind: "chat";
  readonly messages: readonly Message[];
  /** Descriptions of the functions that the model may call. */
  readonly tools?: readonly unknown[];
  /** For messages: "alpaca.json:17". */
  readonly where: string;
}

/** A prompt and how it goes on, as they are: no template. */
export interface CompletionExample {
  readonly kind: "completion";
  readonly prompt: string;
  readonly completion: string;
  readonly where: string;
}

/** A text that is learned as a whole. */
export interface TextExample {
  readonly kind: "text";
  readonly text: string;
  readonly where: string;
}

export type Example = ChatExample | CompletionExample | TextExample;

/** What an example says, without where it says so: equal examples have equal content. */
export function contentOf(example: Example): string {
  const { where: _, ...content } = example;
  return JSON.stringify(content);
}
