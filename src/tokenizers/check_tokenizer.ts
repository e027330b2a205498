/** Checks that a tokenizer fits a model. */
import { UserError } from "../options/user_error.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Names of the two in messages: their paths. */
export interface CheckedNames {
  readonly tokenizer: string;
  readonly model: string;
}

type Vocabulary = Pick<Tokenizer, "vocabSize" | "bosTokenId" | "eosTokenId" | "decode">;

/**
 * Refuses a tokenizer with ids that the model has no embedding for, and a model whose own special
 * tokens are outside its vocabulary. Fewer ids than embeddings are common: vocabularies are padded.
 */
export function checkTokenizer(
  tokenizer: Vocabulary,
  config: Pick<LlamaConfig, "vocabSize" | "bosTokenId" | "eosTokenId" | "padTokenId">,
  names: CheckedNames,
): void {
  const { vocabSize } = config;
  const faults: string[] = [];
  if (tokenizer.vocabSize > vocabSize) {
    const first = Array.from(
      { length: Math.min(3, tokenizer.vocabSize - vocabSize) },
      (_, index) => named(tokenizer, vocabSize + index),
    );
    faults.push(
      `tokenizer ${names.tokenizer} has ${tokenizer.vocabSize} ids, model ${names.model} a ` +
        `vocab_size of ${vocabSize}: no embedding for ${first.join(", ")}` +
        (tokenizer.vocabSize - vocabSize > first.length ? ", …" : ""),
    );
  }
  const outside = (owner: string, name: string, ids: number | readonly number[] | null = null) => {
    for (const id of [ids ?? []].flat().filter((id) => id >= vocabSize)) {
      faults.push(`${owner}: ${name} ${id} is outside the model's vocab_size of ${vocabSize}`);
    }
  };
  outside(`tokenizer ${names.tokenizer}`, "bos token", tokenizer.bosTokenId);
  outside(`tokenizer ${names.tokenizer}`, "eos token", tokenizer.eosTokenId);
  outside(`model ${names.model}`, "bos_token_id", config.bosTokenId);
  outside(`model ${names.model}`, "eos_token_id", config.eosTokenId);
  if (faults.length === 0) return;
  throw new UserError(
    faults.join("\n  "),
    "use the tokenizer that the model was trained with, from the model's folder",
  );
}

function named(tokenizer: Vocabulary, id: number): string {
  try {
    return `${id} (${JSON.stringify(tokenizer.decode([id]))})`;
  } catch {
    return String(id); // an unused id
  }
}
