/** Converts between flags and options; the flags are derived from the schema. */
import type { z } from "../packages/zod.ts";
import { camelCase, kebabCase } from "../text.ts";
import { type FieldInfo, fieldInfo, type Options } from "../options/schema.ts";
import { checkOptions, loadConfig, takesConfig } from "../config/config_file.ts";
import { type Flag, parseArguments } from "./arguments.ts";
import { loadConfigForSizes } from "./config_for_sizes.ts";

/** Flags of every command. */
export const COMMON_FLAGS = {
  json: "print results as JSON Lines on stdout; text for people goes to stderr",
  verbose: "print the stack trace of an error",
  help: "print this help",
} as const;

/** The flag of commands that read a file of options. */
export const CONFIG_FLAG = {
  name: "config",
  value: "file",
  description:
    "YAML or JSON file of options, by their names here or by LLaMA-Factory's keys; flags " +
    "override it, and its paths are relative to the working directory",
} as const;

/** The flag of commands that open a card. */
export const GPU_FLAG = {
  name: "gpu",
  value: "index|name",
  description: "the card to use, by its number in `doctor` or a part of its name; by default the " +
    "fastest, and of ranks on one machine each its own",
} as const;

export interface CommonFlags {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly help: boolean;
}

/**
 * Validates a whole command line, and the file that it names, at once; `onNote` is called with what
 * the user should know about the file. Throws an {@link OptionsError} with all faults.
 */
export async function parseFlags<Parsed>(
  options: Options<Parsed, never>,
  args: readonly string[],
  { onNote = () => {}, opensGpu = false, onGpu }: {
    readonly onNote?: (note: string) => void;
    /** Whether {@link GPU_FLAG} is one of its flags, and what is called with its value. */
    readonly opensGpu?: boolean;
    readonly onGpu?: (gpu: string) => void;
  } = {},
): Promise<Parsed> {
  const { fields } = options;
  const { given, faults, config: path, gpu } = readFlags(fields, args, opensGpu);
  const config = path === undefined
    ? undefined
    // Only commands that take the sizes of either kind of run have an option to say which.
    : await (Object.hasOwn(fields, "finetune") ? loadConfigForSizes : loadConfig)(path, fields);
  const parsed = checkOptions(options, { given, faults, config });
  for (const note of config?.notes ?? []) onNote(note);
  if (gpu !== undefined) onGpu?.(gpu);
  return parsed;
}

/** Whether the word after this flag is its value. */
export function takesNextWord(fields: z.ZodRawShape, flag: string): boolean {
  const name = camelCase(flag.replace(/^--/, ""));
  return Object.hasOwn(fields, name) && fieldInfo(fields[name]).type !== "boolean";
}

/** Only the common flags, which apply even if the rest is invalid. */
export function readCommonFlags(args: readonly string[]): CommonFlags {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  return {
    json: before.includes("--json"),
    verbose: before.includes("--verbose"),
    help: before.includes("--help") || before.includes("-h"),
  };
}

function readFlags(fields: z.ZodRawShape, args: readonly string[], opensGpu: boolean) {
  const infos = Object.entries(fields).map(([option, field]) => ({ option, ...fieldInfo(field) }));
  const flags = new Map<string, Flag>(
    infos.map((info) => [
      kebabCase(info.option),
      { ...info, negatable: info.type === "boolean" },
    ]),
  );
  for (const name of Object.keys(COMMON_FLAGS)) {
    flags.set(name, { option: name, type: "boolean", value: "", negatable: false });
  }
  for (const { name, value } of valuedFlags(fields, opensGpu)) {
    flags.set(name, { option: name, type: "string", value, negatable: false });
  }
  const { values, faults } = parseArguments(flags, args);
  const given: Record<string, unknown> = {};
  for (const { option, type } of infos) {
    const value = values.get(kebabCase(option));
    if (value !== undefined) given[option] = readValue(type, value);
  }
  const empty = valuedFlags(fields, opensGpu).filter(({ name }) => values.get(name) === "");
  const missing = empty.map(({ name, value }) => (
    { option: name, message: `needs a value: --${name} <${value}>` }
  ));
  const [config, gpu] = [CONFIG_FLAG, GPU_FLAG].map(({ name }) =>
    values.get(name) as string | undefined || undefined
  );
  return { given, faults: [...faults, ...missing], config, gpu };
}

/** Flags with a value that are no options. */
function valuedFlags(fields: z.ZodRawShape, opensGpu: boolean) {
  return [...takesConfig(fields) ? [CONFIG_FLAG] : [], ...opensGpu ? [GPU_FLAG] : []];
}

/** Converts valid numbers; anything else is left for the schema to refuse. */
function readValue(type: FieldInfo["type"], value: unknown): unknown {
  if ((type !== "number" && type !== "integer") || typeof value !== "string") return value;
  return value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
}
