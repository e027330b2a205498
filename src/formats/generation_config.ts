/** A model's generation_config.json: how to sample from it. */
import { join } from "../packages/std_path.ts";
import { Fields } from "../files/fields.ts";
import { readJsonObject } from "../files/json_file.ts";
import { quoted } from "../text.ts";

/** How a model is to be sampled, and which tokens it begins and ends with. */
export interface GenerationConfig {
  /** Generation ends at any of them; empty if the model specifies none. */
  readonly eosTokenIds: readonly number[];
  /** The token that begins a text. */
  readonly bosTokenId?: number;
  /** The padding token. */
  readonly padTokenId?: number;
  /** This and the following are undefined if the model does not specify them. */
  readonly doSample?: boolean;
  /** Divisor of the logits. */
  readonly temperature?: number;
  /** In (0, 1]. */
  readonly topP?: number;
  /** 0: no limit. */
  readonly topK?: number;
  /**
   * Divisor of the positive logits of tokens that occurred, and factor of the negative; 1 has no
   * effect.
   */
  readonly repetitionPenalty?: number;
  /** Least share of the likeliest token's probability. */
  readonly minP?: number;
  /** No sequence of this many tokens occurs twice; 0: all may. */
  readonly noRepeatNgramSize?: number;
  /** Most tokens per answer. */
  readonly maxNewTokens?: number;
  /** Settings of the model that are not supported here, as `name value`. */
  readonly ignored: readonly string[];
}

/** How a model that is to be sampled is sampled. */
export interface Sampled {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
}

/**
 * How a text is continued by a model whose authors have not said how: llama.cpp's temperature, top-k
 * and top-p. The likeliest tokens alone would soon repeat themselves, small models at once.
 */
export const TEXT_SAMPLING: Sampled = { temperature: 0.8, topK: 40, topP: 0.95 };

/** With transformers' defaults; undefined for a model that decodes greedily, as most do there. */
export function sampledAs(
  { doSample, temperature = 1, topK = 50, topP = 1, minP, repetitionPenalty }: GenerationConfig,
): Sampled | undefined {
  return doSample ? { temperature, topK, topP, minP, repetitionPenalty } : undefined;
}

/** Neutral values; any other would change what is generated. */
const NEUTRAL: Readonly<Record<string, unknown>> = {
  encoder_no_repeat_ngram_size: 0,
  typical_p: 1,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
  num_beams: 1,
  penalty_alpha: 0,
  length_penalty: 1,
  guidance_scale: 1,
  min_length: 0,
  min_new_tokens: 0,
  bad_words_ids: null,
  suppress_tokens: null,
  begin_suppress_tokens: null,
  forced_bos_token_id: null,
  forced_eos_token_id: null,
};

/**
 * Reads generation_config.json; missing ids, or a missing file, default to config.json. Throws a
 * {@link UserError} with all faults.
 */
export async function readGenerationConfig(folder: string): Promise<GenerationConfig> {
  const path = join(folder, "generation_config.json"), modelPath = join(folder, "config.json");
  const json = await readJsonObject(path) ?? {};
  const fields = new Fields(json);
  const model = new Fields(await readJsonObject(modelPath) ?? {});
  const eos = idsOf(fields) ?? idsOf(model) ?? [];
  const config = {
    eosTokenIds: eos,
    bosTokenId: fields.tokenId("bos_token_id", model.tokenId("bos_token_id")),
    padTokenId: fields.tokenId("pad_token_id", model.tokenId("pad_token_id")),
    doSample: isGiven(json.do_sample) ? fields.flag("do_sample", false) : undefined,
    temperature: atLeastZero(fields, "temperature"),
    topP: share(fields, "top_p"),
    topK: atLeastZero(fields, "top_k", Number.isSafeInteger),
    repetitionPenalty: isGiven(json.repetition_penalty)
      ? fields.positive("repetition_penalty")
      : undefined,
    minP: share(fields, "min_p", { zero: true }),
    noRepeatNgramSize: atLeastZero(fields, "no_repeat_ngram_size", Number.isSafeInteger),
    maxNewTokens: isGiven(json.max_new_tokens) ? fields.count("max_new_tokens") : undefined,
    ignored: ignoredOf(json),
  };
  fields.finish(path);
  model.finish(modelPath);
  return config;
}

function idsOf(fields: Fields): readonly number[] | undefined {
  const ids = fields.tokenIds("eos_token_id");
  return typeof ids === "number" ? [ids] : ids;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function atLeastZero(fields: Fields, name: string, holds = Number.isFinite): number | undefined {
  const value = fields.json[name];
  if (!isGiven(value)) return undefined;
  if (typeof value === "number" && value >= 0 && holds(value)) return value;
  const rule = holds === Number.isFinite ? "a number" : "an integer";
  fields.fault(`${name} must be ${rule} of 0 or more, got ${quoted(value)}`);
}

function share(fields: Fields, name: string, { zero = false } = {}): number | undefined {
  const value = fields.json[name];
  if (!isGiven(value)) return undefined;
  if (typeof value === "number" && (value > 0 || zero && value === 0) && value <= 1) return value;
  const rule = zero ? "from 0 to 1" : "above 0 and at most 1";
  fields.fault(`${name} must be ${rule}, got ${quoted(value)}`);
}

function ignoredOf(json: Record<string, unknown>): string[] {
  return Object.entries(NEUTRAL)
    .filter(([name, neutral]) => isGiven(json[name]) && json[name] !== neutral)
    .map(([name]) => `${name} ${quoted(json[name])}`);
}
