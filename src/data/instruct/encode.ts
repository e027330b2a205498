/** Encodes an example to tokens, and marks those to train on. */
import { UserError } from "../../options/user_error.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { assistantSpans } from "./assistant_spans.ts";
import type { ChatTemplate, Span } from "./chat_template.ts";
import type { Example } from "./example.ts";
import { beginsWithBos } from "./templates.ts";
import { tokensIn } from "./token_spans.ts";

export interface EncodeExampleOptions {
  readonly tokenizer: Tokenizer;
  /** Lazy, because only dialogues need a template. */
  readonly template: () => ChatTemplate;
  /** The model's vocabulary size: larger ids are refused. */
  readonly vocabSize: number;
  /** Whether to train on prompts too; default false. */
  readonly trainOnPrompt?: boolean;
}

export interface EncodedExample {
  readonly ids: readonly number[];
  /** 1 for each token to train on. */
  readonly trained: Uint8Array<ArrayBuffer>;
  /** See {@link Dialogue}. */
  readonly lost: number;
}

/** Throws a {@link UserError} with the example's place if it cannot be encoded. */
export function encodeExample(example: Example, options: EncodeExampleOptions): EncodedExample {
  const { tokenizer, trainOnPrompt = false } = options;
  const { text, spans, lost } = written(example, options);
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  let trained = trainOnPrompt
    ? new Uint8Array(ids.length).fill(1)
    : tokensIn(tokenizer, text, ids, spans);
  if (example.kind !== "chat") {
    // No template defines how these start and end: use the tokenizer's own start, and EOS.
    const begin = beginsWithBos(tokenizer) ? [tokenizer.bosTokenId!] : [];
    const end = tokenizer.eosTokenId === null ? [] : [tokenizer.eosTokenId];
    const whole = trainOnPrompt || example.kind === "text" ? 1 : 0;
    trained = Uint8Array.from([...begin.map(() => whole), ...trained, ...end.map(() => 1)]);
    ids.unshift(...begin);
    ids.push(...end);
  }
  assertKnown(ids, example, options);
  return { ids, trained, lost };
}

function written(
  example: Example,
  { template }: EncodeExampleOptions,
): { text: string; spans: readonly Span[]; lost: number } {
  switch (example.kind) {
    case "chat":
      return assistantSpans(template(), example);
    case "completion": {
      const text = example.prompt + example.completion;
      return { text, spans: [[example.prompt.length, text.length]], lost: 0 };
    }
    case "text":
      return { text: example.text, spans: [[0, example.text.length]], lost: 0 };
  }
}

function assertKnown(
  ids: readonly number[],
  { where }: Example,
  { tokenizer, vocabSize }: EncodeExampleOptions,
): void {
  const foreign = ids.find((id) => id >= vocabSize);
  if (foreign === undefined) return;
  throw new UserError(
    `${where}: token ${foreign} (${JSON.stringify(tokenizer.decode([foreign]))}) is outside the ` +
      `model's vocabulary of ${vocabSize}`,
    `the tokenizer has ${tokenizer.vocabSize} tokens: is it this model's?`,
  );
}
