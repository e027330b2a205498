/** What a token is, in `tokenizer.ggml.token_type`. */
export const TOKEN_TYPE = {
  normal: 1,
  unknown: 2,
  /** Special: never made from text's characters. */
  control: 3,
  /** Added by a user: matched whole, before the model. */
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;
