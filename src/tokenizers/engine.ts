/** One tokenizer of Hugging Face's library, in an instance of WebAssembly of its own. */
import module from "./wasm/module.js";

/** The exports of wasm/src/lib.rs. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  allocate(length: number): number;
  load(address: number, length: number, unknown: number): number;
  add_tokens(address: number, length: number): number;
  encode(address: number, length: number, flags: number): number;
  decode(address: number, length: number, skipSpecial: number): number;
  vocab_size(): number;
  token_id(address: number, length: number): number;
  ids(): number;
  count(): number;
  starts(): number;
  ends(): number;
  unknown(): number;
  text(): number;
  text_length(): number;
}

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
  #instance: Exports | null = null;
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

  #open(): Exports {
    if (this.#instance) return this.#instance;
    const wasm = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
    return this.#trapped(wasm, () => {
      succeeded(wasm, wasm.load(...passBytes(wasm, this.json), this.unknown ?? -1));
      if (this.#added.length) addTokens(wasm, this.#added);
      return this.#instance = wasm;
    });
  }

  #call<T>(work: (wasm: Exports) => T): T {
    const wasm = this.#open();
    return this.#trapped(wasm, () => work(wasm));
  }

  /** After a panic, an instance is of no use any more; the next call opens another. */
  #trapped<T>(wasm: Exports, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      this.#instance = null;
      const mebibytes = wasm.memory.buffer.byteLength / 2 ** 20;
      const reason = readText(wasm) ||
        (mebibytes > 2048
          ? `it needs more memory than WebAssembly has (${Math.round(mebibytes)} MiB in use)`
          : error.message);
      throw new Error(reason, { cause: error });
    }
  }
}

function addTokens(wasm: Exports, tokens: readonly AddedToken[]): void {
  succeeded(wasm, wasm.add_tokens(...passText(wasm, JSON.stringify(tokens))));
}

function succeeded(wasm: Exports, status: number): void {
  if (status !== 0) throw new Error(readText(wasm));
}

function words(wasm: Exports, address: number, count: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(wasm.memory.buffer as ArrayBuffer, address, count).slice();
}

function readText(wasm: Exports): string {
  const bytes = new Uint8Array(wasm.memory.buffer, wasm.text(), wasm.text_length());
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function passBytes(wasm: Exports, bytes: Uint8Array): [address: number, length: number] {
  const address = wasm.allocate(bytes.length);
  new Uint8Array(wasm.memory.buffer).set(bytes, address);
  return [address, bytes.length];
}

/** Halves of surrogate pairs become U+FFFD, as `TextEncoder` does; no other text has them. */
function passText(wasm: Exports, text: string): [address: number, length: number] {
  return passBytes(wasm, new TextEncoder().encode(text));
}
