/**
 * What lies beside the weights in a model's folder: configurations, tokenizer, chat template. All
 * places that name the end of a turn or the template agree, because every program reads another.
 */
import { join } from "../packages/std_path.ts";
import { endOfTurn } from "../data/instruct/end_of_turn.ts";
import { ChatTemplate, withoutGenerationMarks } from "../data/instruct/chat_template.ts";
import { chatTemplate } from "../data/instruct/templates.ts";
import { writeAll, writeAtomically, writeJson } from "../files/atomic.ts";
import { readJsonObject } from "../files/json_file.ts";
import type { Sampled } from "../formats/generation_config.ts";
import { type SavedDType, writeGenerationConfig, writeHfConfig } from "../formats/hf_config.ts";
import { readRawConfig } from "../formats/model_files.ts";
import { isGgufPath } from "../files/gguf_path.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import {
  alignChatTemplate,
  removeChatTemplates,
  writeChatTemplate,
} from "./chat_template_files.ts";

const GENERATION_CONFIG = "generation_config.json";

type Json = Readonly<Record<string, unknown>>;

/** The files of a base model that its descendants keep, settings unknown here included. */
export interface BaseFiles {
  /** Of config.json; undefined if the base is a `.gguf` file. */
  readonly config?: Json;
  /** Of generation_config.json, if there is one. */
  readonly generation?: { readonly json: Json; readonly bytes: Uint8Array<ArrayBuffer> };
}

/**
 * Reads them before training, so that a fault in them costs nothing, and a base that is replaced
 * meanwhile changes nothing. Throws a {@link UserError} that names the file.
 */
export async function readBaseFiles(base: string): Promise<BaseFiles> {
  if (isGgufPath(base)) return {};
  const path = join(base, GENERATION_CONFIG);
  const json = await readJsonObject(path);
  return {
    config: await readRawConfig(base),
    ...(json && { generation: { json, bytes: await Deno.readFile(path) } }),
  };
}

/** How a model converses, as its folder says it to other programs. */
export interface Conversing {
  /** A chat template other than the tokenizer's own, which it replaces. */
  readonly template?: string;
  /** Ids that end a text or a turn, by tokenizer and template. */
  readonly ends: readonly number[];
  /** For people: what dialogues look like. */
  readonly about?: string;
}

/**
 * A model trained with the template of that name: the tokenizer's own (`default`), which it may
 * lack, or one of ours. Throws a {@link UserError} if the name is not known.
 */
export function conversing(name: string, tokenizer: Tokenizer): Conversing {
  if (name !== "default") {
    const template = chatTemplate(name, tokenizer);
    return {
      template: withoutGenerationMarks(template.source),
      ...endings(tokenizer, template, `the template ${name}`),
    };
  }
  return endings(tokenizer, ownTemplate(tokenizer), "the chat template");
}

/** The same for a template in a file of its own, beside a tokenizer with another or none. */
export function conversingAs(source: string, tokenizer: Tokenizer): Conversing {
  const { specialTokens } = tokenizer;
  const template = new ChatTemplate(source, {
    name: "the chat template",
    specialTokens,
    now: new Date(),
  });
  return { template: source, ...endings(tokenizer, template, "the chat template") };
}

/** The tokenizer's own template, if it has a valid one. */
export function ownTemplate(tokenizer: Tokenizer): ChatTemplate | undefined {
  if (tokenizer.chatTemplate === null) return undefined;
  try {
    return chatTemplate("default", tokenizer);
  } catch {
    // Invalid: an error where a dialogue is rendered, but a model can be trained on plain texts.
    return undefined;
  }
}

function endings(
  tokenizer: Tokenizer,
  template: ChatTemplate | undefined,
  name: string,
): Pick<Conversing, "ends" | "about"> {
  const { token, text } = template ? endOfTurn(template, tokenizer) : {};
  const ends = [tokenizer.eosTokenId, token].filter((id) => id !== null && id !== undefined);
  const end = token === undefined
    ? text && `\`${text}\``
    : `\`${tokenizer.decode([token])}\` (id ${token})`;
  return {
    ends: [...new Set(ends)],
    ...(template && {
      about: `Dialogues follow ${name}, saved with the tokenizer` +
        (end === undefined ? "." : `; an answer ends with ${end}.`),
    }),
  };
}

/** What {@link writeModelFolder} writes. */
export interface ModelFolder {
  readonly config: LlamaConfig;
  readonly dtype: SavedDType;
  readonly base: BaseFiles;
  /** Undefined if neither the model nor its adapter has one. */
  readonly tokenizer?: Tokenizer;
  readonly conversing: Conversing;
  /** How a model without a base is to be sampled; by default greedily. */
  readonly sampled?: Sampled;
}

/**
 * Writes all that transformers reads beside the weights. The base's settings are kept; the ids that
 * end a turn are added to `eos_token_id` in config.json and generation_config.json.
 */
export async function writeModelFolder(folder: string, model: ModelFolder): Promise<void> {
  const { config, dtype, base, tokenizer } = model, { ends } = model.conversing;
  const eosTokenId = withEnds(config.eosTokenId, ends);
  if (base.config) {
    const own = base.config.eos_token_id as LlamaConfig["eosTokenId"];
    await writeHfConfig(folder, config, dtype, {
      ...base.config,
      eos_token_id: withEnds(own, ends),
    });
  } else {
    await writeHfConfig(folder, { ...config, eosTokenId }, dtype);
  }
  await writeGeneration(folder, { ...config, eosTokenId }, model);
  if (tokenizer) await writeTokenizer(folder, tokenizer, model.conversing);
}

/** Writes the tokenizer with one chat template, wherever programs look for it. */
export async function writeTokenizer(
  folder: string,
  tokenizer: Tokenizer,
  { template }: Conversing,
): Promise<void> {
  await removeChatTemplates(folder); // of an earlier run
  await tokenizer.save(folder);
  if (template !== undefined) await writeChatTemplate(folder, template);
  else if (tokenizer.chatTemplate !== null) await alignChatTemplate(folder, tokenizer.chatTemplate);
}

async function writeGeneration(
  folder: string,
  config: LlamaConfig,
  { base: { generation }, conversing: { ends }, sampled }: ModelFolder,
): Promise<void> {
  if (!generation) return await writeGenerationConfig(folder, config, sampled);
  const path = join(folder, GENERATION_CONFIG), { json, bytes } = generation;
  const own = (json.eos_token_id ?? undefined) as LlamaConfig["eosTokenId"];
  // Without ids there, transformers would not stop at those of config.json.
  const all = withEnds(own ?? config.eosTokenId, ends);
  if (all === own) return await writeAtomically(path, (file) => writeAll(file, bytes));
  await writeJson(path, { ...json, eos_token_id: all });
}

/** The same value if it already lists all `ends`; a single id is no list. */
export function withEnds(
  own: LlamaConfig["eosTokenId"] | null,
  ends: readonly number[],
): LlamaConfig["eosTokenId"] {
  const given = [own ?? []].flat();
  const missing = ends.filter((id) => !given.includes(id));
  if (missing.length === 0) return own ?? undefined;
  const all = [...given, ...missing];
  return all.length === 1 ? all[0] : all;
}
