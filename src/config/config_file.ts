/**
 * A run's options from a YAML or JSON file: `finetune --config run.yaml`.
 *
 * ```yaml
 * model: hf:HuggingFaceTB/SmolLM2-135M-Instruct
 * data: alpaca.json
 * batch_size: 4 # or batch-size, or batchSize
 * output: runs/alpaca
 * ```
 *
 * The keys are those of the command's schema, and those of LLaMA-Factory that have an equivalent
 * here (llama_factory/keys.ts); one file may mix both. Flags override the file; missing options
 * have their defaults. Paths are relative to the working directory, as in LLaMA-Factory, not to the
 * file. A key that is unknown, or would mean something else here, is a fault: none is ignored.
 *
 * @module
 */
import type { z } from "../packages/zod.ts";
import { camelCase, snakeCase } from "../text.ts";
import { type Fault, OptionsError } from "../options/faults.ts";
import { fieldInfo, type Options } from "../options/schema.ts";
import { IGNORED, NOTED, ONLY, onlyFault, OTHER_DEFAULTS, RENAMED } from "./llama_factory/keys.ts";
import { METHOD_KEYS, readMethod } from "./llama_factory/method.ts";
import { isLlamaFactory, type KeyContext, listOf, type Meaning } from "./llama_factory/meaning.ts";
import { READ } from "./llama_factory/values.ts";
import { trainsAdapters } from "../train/method_fields.ts";
import { methodNamed, methodOf } from "../train/methods.ts";
import { readYamlMapping } from "./yaml_mapping.ts";

const TABLES = [READ, RENAMED, IGNORED, NOTED, ONLY];

type Given = Record<string, unknown>;

/** A file as read for one command; its values are not validated yet. */
export interface ConfigFile {
  readonly given: Given;
  /** Options implied by keys; overridden by explicit ones in the file or flags. */
  readonly implied: Given;
  /** The location of each option, for messages: `run.yaml:12: cutoff_len`. */
  readonly places: ReadonlyMap<string, string>;
  /** Keys that are unknown, unsupported, or in conflict with another. */
  readonly faults: readonly Fault[];
  /** What the user should know about keys that have no effect, or another one, here. */
  readonly notes: readonly string[];
  /** Options that are missing because their key is faulty. */
  readonly faulted: ReadonlySet<string>;
}

/**
 * Pairs of options where a flag for one overrides the other in the file: otherwise `--epochs 1`
 * would have no effect beside the file's `steps`.
 */
const ALTERNATIVES = [
  ["model", "from"],
  ["steps", "epochs"],
  ["warmupSteps", "warmupRatio"],
  ["data", "dataset"],
  ["evalData", "evalShare"],
] as const;

/**
 * The options of a run from a file, complete and validated, as `options.parse` returns them;
 * `overrides` take precedence over the file; `onNote` is called for keys that have no effect, or
 * another one, here. Throws an {@link OptionsError} with every fault and
 * its line.
 *
 * @example
 * ```ts
 * import { finetuneOptions, Gpu, readConfigFile, Trainer } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const options = await readConfigFile("run.yaml", finetuneOptions, { output: "runs/2" });
 * const trainer = await Trainer.finetune(gpu, options);
 * ```
 */
export async function readConfigFile<Parsed, Input>(
  path: string,
  options: Options<Parsed, Input>,
  overrides: Partial<Input> = {},
  onNote: (note: string) => void = () => {},
): Promise<Parsed> {
  const config = await loadConfig(path, options.fields);
  const parsed = checkOptions(options, { given: overrides, config });
  for (const note of config.notes) onNote(note);
  return parsed;
}

/** Whether a command reads such files: training commands, `memory` and `compare` do. */
export function takesConfig(fields: z.ZodRawShape): boolean {
  return Object.hasOwn(fields, "optimizer") || Object.hasOwn(fields, "methods");
}

/** Reads the file, for a command with these fields. Throws if no key can be read at all. */
export async function loadConfig(path: string, fields: z.ZodRawShape): Promise<ConfigFile> {
  const mapping = await readYamlMapping(path);
  const file: KeyContext = {
    get: (key) => mapping.values.get(key) ?? undefined,
    line: mapping.line,
    has: (option) => Object.hasOwn(fields, option),
  };
  const given: Given = {}, implied: Given = {};
  const places = new Map<string, string>(), keys = new Map<string, string>();
  const faults: Fault[] = [], faulted = new Set<string>();
  const notes: string[] = [], idle: string[] = [];
  const method = readMethod(file);
  for (const [key, value] of mapping.values) {
    const place = mapping.place(key);
    const isMethod = METHOD_KEYS.some((each) => each === key);
    const meaning = isMethod ? method.get(key) ?? {} : meaningOf(key, value, fields, file);
    if (meaning.note) notes.push(`${place}: ${meaning.note}`);
    if (value !== null && Object.hasOwn(IGNORED, key)) idle.push(key);
    if (meaning.fault) {
      faults.push({ option: key, place, ...meaning.fault });
      if (isMethod) faulted.add("optimizer");
    }
    for (const [option, each] of Object.entries(meaning.options ?? {})) {
      if (!Object.hasOwn(fields, option)) {
        faults.push({
          option,
          place,
          message: `this command has no option ${snakeCase(option)}`,
        });
      } else if (keys.has(option)) {
        const other = mapping.line(keys.get(option)!);
        faults.push({ option, place, message: `means the same as ${other}: keep only one` });
      } else {
        given[option] = asOption(fields[option], each);
        places.set(option, place);
        keys.set(option, key);
      }
    }
    for (const [option, each] of Object.entries(meaning.implied ?? {})) {
      if (!Object.hasOwn(fields, option)) continue;
      implied[option] = each;
      if (!places.has(option)) places.set(option, place);
    }
  }
  if (idle.length) notes.push(`${path}: these keys have no effect here: ${idle.join(", ")}`);
  if (isLlamaFactory(file)) {
    const left = defaultsOf(fields, file, { ...implied, ...given });
    if (left) notes.push(`${path}: left out, with defaults of this program: ${left}`);
    if (
      !["evalShare", "evalData", "evalDataset"].some((each) => each in given || each in implied)
    ) {
      implied.evalShare = 0;
      notes.push(`${path}: without val_size nothing is held out, as in LLaMA-Factory`);
    }
  }
  return { given, implied, places, faults, notes, faulted };
}

/** The keys that a file leaves out although their defaults in LLaMA-Factory are others. */
function defaultsOf(fields: z.ZodRawShape, file: KeyContext, given: Given): string {
  return OTHER_DEFAULTS
    .filter(({ option }) => Object.hasOwn(fields, option) && !(option in given))
    .filter(({ option }) => option !== "warmupRatio" || !("warmupSteps" in given))
    .filter(({ where }) => where?.(file) ?? true)
    .map(({ key, there }) => `${key} (${there} in LLaMA-Factory)`)
    .join(", ");
}

/** Validates flags and file together; reports all faults at once, each with its location. */
export function checkOptions<Parsed>(
  options: Options<Parsed, never>,
  { given, faults = [], config }: {
    readonly given: Readonly<Given>;
    /** Faults already found in flags. */
    readonly faults?: readonly Fault[];
    readonly config?: ConfigFile;
  },
): Parsed {
  const found = [...faults, ...config?.faults ?? []];
  // Do not report an option as missing if it already has a fault.
  const faulted = new Set([...faults.map(({ option }) => option), ...config?.faulted ?? []]);
  try {
    const parsed = parseMerged(options, given, config);
    if (!found.length) return parsed;
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    for (const fault of error.faults) {
      const { option } = fault;
      if (faulted.has(option)) continue;
      const place = Object.hasOwn(given, option) ? undefined : config?.places.get(option);
      found.push({ place, ...fault });
    }
  }
  throw new OptionsError(found);
}

/** Leaves out implied options that have no effect beside the explicit ones. */
function parseMerged<Parsed>(
  options: Options<Parsed, never>,
  given: Readonly<Given>,
  config: ConfigFile | undefined,
): Parsed {
  if (!config) return options.parseUnknown(given);
  const merged = merge(config, given);
  try {
    return options.parseUnknown(merged);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    const idle = error.faults.map(({ option }) => option).filter((option) =>
      Object.hasOwn(config.implied, option) && !Object.hasOwn(config.given, option) &&
      !Object.hasOwn(given, option)
    );
    if (!idle.length) throw error;
    for (const option of idle) delete merged[option];
    return options.parseUnknown(merged);
  }
}

function merge(config: ConfigFile, flags: Readonly<Given>): Given {
  const asked = (option: string) =>
    Object.hasOwn(config.given, option) || Object.hasOwn(flags, option);
  const file = { ...config.implied, ...config.given };
  for (const [a, b] of ALTERNATIVES) {
    if (Object.hasOwn(flags, a)) delete file[b];
    if (Object.hasOwn(flags, b)) delete file[a];
  }
  const merged = { ...file, ...flags };
  // A flag may choose adapters, beside which embeddings are trained only where that is asked for.
  const method = methodNamed(merged.optimizer);
  if (method && trainsAdapters(methodOf(method)) && !asked("trainEmbeddings")) {
    delete merged.trainEmbeddings;
  }
  // No default instead, with which other options might conflict.
  if (config.faulted.has("optimizer")) merged.optimizer ??= null;
  return merged;
}

function meaningOf(
  key: string,
  value: unknown,
  fields: z.ZodRawShape,
  file: KeyContext,
): Meaning {
  // `batch_size`, `batch-size` and `batchSize` are one option.
  const option = camelCase(key);
  const own = Object.hasOwn(fields, option);
  const known = own || TABLES.some((table) => Object.hasOwn(table, key));
  if (!known) return { fault: { message: "unknown key", near: [key, knownKeys(fields)] } };
  // As in LLaMA-Factory, null is the same as absent.
  if (value === null) return {};
  if (Object.hasOwn(READ, key)) return READ[key](value, file);
  if (Object.hasOwn(RENAMED, key)) return { options: { [RENAMED[key]]: value } };
  if (own) return { options: { [option]: value } };
  if (Object.hasOwn(NOTED, key)) {
    const [without, why] = NOTED[key];
    return without.includes(value) ? {} : { note: `has no effect here: ${why}` };
  }
  return Object.hasOwn(ONLY, key) ? onlyFault(key, value) : {};
}

function knownKeys(fields: z.ZodRawShape): string[] {
  return [...Object.keys(fields).map(snakeCase), ...METHOD_KEYS, ...TABLES.flatMap(Object.keys)];
}

/** One value is a list of it, or of comma-separated names; but paths may contain commas. */
function asOption(field: z.core.$ZodType, value: unknown): unknown {
  const { type, value: kind } = fieldInfo(field);
  if (type !== "list" || typeof value === "object") return value;
  return kind === "name" && typeof value === "string" ? listOf(value) : [value];
}
