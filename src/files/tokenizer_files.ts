/** Names of Hugging Face's tokenizer files. */
export const TOKENIZER_JSON = "tokenizer.json", TOKENIZER_CONFIG = "tokenizer_config.json";

/** All files that may belong to a tokenizer in a model's folder. */
export const TOKENIZER_FILES: readonly string[] = [
  TOKENIZER_JSON,
  TOKENIZER_CONFIG,
  "special_tokens_map.json",
  "added_tokens.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
];
