/**
 * RoPE in Hugging Face's config.json: `rope_theta` and `rope_scaling` of transformers 4,
 * `rope_parameters` of 5. The rules for what is absent or given twice are those of transformers 5
 * (`RotaryEmbeddingConfigMixin`); what it fails on, or ignores to the model's harm, is a fault.
 */
import { Fields, isObject } from "../files/fields.ts";
import type { LlamaConfig } from "../model/config.ts";
import {
  longRopeAttentionFactor,
  ROPE_TYPES,
  type RopeScaling,
  yarnAttentionFactor,
} from "../model/rope_scaling.ts";
import { quoted } from "../text.ts";

type RopeConfig = Pick<LlamaConfig, "ropeTheta" | "ropeScaling">;
type Json = Record<string, unknown>;

/** What the scaling depends on besides its own fields. */
type Sizes = Pick<LlamaConfig, "headSize" | "maxPositions">;

/** Keys that other programs read and transformers does not, and what it reads instead. */
const FOREIGN_KEYS: Readonly<Record<string, string>> = {
  attn_factor: "attention_factor, the whole factor of cosines and sines",
  extrapolation_factor: "beta_fast and beta_slow",
  alpha: "rope_type dynamic with a factor",
  short_mscale: "attention_factor",
  long_mscale: "attention_factor",
};

/** Reads RoPE's fields of a config.json; faults are recorded in `fields`. */
export function ropeFromJson(fields: Fields, sizes: Sizes): RopeConfig {
  const { json } = fields;
  for (const name of ["rope_scaling", "rope_parameters"]) {
    const given = json[name] ?? {};
    if (isObject(given)) continue;
    fields.fault(`${name} must be an object or null, got ${quoted(given)}`);
    return { ropeTheta: NaN };
  }
  // A rope_scaling that is not empty replaces rope_parameters as a whole.
  const name = Object.keys(json.rope_scaling ?? {}).length ? "rope_scaling" : "rope_parameters";
  const given = (json[name] ?? {}) as Json;
  const rope = new Fields({
    ...given,
    rope_theta: given.rope_theta ?? json.rope_theta,
    original_max_position_embeddings: json.original_max_position_embeddings ??
      given.original_max_position_embeddings,
  });
  const ropeTheta = rope.positive("rope_theta", 10000);
  refuseUnsupported(rope, json);
  const ropeScaling = scalingFromJson(rope, sizes);
  for (const fault of rope.faults) fields.fault(`${name}: ${fault}`);
  return ropeScaling ? { ropeTheta, ropeScaling } : { ropeTheta };
}

function refuseUnsupported(rope: Fields, config: Json): void {
  const byLayer = Object.keys(rope.json).filter((key) => isObject(rope.json[key]));
  if (byLayer.length) rope.fault(`one per type of layer (${byLayer.join(", ")}) is not supported`);
  const partial = rope.json.partial_rotary_factor ?? config.partial_rotary_factor ?? 1;
  if (partial !== 1) {
    rope.fault(`partial_rotary_factor ${quoted(partial)} is not supported (1 is)`);
  }
  const lost = isObject(config.rope_parameters)
    ? config.rope_parameters.rope_theta ?? 10000
    : 10000;
  if (rope.json.rope_theta === undefined && lost !== 10000) {
    rope.fault(
      `replaces rope_parameters and so drops their rope_theta ${quoted(lost)}: give it ` +
        "rope_theta too, or put the scaling into rope_parameters",
    );
  }
  for (const [key, instead] of Object.entries(FOREIGN_KEYS)) {
    if ((rope.json[key] ?? 1) !== 1) {
      rope.fault(`${key} is not a key of transformers (${instead})`);
    }
  }
}

function scalingFromJson(rope: Fields, sizes: Sizes): RopeScaling | undefined {
  const { json } = rope;
  const type = json.rope_type === undefined ? json.type ?? "default" : json.rope_type;
  if (type === "default") {
    if (json.type === undefined && json.rope_type === undefined && json.factor !== undefined) {
      rope.fault("factor has no effect without rope_type");
    }
    return undefined;
  }
  const known = ROPE_TYPES.find((each) => each === type);
  switch (known) {
    case "linear":
    case "dynamic":
      return { type: known, factor: rope.positive("factor") };
    case "yarn":
      return yarn(rope, sizes);
    case "longrope":
      return longRope(rope, sizes);
    case "llama3":
      return {
        type: known,
        factor: rope.positive("factor"),
        lowFreqFactor: rope.positive("low_freq_factor"),
        highFreqFactor: rope.positive("high_freq_factor"),
        originalMaxPositions: originalPositions(rope, sizes),
      };
    default:
      rope.fault(
        `rope_type ${quoted(type)} is not supported (${["default", ...ROPE_TYPES].join(", ")} are)`,
      );
  }
}

/** Positions in pre-training; the model's if absent. */
function originalPositions(rope: Fields, { maxPositions }: Sizes): number {
  return rope.count("original_max_position_embeddings", maxPositions);
}

function yarn(rope: Fields, sizes: Sizes): RopeScaling {
  const { json } = rope;
  const originalMaxPositions = originalPositions(rope, sizes);
  const factor = json.factor === null
    ? sizes.maxPositions / originalMaxPositions
    : rope.positive("factor");
  const own = json.mscale && json.mscale_all_dim
    ? yarnAttentionFactor(factor, rope.positive("mscale")) /
      yarnAttentionFactor(factor, rope.positive("mscale_all_dim"))
    : yarnAttentionFactor(factor);
  return {
    type: "yarn",
    factor,
    originalMaxPositions,
    attentionFactor: rope.positive("attention_factor", own),
    betaFast: rope.positive("beta_fast", 32),
    betaSlow: rope.positive("beta_slow", 1),
    // In Python null is false.
    truncate: json.truncate !== null && rope.flag("truncate", true),
  };
}

function longRope(rope: Fields, sizes: Sizes): RopeScaling {
  const originalMaxPositions = originalPositions(rope, sizes);
  const factor = rope.positive("factor", sizes.maxPositions / originalMaxPositions);
  const own = longRopeAttentionFactor(factor, originalMaxPositions);
  return {
    type: "longrope",
    shortFactors: divisors(rope, "short_factor", sizes.headSize / 2),
    longFactors: divisors(rope, "long_factor", sizes.headSize / 2),
    originalMaxPositions,
    attentionFactor: rope.positive("attention_factor", own),
  };
}

function divisors(rope: Fields, name: string, count: number): number[] {
  const given = rope.json[name];
  const isDivisor = (each: unknown) => typeof each === "number" && each > 0;
  if (Array.isArray(given) && given.length === count && given.every(isDivisor)) return given;
  const found = Array.isArray(given) ? `a list of ${given.length}` : quoted(given);
  rope.fault(
    given === undefined
      ? `${name} is missing (a list of ${count} positive numbers)`
      : `${name} must be a list of ${count} positive numbers, half of a head, got ${found}`,
  );
  return [];
}

/** RoPE's fields in the styles of transformers 4 and 5; both give the same when read. */
export function ropeToJson(config: RopeConfig & Sizes): Json {
  const scaling = config.ropeScaling && scalingToJson(config.ropeScaling, config);
  return {
    rope_theta: config.ropeTheta,
    rope_scaling: scaling ?? null,
    rope_parameters: { ...(scaling ?? { rope_type: "default" }), rope_theta: config.ropeTheta },
  };
}

function scalingToJson(scaling: RopeScaling, { maxPositions }: Sizes): Json {
  switch (scaling.type) {
    case "linear":
    case "dynamic":
      return { rope_type: scaling.type, factor: scaling.factor };
    case "yarn": {
      const { factor, betaFast, betaSlow, truncate } = scaling;
      return {
        rope_type: "yarn",
        factor,
        original_max_position_embeddings: scaling.originalMaxPositions,
        ...unless(yarnAttentionFactor(factor), scaling.attentionFactor),
        beta_fast: betaFast,
        beta_slow: betaSlow,
        ...truncate ? {} : { truncate },
      };
    }
    case "longrope": {
      const { originalMaxPositions, shortFactors, longFactors } = scaling;
      const factor = maxPositions / originalMaxPositions;
      return {
        rope_type: "longrope",
        // Absent, it is the same ratio, but transformers 5 asks for it, if it is at least 1.
        ...factor >= 1 ? { factor } : {},
        original_max_position_embeddings: originalMaxPositions,
        ...unless(
          longRopeAttentionFactor(factor, originalMaxPositions),
          scaling.attentionFactor,
        ),
        short_factor: shortFactors,
        long_factor: longFactors,
      };
    }
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalMaxPositions,
      };
  }
}

/** The attention factor, where it is not the one that is assumed. */
function unless(assumed: number, attentionFactor: number): Json {
  return attentionFactor === assumed ? {} : { attention_factor: attentionFactor };
}
