/** What planning a job requires of a model, read from its files once. */
import { join } from "../../packages/std_path.ts";
import { TEMPLATE_NAMES } from "../../data/instruct/templates.ts";
import { ByteTokenizer } from "../../tokenizers/byte_tokenizer.ts";
import { denoProcess } from "../processes/deno_process.ts";
import type { LlamaConfig } from "../../model/config.ts";
import { explain, type Explanation } from "../../options/user_error.ts";
import type { Vocabulary } from "../../train/method.ts";
import { ApiError } from "../api_error.ts";
import type { ModelRecord } from "../services.ts";
import { REQUEST } from "../protocol/spelling.ts";
import { ask } from "../processes/ask.ts";

export interface ModelFacts {
  readonly config: LlamaConfig;
  readonly vocabulary: Vocabulary;
  /** What was assumed or is odd about its files, for the user. */
  readonly warnings: readonly string[];
  /** Values of the option `template` that its tokenizer cannot use, and why not. */
  readonly templateFaults: Readonly<Record<string, Explanation>>;
}

/** Values of the option `template` that the model's tokenizer can use. */
export function usableTemplates({ templateFaults }: Pick<ModelFacts, "templateFaults">): string[] {
  return TEMPLATE_NAMES.filter((name) => !Object.hasOwn(templateFaults, name));
}

/** The process's output. */
export type Inspection = { readonly facts: ModelFacts } | { readonly refused: Explanation };

/** Facts are small, but those of replaced models stay in the cache. */
const MOST_KEPT = 256;

/** Milliseconds; the largest vocabulary takes a few seconds. */
const TIMEOUT = 60_000;

/** Keyed by path and modification time, so that a replaced model is read again. */
const known = new Map<string, Promise<Inspection>>();
let last: Promise<unknown> = Promise.resolve();

/**
 * The facts of a model whose tokenizer fits it, read in a separate process that may read only that
 * model: a vocabulary of 49,000 tokens takes almost a second, in which the server keeps answering.
 * Throws an ApiError 400 for an invalid model.
 */
export async function modelFacts(model: ModelRecord, param = "model"): Promise<ModelFacts> {
  const key = await ageOf(model.path);
  let inspection = known.get(key);
  if (!inspection) {
    inspection = last.then(() => inspect(model));
    // One after another, so that each has a core to itself.
    last = inspection.catch(() => known.delete(key));
    known.set(key, inspection);
    if (known.size > MOST_KEPT) known.delete(known.keys().next().value!);
  }
  const found = await inspection;
  const named = (text: string) => text.replaceAll(model.path, model.name);
  if ("facts" in found) return { ...found.facts, warnings: found.facts.warnings.map(named) };
  const message = named(explain(found.refused, REQUEST));
  throw new ApiError(400, { message, param, code: "unusable_model" });
}

export const BYTES: Vocabulary = (({ vocabSize, bosTokenId, eosTokenId }) => ({
  vocabSize,
  bosTokenId,
  eosTokenId,
}))(new ByteTokenizer());

/** Files of a model's folder from which its facts come. */
const DESCRIBING = [
  "config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "chat_template.json",
];

async function ageOf(path: string): Promise<string> {
  const files = [path, ...DESCRIBING.map((name) => join(path, name))];
  const infos = await Promise.all(files.map((file) => Deno.stat(file).catch(() => undefined)));
  return JSON.stringify([path, ...infos.map((info) => info && [info.mtime, info.size])]);
}

const PROGRAM = new URL("./model_facts_process.ts", import.meta.url).href;

async function inspect({ path, name, reads = [] }: ModelRecord): Promise<Inspection> {
  const child = denoProcess(PROGRAM, { read: [path, ...reads] }, { args: [path, name] }).spawn();
  const asked = await ask<Inspection>(child, TIMEOUT);
  if ("answer" in asked) return asked.answer;
  const { end, stderr } = asked.failure;
  throw new Error(`the process that read the model ${name} ${end}: ${stderr}`);
}
