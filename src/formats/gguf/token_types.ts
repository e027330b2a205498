/** Token types in `tokenizer.ggml.token_type`. */
export const TOKEN_TYPE = {
  normal: 1,
  unknown: 2,
  /** Special: never produced from plain text. */
  control: 3,
  /** Added by a user: matched whole, before BPE. */
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;
