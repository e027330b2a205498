/** adapter_config.json of a LoRA adapter: what of it determines the result, and what is refused. */
import { join } from "../../packages/std_path.ts";
import { UserError } from "../../options/user_error.ts";
import { Fields, isObject } from "../../files/fields.ts";
import { type LoraVariant, type ModuleLora, variantOf } from "../../model/lora_shape.ts";
import { quoted } from "../../text.ts";

export const ADAPTER_CONFIG = "adapter_config.json";

/** What a configuration says about the tensors beside it; they say which modules are adapted. */
export interface AdapterConfig {
  /** Path or name of the base model. */
  readonly base?: string;
  /** Rank and α of the module with this full name. */
  readonly sizeOf: (module: string) => ModuleLora;
  /** What all modules have in common. */
  readonly variant: LoraVariant;
  /** Modules that the adapter holds whole, as named there: `embed_tokens`, `lm_head`. */
  readonly modulesToSave: readonly string[];
  /** Ids of the tokens whose rows the adapter holds, by the module named there. */
  readonly tokens: ReadonlyMap<string, readonly number[]>;
}

/** Reads an adapter's configuration; throws a {@link UserError} with everything unsupported. */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const path = join(folder, ADAPTER_CONFIG);
  let json: unknown;
  try {
    json = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw new UserError(
      `${path}: cannot be read: ${(error as Error).message}`,
      "an adapter is a folder with adapter_config.json and adapter_model.safetensors",
    );
  }
  if (!isObject(json)) throw new UserError(`${path}: must be a JSON object`);
  const fields = new Fields(json);
  refuseUnsupported(fields);
  const rank = fields.count("r", 8), alpha = fields.positive("lora_alpha", 8); // peft's defaults
  const rankOf = patternOf(fields, "rank_pattern", rank);
  const alphaOf = patternOf(fields, "alpha_pattern", alpha);
  const config: AdapterConfig = {
    base: typeof json.base_model_name_or_path === "string"
      ? json.base_model_name_or_path
      : undefined,
    sizeOf: (module) => ({ rank: rankOf(module), alpha: alphaOf(module) }),
    variant: variantOf({
      rankStabilised: fields.flag("use_rslora", false),
      dora: fields.flag("use_dora", false),
    }),
    modulesToSave: strings(json.modules_to_save),
    tokens: tokensOf(fields),
  };
  fields.finish(path);
  return config;
}

/** Initialisations that leave the base unchanged; others subtract the initial B·A from it. */
const HARMLESS: readonly unknown[] = [true, false, "gaussian", "eva", "orthogonal"];

/**
 * Fields of peft that do not change what saved tensors compute: how they came to be, which modules
 * they are on (the tensors say), and what a Linear layer ignores (`fan_in_fan_out`).
 */
const IGNORED = new Set([
  "base_model_name_or_path",
  "bias",
  "corda_config",
  "ensure_weight_tying",
  "eva_config",
  "exclude_modules",
  "fan_in_fan_out",
  "init_lora_weights",
  "layers_pattern",
  "layers_to_transform",
  "loftq_config",
  "lora_ga_config",
  "megatron_config",
  "modules_to_save",
  "peft_type",
  "runtime_config",
  "target_modules",
  "use_dora",
  "use_rslora",
]);

/** Fields that change it; absent, null, false and empty are fine. */
const UNSUPPORTED = new Set([
  "alora_invocation_tokens",
  "layer_replication",
  "lora_bias",
  "target_parameters",
]);

/** How peft names the switches of variants, later ones too. */
const VARIANT = /^use_|_config$/;

function refuseUnsupported(fields: Fields): void {
  const { json } = fields;
  const refuse = (name: string, supported: string) =>
    fields.fault(`${name} ${quoted(json[name])} is not supported (${supported})`);
  if ((json.peft_type ?? "LORA") !== "LORA") refuse("peft_type", "LORA is");
  if (!HARMLESS.includes(json.init_lora_weights ?? true)) {
    refuse("init_lora_weights", "it changes the base; peft can save such an adapter as plain LoRA");
  }
  for (const [name, value] of Object.entries(json)) {
    const changes = UNSUPPORTED.has(name) || (VARIANT.test(name) && !IGNORED.has(name));
    if (changes && !isEmpty(value)) {
      fields.fault(`${name} is not supported, got ${quoted(value)}`);
    }
  }
}

function isEmpty(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === false;
}

/** A list of strings, or a single one, as peft takes either. */
function strings(value: unknown): string[] {
  return [value ?? []].flat().map(String);
}

/**
 * The value for a module: that of the first pattern, a Python regular expression, which matches its
 * name from some dot to the end; the fallback if none does.
 */
function patternOf(fields: Fields, name: string, fallback: number): (module: string) => number {
  const given = fields.json[name] ?? {};
  if (!isObject(given)) {
    fields.fault(`${name} must be an object of patterns, got ${quoted(given)}`);
    return () => fallback;
  }
  const patterns = Object.entries(given).flatMap(([pattern, value]) => {
    if (typeof value !== "number" || !(value > 0)) {
      fields.fault(`${name}: ${pattern} must be a positive number, got ${quoted(value)}`);
      return [];
    }
    try {
      return [{ matches: new RegExp(`^(.*\\.)?(${inJavaScript(pattern)})$`), value }];
    } catch {
      fields.fault(`${name}: ${quoted(pattern)} is not a regular expression`);
      return [];
    }
  });
  return (module) => patterns.find(({ matches }) => matches.test(module))?.value ?? fallback;
}

/** Where Python and JavaScript write the same differently. */
function inJavaScript(pattern: string): string {
  return pattern.replaceAll("(?P<", "(?<").replaceAll("\\Z", "$").replaceAll("\\A", "^");
}

/** A list of ids is of the embedding, an object has one for each module. */
function tokensOf(fields: Fields): Map<string, readonly number[]> {
  const name = "trainable_token_indices", given = fields.json[name] ?? [];
  const entries = isObject(given) ? Object.entries(given) : [["embed_tokens", given] as const];
  const isId = (id: unknown) => Number.isSafeInteger(id) && (id as number) >= 0;
  for (const [, ids] of entries) {
    if (Array.isArray(ids) && ids.every(isId)) continue;
    fields.fault(`${name} must be token ids, got ${quoted(ids)}`);
    return new Map();
  }
  return new Map(entries as [string, readonly number[]][]);
}
