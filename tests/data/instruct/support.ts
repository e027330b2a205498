/** What the tests of instruction data share. */
import { fromFileUrl } from "@std/path";
import type { Message } from "../../../src/data/instruct/example.ts";
import { loadTokenizer } from "../../../src/tokenizers/load_tokenizer.ts";
import { DATA } from "../support.ts";

export const INSTRUCT = fromFileUrl(new URL("../../fixtures/instruct/", import.meta.url));

/** Made by tests/golden/make_instruct.py. */
export interface Golden {
  readonly dialogues: Message[][];
  /** Templates in the manner of published ones, without generation marks. */
  readonly templates: Record<string, string>;
  readonly rendered: {
    tokenizer: "chat" | "llama";
    template: string;
    dialogue: number;
    text: string;
    /** All but the last message, and what begins an answer. */
    prompt: string;
    ids: number[];
    mask: string;
  }[];
  readonly foreign: { template: string; dialogue: number; tools?: unknown[]; text: string }[];
  readonly instructed: {
    tokenizer: "chat" | "llama";
    template: string;
    entry: number;
    ids: number[];
    mask: string;
  }[];
}

export const golden: Golden = JSON.parse(await Deno.readTextFile(INSTRUCT + "rendered.json"));

export const tokenizers = {
  /** Byte-level BPE with the special tokens of ChatML, LLaMA 3 and Gemma. */
  chat: await loadTokenizer(INSTRUCT + "tokenizer-chat"),
  /** Byte fallback and BOS, as LLaMA 2's. */
  llama: await loadTokenizer(DATA + "tokenizer-llama"),
};

/** The day that the golden file tells. */
export const DAY = new Date(2024, 2, 5, 12, 0, 0);
