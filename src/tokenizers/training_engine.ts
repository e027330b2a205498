/** One training of Hugging Face's library, in an instance of WebAssembly of its own. */
import {
  instantiate,
  passBytes,
  passText,
  readText,
  reasonOf,
  type ReportPhase,
  succeeded,
  suspending,
  type TokenizersModule,
  words,
} from "./module_instance.ts";

/** The settings of the library's `BpeTrainer`. */
export interface TrainerSettings {
  readonly vocab_size: number;
  readonly min_frequency: number;
  readonly special_tokens: readonly string[];
}

/** What a training has counted so far. */
export interface Counted {
  /** Distinct words. */
  readonly words: number;
  /** Their bytes. */
  readonly symbols: number;
}

/** Counts words, then merges. Faults are thrown as an `Error` with the library's message. */
export class TrainingEngine {
  readonly #wasm: TokenizersModule;

  /** Begins with a tokenizer.json whose vocabulary is empty. */
  constructor(untrained: unknown, report: ReportPhase) {
    const wasm = this.#wasm = instantiate(report);
    succeeded(wasm, wasm.train_begin(...passText(wasm, JSON.stringify(untrained))));
  }

  /** Counts the words of a text, given in UTF-8. */
  count(text: Uint8Array): Counted {
    const wasm = this.#wasm;
    try {
      succeeded(wasm, wasm.train_count(...passBytes(wasm, text)));
    } catch (error) {
      throw explained(wasm, error);
    }
    const [count, symbols] = words(wasm, wasm.ids(), 2);
    return { words: count, symbols };
  }

  /** Trains on what was counted; returns the tokenizer.json, and ends the training. */
  async train(settings: TrainerSettings): Promise<string> {
    const wasm = this.#wasm, train = suspending(wasm.train_end);
    try {
      succeeded(wasm, await train(...passText(wasm, JSON.stringify(settings))));
    } catch (error) {
      throw explained(wasm, error);
    }
    return readText(wasm);
  }
}

function explained(wasm: TokenizersModule, error: unknown): unknown {
  return error instanceof WebAssembly.RuntimeError
    ? new Error(reasonOf(wasm, error), { cause: error })
    : error;
}
