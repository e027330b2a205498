/** Validates the numbers of a stream of batches and reports all faults at once. */
import { UserError } from "../options/user_error.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/**
 * A fault for each count that is not an integer of at least its minimum; undefined ones pass.
 *
 * @example
 * ```ts
 * countFaults({ seqLen: [0, 1] }); // ["seqLen must be an integer of at least 1, got 0"]
 * ```
 */
export function countFaults(
  counts: Readonly<Record<string, readonly [value: number | undefined, least: number]>>,
): string[] {
  return Object.entries(counts)
    .filter(([, [value, least]]) =>
      value !== undefined && !(Number.isSafeInteger(value) && value >= least)
    )
    .map(([name, [value, least]]) =>
      `${name} must be an integer of at least ${least}, got ${value}`
    );
}

/** A fault if texts end with a token that the model has no embedding for. */
export function endFaults(
  { eosTokenId }: Pick<Tokenizer, "eosTokenId">,
  vocabSize: number | undefined,
): string[] {
  if (eosTokenId === null || vocabSize === undefined || eosTokenId < vocabSize) return [];
  return [
    `the tokenizer ends texts with token ${eosTokenId}, ` +
    `outside the model's vocabulary of ${vocabSize}`,
  ];
}

/** Throws a {@link UserError} with all faults, if there are any. */
export function assertNoFaults(faults: readonly string[]): void {
  if (faults.length) throw new UserError(`data: ${faults.join("\n  ")}`);
}
