/**
 * Flags to options and back. `node:util` splits the command line, because its tokens keep the order
 * that lists need (`--data a b`) and values that are empty or begin with a minus; what the flags
 * are is read from the schema.
 */
import { parseArgs } from "node:util";
import type { z } from "zod";
import { memoryOptions } from "../train/options.ts";
import { type Fault, type FieldInfo, fieldInfo, type Options } from "../train/options_schema.ts";
import { checkOptions, loadConfig, takesConfig } from "../config/config_file.ts";
import { loadConfigForMemory } from "./config_for_memory.ts";

/** Flags that every command has. */
export const COMMON_FLAGS = {
  json: "one JSON object a line on stdout, text for people on stderr",
  verbose: "show the stack of an error",
  help: "show this text",
} as const;

/** The flag of commands that read a file of options. */
export const CONFIG_FLAG = {
  name: "config",
  value: "file",
  description: "options from a YAML or JSON file, by their names here or LLaMA-Factory's keys; " +
    "flags win over it, and paths in it are relative to the working directory",
} as const;

export interface CommonFlags {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly help: boolean;
}

/** `batchSize` as a flag is `--batch-size`. */
export function flagOf(option: string): string {
  // A fault may name what was typed, dashes and all, a place in a file, or no option.
  if (option === "" || option.startsWith("-") || option.includes(": ")) return option;
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

interface Flag {
  readonly option: string;
  readonly info: FieldInfo;
  /** What the flag says when given without a value: a boolean, or undefined where one is needed. */
  readonly bare?: boolean;
}

/**
 * Checks a whole command line at once, and the file that it names. Throws an {@link OptionsError}
 * with every fault in it.
 */
export async function parseFlags<Fields extends z.ZodRawShape, Derived>(
  options: Options<Fields, Derived>,
  args: readonly string[],
): Promise<ReturnType<Options<Fields, Derived>["parse"]>> {
  const { fields } = options;
  const { given, faults, config: path } = readFlags(fields, args);
  const isMemory = (fields as z.ZodRawShape) === memoryOptions.fields;
  const config = path === undefined
    ? undefined
    : await (isMemory ? loadConfigForMemory(path) : loadConfig(path, fields));
  return checkOptions(options, { given, faults, config, spell: flagOf });
}

/** The common flags alone: they count even where the rest is wrong. */
export function readCommonFlags(args: readonly string[]): CommonFlags {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  return {
    json: before.includes("--json"),
    verbose: before.includes("--verbose"),
    help: before.includes("--help") || before.includes("-h"),
  };
}

function readFlags(fields: z.ZodRawShape, args: readonly string[]) {
  const flags = flagsOf(fields);
  const given: Record<string, unknown> = {};
  const faults: Fault[] = [];
  const configurable = takesConfig(fields);
  let config: string | undefined;
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: {
      ...Object.fromEntries(
        [...flags].map(([name, { bare }]) => [
          name,
          { type: bare === undefined ? "string" as const : "boolean" as const },
        ]),
      ),
      ...Object.fromEntries(Object.keys(COMMON_FLAGS).map((name) => [name, { type: "boolean" }])),
      help: { type: "boolean", short: "h" },
      ...configurable ? { [CONFIG_FLAG.name]: { type: "string" } } : {},
    },
  });
  const known = [
    ...flags.keys(),
    ...Object.keys(COMMON_FLAGS),
    ...configurable ? [CONFIG_FLAG.name] : [],
  ].map((name) => `--${name}`);
  // A list goes on until the next flag: `--data a b --steps 5`.
  let list: Flag | undefined;
  // The word after an unknown flag is most likely its value, and no fault of its own.
  let afterUnknown = false;
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (list) (given[list.option] as string[]).push(token.value);
      else if (!afterUnknown) {
        faults.push({ option: "", message: `${token.value} stands without a flag` });
      }
      afterUnknown = false;
      continue;
    }
    list = undefined;
    afterUnknown = false;
    if (token.name in COMMON_FLAGS) continue;
    if (configurable && token.name === CONFIG_FLAG.name) {
      if (!token.value || (!token.inlineValue && known.includes(token.value))) {
        const { name, value } = CONFIG_FLAG;
        faults.push({ option: `--${name}`, message: `needs a value: --${name} <${value}>` });
      } else config = token.value;
      continue;
    }
    const flag = flags.get(token.name);
    if (!flag) {
      const { rawName } = token;
      faults.push({ option: rawName, message: "unknown flag", near: [rawName, known] });
      afterUnknown = true;
      continue;
    }
    const { option, info, bare } = flag;
    if (bare !== undefined) {
      const value = readBoolean(token.value);
      if (value === undefined) {
        faults.push({ option, message: `takes no value, got ${token.value}` });
      } else given[option] = value === bare;
    } else if (token.value === undefined || (!token.inlineValue && known.includes(token.value))) {
      faults.push({ option, message: `needs a value: --${token.name} <${info.value}>` });
      // The flag that was taken for a value is reported only if it is missed.
    } else if (info.type === "list") {
      given[option] = [...(given[option] as string[] ?? []), token.value];
      list = flag;
    } else given[option] = readValue(info, token.value);
  }
  return { given, faults, config };
}

/** Every flag by name; a boolean has two, itself and its `no-`. */
function flagsOf(fields: z.ZodRawShape): Map<string, Flag> {
  const flags = new Map<string, Flag>();
  for (const [option, field] of Object.entries(fields)) {
    const info = fieldInfo(field), name = flagOf(option).slice(2);
    if (info.type === "boolean") {
      flags.set(name, { option, info, bare: true });
      flags.set(`no-${name}`, { option, info, bare: false });
    } else flags.set(name, { option, info });
  }
  return flags;
}

function readBoolean(value: string | undefined): boolean | undefined {
  if (value === undefined || value === "true") return true;
  return value === "false" ? false : undefined;
}

/** Numbers become numbers where they can; what cannot is left for the schema to refuse. */
function readValue(info: FieldInfo, text: string): unknown {
  if (info.type !== "number" && info.type !== "integer") return text;
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
