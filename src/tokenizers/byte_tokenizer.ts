/** One token per byte: no vocabulary to train or download, and every text can be encoded. */
import { join } from "../packages/std_path.ts";
import { writeJson } from "../files/atomic.ts";
import { UserError } from "../options/user_error.ts";
import type {
  DecodeOptions,
  EncodeOptions,
  Encoding,
  SpecialTokens,
  Tokenizer,
} from "./tokenizer.ts";

export const END_OF_TEXT = "<|endoftext|>";
const BYTES = 256;

/**
 * Ids 0 to 255 are the bytes of UTF-8, 256 is `<|endoftext|>`: 257 in all. The vocabulary is not
 * rounded up: otherwise untrained rows would be exported and sampled.
 */
export class ByteTokenizer implements Tokenizer {
  readonly vocabSize = BYTES + 1;
  readonly bosTokenId = null;
  readonly eosTokenId = BYTES;
  readonly specialTokens: SpecialTokens = {
    bosToken: null,
    eosToken: END_OF_TEXT,
    unkToken: null,
    padToken: END_OF_TEXT,
  };
  readonly chatTemplate = null;
  readonly warnings: readonly string[] = [];

  /** The text `<|endoftext|>` becomes the one token, as in Hugging Face's tokenizers. */
  encode(text: string, { unknown }: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    text.split(END_OF_TEXT).forEach((part, index) => {
      if (index > 0) ids.push(this.eosTokenId);
      // A loop, because a spread would put every byte of a long text on the stack.
      for (const byte of new TextEncoder().encode(part)) ids.push(byte);
    });
    unknown?.add(ids.length, 0, []);
    return ids;
  }

  encodeWithOffsets(text: string, options?: EncodeOptions): Encoding {
    const ids = this.encode(text, options);
    const starts = new Uint32Array(ids.length), ends = new Uint32Array(ids.length);
    let at = 0, end = 0;
    ids.forEach((id, index) => {
      const continues = id < BYTES && (id & 0xc0) === 0x80;
      if (!continues) {
        at = end;
        end += id === this.eosTokenId ? END_OF_TEXT.length : id >= 0xf0 ? 2 : 1;
      }
      [starts[index], ends[index]] = [at, end];
    });
    return { ids, starts, ends };
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: DecodeOptions = {}): string {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const bytes = new Uint8Array(ids.length);
    let text = "", count = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (!(0 <= id && id < this.vocabSize)) {
        throw new UserError(`bytes: has no token ${id}, its vocabulary is ${this.vocabSize}`);
      }
      if (id < BYTES) {
        bytes[count++] = id;
        continue;
      }
      text += decoder.decode(bytes.subarray(0, count));
      count = 0;
      if (!skipSpecialTokens) text += END_OF_TEXT;
    }
    return text + decoder.decode(bytes.subarray(0, count));
  }

  async save(folder: string): Promise<void> {
    await writeJson(join(folder, "tokenizer.json"), tokenizerJson());
    await writeJson(join(folder, "tokenizer_config.json"), {
      tokenizer_class: "PreTrainedTokenizerFast",
      eos_token: END_OF_TEXT,
      pad_token: END_OF_TEXT,
      clean_up_tokenization_spaces: false,
    });
  }
}

/** The same tokenizer in Hugging Face's format: byte-level BPE without a single merge. */
function tokenizerJson() {
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [{
      id: BYTES,
      content: END_OF_TEXT,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: byteVocabulary(),
      merges: [],
    },
  };
}

/** Whether a parsed tokenizer.json is the one that {@link ByteTokenizer.save} writes. */
export function isByteTokenizer(json: unknown): boolean {
  return JSON.stringify(json) === JSON.stringify(tokenizerJson());
}

/**
 * The characters that represent bytes in byte-level BPE (Radford et al. 2019, GPT-2): printable
 * Latin-1 represents itself, the others follow from U+0100 on, in order.
 */
export function byteVocabulary(): Record<string, number> {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const vocabulary: [string, number][] = [];
  let shifted = 0;
  for (let byte = 0; byte < BYTES; byte++) {
    vocabulary.push([String.fromCharCode(printable(byte) ? byte : 0x100 + shifted++), byte]);
  }
  return Object.fromEntries(vocabulary);
}
