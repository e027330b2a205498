/** Checks that a tokenizer fits a model. */
import { UserError } from "../options/user_error.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { quoted } from "../text.ts";

/** Names of the two in messages: their paths. */
export interface CheckedNames {
  readonly tokenizer: string;
  readonly model: string;
}

type Vocabulary = Pick<Tokenizer, "vocabSize" | "bosTokenId" | "eosTokenId" | "decode">;

/**
 * Refuses a tokenizer whose BOS or EOS the model has no embedding for, and a model whose own are
 * outside its vocabulary. Returns warnings about other ids without an embedding: they are refused
 * where they are used. Fewer ids than embeddings are common: vocabularies are padded.
 */
export function checkTokenizer(
  tokenizer: Vocabulary,
  config: Pick<LlamaConfig, "vocabSize" | "bosTokenId" | "eosTokenId" | "padTokenId">,
  names: CheckedNames,
): string[] {
  const { vocabSize } = config;
  const warnings = vocabularyWarnings(tokenizer, config, names), faults: string[] = [];
  const outside = (owner: string, name: string, ids: number | readonly number[] | null = null) => {
    for (const id of [ids ?? []].flat().filter((id) => id >= vocabSize)) {
      faults.push(`${owner}: ${name} ${id} is outside the model's vocab_size of ${vocabSize}`);
    }
  };
  outside(`tokenizer ${names.tokenizer}`, "bos token", tokenizer.bosTokenId);
  outside(`tokenizer ${names.tokenizer}`, "eos token", tokenizer.eosTokenId);
  outside(`model ${names.model}`, "bos_token_id", config.bosTokenId);
  outside(`model ${names.model}`, "eos_token_id", config.eosTokenId);
  if (config.padTokenId !== undefined && config.padTokenId >= vocabSize) {
    warnings.push(
      `model ${names.model}: pad_token_id ${config.padTokenId} is outside its vocab_size of ` +
        `${vocabSize}: padding is never used here, but transformers refuses such a model`,
    );
  }
  if (faults.length === 0) return warnings;
  throw new UserError(
    faults.join("\n  "),
    "use the tokenizer that the model was trained with, from the model's folder",
  );
}

/** A warning if the tokenizer has ids that the model has no embedding for. */
export function vocabularyWarnings(
  tokenizer: Pick<Vocabulary, "vocabSize" | "decode">,
  { vocabSize }: Pick<LlamaConfig, "vocabSize">,
  names: CheckedNames,
): string[] {
  const beyond = tokenizer.vocabSize - vocabSize;
  if (beyond <= 0) return [];
  const first = Array.from(
    { length: Math.min(3, beyond) },
    (_, index) => named(tokenizer, vocabSize + index),
  );
  return [
    `tokenizer ${names.tokenizer} has ${tokenizer.vocabSize} ids, model ${names.model} a ` +
    `vocab_size of ${vocabSize}: text with ${first.join(", ")}` +
    `${beyond > first.length ? ", …" : ""} is refused`,
  ];
}

function named(tokenizer: Pick<Vocabulary, "decode">, id: number): string {
  try {
    return `${id} (${quoted(tokenizer.decode([id]))})`;
  } catch {
    return String(id); // an unused id
  }
}
