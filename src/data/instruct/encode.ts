/** Encodes an example to tokens, and marks those to train on. */
import { UserError } from "../../options/user_error.ts";
import { assertKnownIds } from "../../tokenizers/known_ids.ts";
import { TextEnds } from "../../tokenizers/text_ends.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { UnknownTokens } from "../../tokenizers/unknown_tokens.ts";
import { assistantSpans } from "./assistant_spans.ts";
import type { ChatTemplate, Span } from "./chat_template.ts";
import type { ChatExample, Example } from "./example.ts";
import { tokensIn } from "./token_spans.ts";

export interface EncodeExampleOptions {
  readonly tokenizer: Tokenizer;
  /** Lazy, because only dialogues need a template. */
  readonly template: () => ChatTemplate;
  /** The model's vocabulary size: larger ids are refused. */
  readonly vocabSize: number;
  /** Whether to train on prompts too; default false. */
  readonly trainOnPrompt?: boolean;
  /** Completes texts without a template; remembers those that were complete. */
  readonly ends?: TextEnds;
  /** Counts what has no token. */
  readonly unknown?: UnknownTokens;
}

export interface EncodedExample {
  readonly ids: readonly number[];
  /** 1 for each token to train on. */
  readonly trained: Uint8Array<ArrayBuffer>;
  /** See {@link Dialogue}. */
  readonly lost: number;
}

/** A dialogue that its template refuses. */
export class RefusedError extends UserError {
  override readonly name = "RefusedError";
}

/** An example as text, and the spans of it to train on. */
export interface WrittenExample {
  readonly text: string;
  readonly spans: readonly Span[];
  /** See {@link Dialogue}. */
  readonly lost: number;
  /** The dialogue that was rendered, if it had to be changed for its template. */
  readonly shown?: ChatExample;
}

/** Throws a {@link UserError} with the example's place if it cannot be encoded. */
export function encodeExample(
  example: Example,
  options: EncodeExampleOptions,
  { text, spans, lost }: WrittenExample = writeExample(example, options),
): EncodedExample {
  const { tokenizer, trainOnPrompt = false, unknown } = options;
  const encoding = tokenizer.encodeWithOffsets(text, { addSpecialTokens: false, unknown });
  const { ids } = encoding;
  let trained = trainOnPrompt ? new Uint8Array(ids.length).fill(1) : tokensIn(encoding, spans);
  if (example.kind !== "chat") {
    // No template defines how these start and end: use the tokenizer's own start, and EOS.
    const { before, after } = (options.ends ?? new TextEnds(tokenizer)).missing(ids);
    const whole = trainOnPrompt || example.kind === "text" ? 1 : 0;
    trained = Uint8Array.from([...before.map(() => whole), ...trained, ...after.map(() => 1)]);
    ids.unshift(...before);
    ids.push(...after);
  }
  assertKnownIds(example.where, ids, options.vocabSize, tokenizer);
  return { ids, trained, lost };
}

/** Throws a {@link RefusedError} with the example's place if the template refuses a dialogue. */
export function writeExample(
  example: Example,
  { template }: Pick<EncodeExampleOptions, "template">,
): WrittenExample {
  switch (example.kind) {
    case "chat":
      return rendered(template(), example);
    case "completion": {
      const text = example.prompt + example.completion;
      return { text, spans: [[example.prompt.length, text.length]], lost: 0 };
    }
    case "text":
      return { text: example.text, spans: [[0, example.text.length]], lost: 0 };
  }
}

/**
 * Templates that know no tool calls fail on the null that stands for the text beside them. An empty
 * text instead shows what such a template makes of the dialogue.
 */
function rendered(template: ChatTemplate, example: ChatExample): WrittenExample {
  try {
    return assistantSpans(template, example);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (example.messages.some(({ content }) => content === null)) {
      const messages = example.messages.map((each) => ({ ...each, content: each.content ?? "" }));
      const shown = { ...example, messages };
      return { ...rendered(template, shown), shown };
    }
    const { message, hint } = error.explanation;
    throw new RefusedError(message, hint);
  }
}
