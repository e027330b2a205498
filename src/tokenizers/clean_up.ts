/** Spaces before punctuation, removed from decoded text where a tokenizer is configured so. */

/** transformers' `clean_up_tokenization`, in its order. */
const REPLACEMENTS: readonly (readonly [string, string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** As transformers 5 decides: not for byte-pair encoding, which keeps spaces itself. */
export function cleansUp(modelType: unknown, config: Record<string, unknown>): boolean {
  return config.clean_up_tokenization_spaces === true &&
    (modelType !== "BPE" ||
      config.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output === true);
}

export function cleanUp(text: string): string {
  return REPLACEMENTS.reduce((cleaned, [from, to]) => cleaned.replaceAll(from, to), text);
}
