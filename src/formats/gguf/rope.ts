/**
 * RoPE's scaling as llama.cpp stores it: linear and YaRN in the metadata, LongRoPE's, Llama 3.1's
 * and any other as tensors of divisors of the frequencies, in the architecture llama alone. The
 * meaning of the keys is that of `llama_context` and `ggml_rope_ext`.
 */
import type { LlamaConfig } from "../../model/config.ts";
import {
  type RopeScaling,
  yarnAttentionFactor,
  type YarnScaling,
} from "../../model/rope_scaling.ts";
import { UserError } from "../../options/user_error.ts";
import type { Metadata } from "./metadata.ts";
import { ropeFactors, scalingFromFactors } from "./rope_factors.ts";
import { type KeyValues, value } from "./values.ts";

/** Divisors at any length, and of sequences within and beyond the original positions. */
export const ROPE_TENSORS = [
  { name: "rope_freqs.weight", applies: "always" },
  { name: "rope_factors_short.weight", applies: "short" },
  { name: "rope_factors_long.weight", applies: "long" },
] as const;

/** (D/2) each. */
export type RopeTensors = { [K in typeof ROPE_TENSORS[number]["applies"]]?: ArrayLike<number> };

/** Scaling types of llama.cpp that need no tensor. */
const TYPES = ["none", "linear", "yarn", "longrope"];

/** Keys that must have their neutral value: what they do is not supported. */
const UNSUPPORTED: Readonly<Record<string, readonly number[]>> = {
  yarn_ext_factor: [-1, 1],
  yarn_attn_factor: [-1, 1],
  yarn_log_multiplier: [0],
  alpha: [0],
};

/**
 * The scaling of a file; undefined if its frequencies are RoPE's own. Throws a {@link UserError}
 * that names the key or tensor.
 */
export function ropeScalingFromGguf(
  metadata: Metadata,
  architecture: string,
  config: LlamaConfig,
  tensors: RopeTensors,
): RopeScaling | undefined {
  const key = (name: string) => `${architecture}.rope.scaling.${name}`;
  const fault = (message: string) => new UserError(`${metadata.path}: ${message}`);
  const number = (name: string, unless: number) =>
    metadata.has(key(name)) ? Number(metadata.values[key(name)]) : unless;
  for (const [name, neutral] of Object.entries(UNSUPPORTED)) {
    if (neutral.includes(number(name, neutral[0]))) continue;
    throw fault(`${key(name)} ${metadata.values[key(name)]} is not supported`);
  }
  const factor = factorOf(metadata, architecture);
  // As in llama.cpp, a factor without a type is linear.
  const type = metadata.string(key("type"), factor === 1 ? "none" : "linear");
  const attention = metadata.positive(key("attn_factor"), 1);
  const originalMaxPositions = metadata.count(
    key("original_context_length"),
    config.maxPositions,
  );
  if (!TYPES.includes(type)) throw fault(`RoPE scaling ${type} is not one of ${TYPES.join(", ")}`);
  if (type === "longrope") {
    if (factor !== 1) throw fault(`${key("factor")} ${factor} beside longrope is not supported`);
    const shortFactors = divisors("short"), longFactors = divisors("long");
    return { type, shortFactors, longFactors, originalMaxPositions, attentionFactor: attention };
  }
  const scaled = type !== "none" && factor !== 1;
  if (tensors.always) {
    if (scaled) throw fault(`rope_freqs.weight beside RoPE scaling ${type} is not supported`);
    return scalingFromFactors(config, divisors("always"), attention);
  }
  if (type === "yarn") {
    return {
      type,
      factor,
      originalMaxPositions,
      attentionFactor: attention * yarnAttentionFactor(factor),
      betaFast: metadata.positive(key("yarn_beta_fast"), 32),
      betaSlow: metadata.positive(key("yarn_beta_slow"), 1),
      truncate: true,
    };
  }
  if (attention !== 1) throw fault(`${key("attn_factor")} ${attention} needs yarn or longrope`);
  return scaled ? { type: "linear", factor } : undefined;

  function divisors(which: keyof RopeTensors): number[] {
    const { name } = ROPE_TENSORS.find(({ applies }) => applies === which)!;
    const values = Array.from(tensors[which] ?? []);
    if (!tensors[which]) throw fault(`RoPE scaling ${type} needs the tensor ${name}`);
    if (values.length === config.headSize / 2 && values.every((each) => each > 0)) return values;
    throw fault(
      `${name} must hold ${config.headSize / 2} positive divisors, got [${
        values.slice(0, 4)
      }, …] ` +
        `(${values.length})`,
    );
  }
}

/** The factor, also under its older name; 1 if absent or 0, as in llama.cpp. */
function factorOf(metadata: Metadata, architecture: string): number {
  const names = ["rope.scaling.factor", "rope.scale_linear"].map((name) =>
    `${architecture}.${name}`
  );
  const name = names.find((each) => metadata.has(each));
  return !name || Number(metadata.values[name]) === 0 ? 1 : metadata.positive(name);
}

/**
 * The scaling in a file's metadata, keys without the architecture, and its tensors. Throws a {@link
 * UserError} that begins with `path` on what llama.cpp cannot do.
 */
export function ropeScalingToGguf(
  path: string,
  config: LlamaConfig,
  architecture: string,
): { readonly metadata: KeyValues; readonly tensors: RopeTensors } {
  const { ropeScaling: scaling } = config;
  if (!scaling) return { metadata: {}, tensors: {} };
  const refuse = (what: string, hint?: string) =>
    new UserError(`${path}: ${what} cannot be written as GGUF`, hint);
  const key = (name: string) => `rope.scaling.${name}`;
  const attention = (factor: number): KeyValues =>
    Math.abs(factor - 1) < 1e-6 ? {} : { [key("attn_factor")]: value.float32(factor) };
  if (scaling.type === "dynamic") {
    throw refuse(
      "RoPE scaling dynamic, whose frequencies change with the length,",
      "without rope_scaling the model is the same up to max_position_embeddings",
    );
  }
  const type = { [key("type")]: value.string(scaling.type) };
  if (scaling.type === "linear") {
    return { metadata: { ...type, [key("factor")]: value.float32(scaling.factor) }, tensors: {} };
  }
  const original = {
    [key("original_context_length")]: value.uint32(scaling.originalMaxPositions),
  };
  if (scaling.type === "yarn" && isUsualYarn(scaling)) {
    const { factor, attentionFactor } = scaling;
    const metadata = {
      ...type,
      ...original,
      [key("factor")]: value.float32(factor),
      // llama.cpp multiplies by YaRN's own factor.
      ...attention(attentionFactor / yarnAttentionFactor(factor)),
    };
    return { metadata, tensors: {} };
  }
  if (architecture !== "llama") {
    const what = scaling.type === "yarn" ? "yarn with bounds of its own" : scaling.type;
    throw refuse(`${config.modelType} with RoPE scaling ${what}`);
  }
  if (scaling.type === "longrope") {
    const { shortFactors: short, longFactors: long, attentionFactor } = scaling;
    return {
      metadata: { ...type, ...original, ...attention(attentionFactor) },
      tensors: { short, long },
    };
  }
  return {
    metadata: attention(scaling.type === "yarn" ? scaling.attentionFactor : 1),
    tensors: { always: ropeFactors(config) },
  };
}

/** llama.cpp reads no others in these architectures, whatever the keys say. */
function isUsualYarn({ betaFast, betaSlow, truncate }: YarnScaling): boolean {
  return betaFast === 32 && betaSlow === 1 && truncate;
}
