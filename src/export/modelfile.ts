/** Ollama's Modelfile for a GGUF file: the chat template, where answers end, how to sample. */
import { basename, dirname, join } from "../packages/std_path.ts";
import type { ChatTemplate } from "../data/instruct/chat_template.ts";
import { endOfTurn } from "../data/instruct/end_of_turn.ts";
import { beginsWithBos } from "../tokenizers/text_ends.ts";
import { writeAll, writeAtomically } from "../files/atomic.ts";
import { type GenerationConfig, sampledAs } from "../formats/generation_config.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { goTemplate } from "./go_template.ts";
import { ownTemplate } from "./model_folder.ts";

/** The first line, by which a file written here is recognised. */
const HEAD = "# Written by Deno GaLore. Use: ollama create <name> -f <this file>";

/** Ollama's own default for the length of a dialogue in tokens. */
const OLLAMA_CONTEXT = 4096;

/**
 * Writes `Modelfile` beside a GGUF file, or `<file>.Modelfile` where somebody has written one by
 * hand or for another model. Returns its path.
 */
export async function writeModelfile(
  gguf: string,
  { tokenizer, generation, maxPositions }: {
    readonly tokenizer: Tokenizer;
    readonly generation: GenerationConfig;
    readonly maxPositions: number;
  },
): Promise<string> {
  const template = ownTemplate(tokenizer);
  const turn = template ? endOfTurn(template, tokenizer) : {};
  const ids = new Set([tokenizer.eosTokenId, turn.token, ...generation.eosTokenIds]);
  const stops = [...ids].filter((id) => id !== null && id !== undefined)
    .map((id) => tokenizer.decode([id]));
  const text = modelfile({
    from: basename(gguf),
    template,
    addedBos: beginsWithBos(tokenizer) ? tokenizer.specialTokens.bosToken ?? "" : "",
    stops: [...stops, ...(turn.text === undefined ? [] : [turn.text])],
    generation,
    maxPositions,
  });
  const usual = join(dirname(gguf), "Modelfile");
  const path = await isOurs(usual, basename(gguf)) ? usual : `${gguf}.Modelfile`;
  const bytes = new TextEncoder().encode(text);
  await writeAtomically(path, (file) => writeAll(file, bytes));
  return path;
}

/** Whether there is none yet, or one that was written here for the same file. */
async function isOurs(path: string, from: string): Promise<boolean> {
  const text = await Deno.readTextFile(path).catch(() => undefined);
  return text === undefined || text.startsWith(`${HEAD}\nFROM ./${from}\n`);
}

/** What {@link modelfile} is made from. */
export interface ModelfileSource {
  /** The GGUF file, relative to the Modelfile. */
  readonly from: string;
  readonly template?: ChatTemplate;
  /** The text of BOS, which Ollama adds by itself where the tokenizer does. */
  readonly addedBos?: string;
  /** Texts that end an answer. */
  readonly stops: readonly string[];
  readonly generation: GenerationConfig;
  /** Tokens that the model was made for. */
  readonly maxPositions: number;
}

/** The Modelfile as text. */
export function modelfile(source: ModelfileSource): string {
  const { from, stops, maxPositions } = source;
  const go = source.template && goTemplate(source.template, source.addedBos);
  const parameters: (readonly [string, string | number])[] = [
    ...stops.map((stop) => ["stop", quoted(stop)] as const),
    ...sampling(source.generation),
    ...(maxPositions < OLLAMA_CONTEXT ? [["num_ctx", maxPositions] as const] : []),
  ];
  return [
    HEAD,
    `FROM ./${from}`,
    ...(go ? [`TEMPLATE """${go}"""`] : []),
    ...(source.template && !go
      ? ["# The chat template cannot be written in Ollama's language: see TEMPLATE in its manual."]
      : []),
    ...parameters.map(([name, value]) => `PARAMETER ${name} ${value}`),
    "",
  ].join("\n");
}

/** Ollama's quotation marks: escapes have no meaning, three marks may span lines. */
function quoted(text: string): string {
  return /["\n]/.test(text) ? `"""${text}"""` : `"${text}"`;
}

/** Greedy decoding, transformers' default, leaves Ollama its own. */
function sampling(generation: GenerationConfig): (readonly [string, number])[] {
  const sampled = sampledAs(generation);
  if (!sampled) return [];
  const { temperature, topK, topP, minP, repetitionPenalty } = sampled;
  return [
    ["temperature", temperature],
    ["top_k", topK],
    ["top_p", topP],
    ...(minP === undefined ? [] : [["min_p", minP] as const]),
    ...(repetitionPenalty === undefined ? [] : [["repeat_penalty", repetitionPenalty] as const]),
  ];
}
