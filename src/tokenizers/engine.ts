/** One tokenizer of Hugging Face's library, in an instance of WebAssembly of its own. */
import {
  instantiate,
  passBytes,
  passText,
  readText,
  reasonOf,
  succeeded,
  type TokenizersModule,
  words,
} from "./module_instance.ts";

/** A token to add: an entry of tokenizer.json's `added_tokens`, without its id. */
export interface AddedToken {
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface EngineEncoding {
  readonly ids: Uint32Array<ArrayBuffer>;
  /** UTF-16 units of the text; empty unless asked for. */
  readonly starts: Uint32Array<ArrayBuffer>;
  readonly ends: Uint32Array<ArrayBuffer>;
  /** What had no token, in the order of the text. */
  readonly unknown: readonly string[];
}

const ADD_SPECIAL_TOKENS = 1, WITH_OFFSETS = 2;

/**
 * An instance for each tokenizer: its memory goes with it, which the library would otherwise keep
 * (caches of words), and a panic of one leaves the others alone. The module is compiled once.
 *
 * Faults are thrown as an `Error` with the library's message.
 */
export class Engine {
  #instance: TokenizersModule | null = null;
  readonly #added: AddedToken[] = [];

  /** A tokenizer.json, and the id of its unknown token. */
  constructor(readonly json: Uint8Array, readonly unknown: number | null) {
    this.#open();
  }

  /** Adds tokens. Those of the vocabulary keep their ids, others get the next ones. */
  add(tokens: readonly AddedToken[]): void {
    if (!tokens.length) return;
    this.#call((wasm) => addTokens(wasm, tokens));
    this.#added.push(...tokens);
  }

  encode(text: string, options: { addSpecialTokens: boolean; offsets: boolean }): EngineEncoding {
    const flags = (options.addSpecialTokens ? ADD_SPECIAL_TOKENS : 0) |
      (options.offsets ? WITH_OFFSETS : 0);
    return this.#call((wasm) => {
      succeeded(wasm, wasm.encode(...passText(wasm, text), flags));
      const count = wasm.count(), places = options.offsets ? count : 0;
      return {
        ids: words(wasm, wasm.ids(), count),
        starts: words(wasm, wasm.starts(), places),
        ends: words(wasm, wasm.ends(), places),
        unknown: wasm.unknown() ? JSON.parse(readText(wasm)) : [],
      };
    });
  }

  decode(ids: ArrayLike<number>, skipSpecialTokens: boolean): string {
    return this.#call((wasm) => {
      const passed = passBytes(wasm, new Uint8Array(Uint32Array.from(ids).buffer));
      succeeded(wasm, wasm.decode(...passed, Number(skipSpecialTokens)));
      return readText(wasm);
    });
  }

  /** One more than the largest id. */
  vocabSize(): number {
    return this.#call((wasm) => {
      succeeded(wasm, wasm.vocab_size());
      return words(wasm, wasm.ids(), 1)[0];
    });
  }

  tokenId(token: string): number | null {
    return this.#call((wasm) => {
      succeeded(wasm, wasm.token_id(...passText(wasm, token)));
      return wasm.count() ? words(wasm, wasm.ids(), 1)[0] : null;
    });
  }

  #open(): TokenizersModule {
    if (this.#instance) return this.#instance;
    const wasm = instantiate();
    return this.#trapped(wasm, () => {
      succeeded(wasm, wasm.load(...passBytes(wasm, this.json), this.unknown ?? -1));
      if (this.#added.length) addTokens(wasm, this.#added);
      return this.#instance = wasm;
    });
  }

  #call<T>(work: (wasm: TokenizersModule) => T): T {
    const wasm = this.#open();
    return this.#trapped(wasm, () => work(wasm));
  }

  /** After a panic, an instance is of no use any more; the next call opens another. */
  #trapped<T>(wasm: TokenizersModule, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      this.#instance = null;
      throw new Error(reasonOf(wasm, error), { cause: error });
    }
  }
}

function addTokens(wasm: TokenizersModule, tokens: readonly AddedToken[]): void {
  succeeded(wasm, wasm.add_tokens(...passText(wasm, JSON.stringify(tokens))));
}
