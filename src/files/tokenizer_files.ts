/** Names of Hugging Face's tokenizer files. */
export const TOKENIZER_JSON = "tokenizer.json", TOKENIZER_CONFIG = "tokenizer_config.json";

/** The chat template, and others with names of their own (`<name>.jinja`) in a folder. */
export const CHAT_TEMPLATE = "chat_template.jinja",
  ADDITIONAL_TEMPLATES = "additional_chat_templates";
/** Where a few versions of transformers kept the chat template. */
export const OLD_CHAT_TEMPLATE = "chat_template.json";

/** All files that may belong to a tokenizer in a model's folder. */
export const TOKENIZER_FILES: readonly string[] = [
  TOKENIZER_JSON,
  TOKENIZER_CONFIG,
  "special_tokens_map.json",
  "added_tokens.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  CHAT_TEMPLATE,
  OLD_CHAT_TEMPLATE,
  // Of the names in use, those that published models have.
  `${ADDITIONAL_TEMPLATES}/tool_use.jinja`,
  `${ADDITIONAL_TEMPLATES}/rag.jinja`,
];
