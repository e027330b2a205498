/**
 * How text is split before byte-level BPE. A GGUF file names the scheme (`tokenizer.ggml.pre`),
 * Hugging Face's tokenizer.json contains it. The patterns are those of the models' own
 * tokenizer.json files, with which the models were trained.
 */
import { isObject } from "../../files/fields.ts";

export interface PreTokenizer {
  /** llama.cpp's name and its aliases. */
  readonly names: readonly string[];
  readonly normalizer: unknown;
  readonly preTokenizer: unknown;
  /** A piece that is a token is used whole, regardless of merges. */
  readonly ignoreMerges: boolean;
  /** Whether a text starts with BOS if the file does not specify it. */
  readonly addBos: boolean;
}

const byteLevel = (useRegex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});
const sequence = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });
const isolate = (pattern: string) => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});
const split = (pattern: string) => sequence(isolate(pattern), byteLevel(false));
/** The equivalent of "Digits" in tokenizer.json, in a form that all implementations treat alike. */
const DIGIT = isolate("\\p{N}");

const LLAMA_3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN_2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const TEKKEN =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" +
  "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*" +
  "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Qwen 2's: GPT-4's pattern, with each digit by itself. */
export const QWEN_2_SPLIT = split(QWEN_2);

/** llama.cpp's own, for files that do not name a scheme: no model was trained with it. */
const UNNAMED = sequence(
  isolate("[\\p{P}\\$\\+<=>\\^~\\|]+"),
  isolate("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"),
  isolate("\\p{N}+"),
  isolate("[0-9][0-9][0-9]"),
  byteLevel(false),
);

/** The scheme of a file that names none. */
export const DEFAULT_PRE_TOKENIZER = "default";

const plain = { normalizer: null, ignoreMerges: false, addBos: false };

export const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  { ...plain, names: ["gpt-2", "mpt", "olmo"], preTokenizer: byteLevel(true) },
  {
    ...plain,
    names: ["smollm", "starcoder", "refact", "command-r"],
    preTokenizer: sequence(DIGIT, byteLevel(true)),
  },
  {
    ...plain,
    names: ["llama-bpe", "llama3", "llama-v3"],
    preTokenizer: split(LLAMA_3),
    ignoreMerges: true,
    addBos: true,
  },
  {
    ...plain,
    names: ["qwen2", "deepseek-r1-qwen"],
    normalizer: { type: "NFC" },
    preTokenizer: QWEN_2_SPLIT,
  },
  {
    ...plain,
    names: ["tekken"],
    preTokenizer: split(TEKKEN),
    ignoreMerges: true,
    addBos: true,
  },
  { ...plain, names: [DEFAULT_PRE_TOKENIZER], preTokenizer: UNNAMED },
];

/** The scheme of a tokenizer.json's pre_tokenizer, if llama.cpp supports it. */
export function findPreTokenizer(preTokenizer: unknown): PreTokenizer | undefined {
  const wanted = signature(preTokenizer);
  return PRE_TOKENIZERS.find((each) => signature(each.preTokenizer) === wanted);
}

/** The parts that determine how text is split, without those that only affect offsets. */
function signature(preTokenizer: unknown): string {
  if (!isObject(preTokenizer)) return "none";
  const { type } = preTokenizer;
  if (type === "Sequence" && Array.isArray(preTokenizer.pretokenizers)) {
    return preTokenizer.pretokenizers.map(signature).join("; ");
  }
  if (type === "Digits" && preTokenizer.individual_digits === true) return signature(DIGIT);
  const { pattern, behavior, add_prefix_space, use_regex = true } = preTokenizer;
  return JSON.stringify(
    type === "ByteLevel" ? { type, add_prefix_space, use_regex } : { type, pattern, behavior },
  );
}
