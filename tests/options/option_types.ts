/**
 * Generates the interfaces of options from their schemas: `deno task options`. Options are added
 * only to a schema, and editors still show each with its type, description and default, which they
 * do not for types inferred by zod.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { z } from "zod";
import { type Phrase, spell, type Spelling } from "../../src/options/phrase.ts";
import { fieldInfo, isLive, type Options } from "../../src/options/schema.ts";
import { PROPERTIES } from "../../src/options/spelling.ts";
import { serverOptions } from "../../src/server/options.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { METHODS } from "../../src/train/methods.ts";
import { PRESET_NAMES } from "../../src/train/presets.ts";

const WIDTH = 100;

/** The interfaces to write of some options: as parsed, and as given. */
interface Described {
  readonly name: string;
  readonly about: string;
  /** Of the interface of what is given, and what that is. */
  readonly input: readonly [name: string, about: string];
  // deno-lint-ignore no-explicit-any
  readonly options: Options<any, any>;
  /** Minimal input for `parse`; what it fills in is always present. */
  readonly least: Readonly<Record<string, unknown>>;
}

/** Every file of such interfaces, by its path. */
const FILES: Readonly<Record<string, { imports?: string; interfaces: readonly Described[] }>> = {
  "src/train/option_types.ts": {
    imports: 'import type { Data } from "../data/data.ts";\n' +
      'import type { PresetName } from "../model/config.ts";\n' +
      'import type { Given } from "../options/schema.ts";\n' +
      'import type { MethodName } from "./methods.ts";',
    interfaces: [
      {
        name: "MemoryOptions",
        input: ["MemoryInput", "What decides the memory of a training run, as a program gives it."],
        about: "What decides the memory of a training run, as `memoryOptions.parse` returns it.",
        options: memoryOptions,
        least: { model: "llama_nano" },
      },
      {
        name: "PretrainOptions",
        input: ["PretrainInput", "Options of a pre-training run, as a program gives them."],
        about: "Options of a pre-training run, as `pretrainOptions.parse` returns them.",
        options: pretrainOptions,
        least: { model: "llama_nano", data: ["a.txt"], output: "run" },
      },
      {
        name: "FinetuneOptions",
        input: ["FinetuneInput", "Options of a fine-tuning run, as a program gives them."],
        about: "Options of a fine-tuning run, as `finetuneOptions.parse` returns them.",
        options: finetuneOptions,
        least: { model: "base", data: ["a.jsonl"], output: "run" },
      },
    ],
  },
  "src/server/option_types.ts": {
    imports: 'import type { Given } from "../options/schema.ts";',
    interfaces: [{
      name: "ServerOptions",
      input: ["ServerInput", "Options of a server, as a program gives them."],
      about: "Options of a server, with the defaults of those that are not given.",
      options: serverOptions,
      least: {},
    }],
  },
};

/** A JSON schema, as zod writes them. */
interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  /** On an option that takes any string: what an editor proposes. */
  readonly choices?: readonly string[];
  readonly proposals?: readonly string[];
  /** On the option that chooses a method: its aliases are not among the parsed values. */
  readonly methods?: unknown;
}

/** Any string, beside words that would be lost in `string`. */
const ANY_STRING = "(string & Record<never, never>)";

function unionOf(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(" | ");
}

function typeOf(schema: JsonSchema): string {
  const proposed = schema.choices ?? schema.proposals;
  if (proposed) {
    const arePresets = JSON.stringify(proposed) === JSON.stringify(PRESET_NAMES);
    return `${arePresets ? "PresetName" : unionOf(proposed)} | ${ANY_STRING}`;
  }
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return unionOf(schema.enum);
  if (schema.items) {
    const item = typeOf(schema.items);
    return /\|/.test(item) ? `(${item})[]` : `${item}[]`;
  }
  return schema.type === "integer" ? "number" : schema.type!;
}

/** Comment of a member, indented by two. */
function comment(...paragraphs: readonly string[]): string {
  const lines = paragraphs.flatMap((paragraph) => {
    const wrapped = [""];
    for (const word of paragraph.split(" ")) {
      const line = wrapped.pop()!, longer = line ? `${line} ${word}` : word;
      wrapped.push(...(longer.length > WIDTH - "   * ".length ? [line, word] : [longer]));
    }
    return wrapped;
  });
  const single = `/** ${lines[0]} */`;
  if (lines.length === 1 && single.length <= WIDTH - "  ".length) return single;
  return ["/**", ...lines.map((line) => ` * ${line}`.trimEnd()), " */"].join("\n");
}

/** Options as code. */
const CODE: Spelling = { ...PROPERTIES, one: (it) => `\`${PROPERTIES.one(it)}\`` };

/** A description of help texts, as a sentence. */
function sentence(description: Phrase): string {
  const text = spell(description, CODE);
  return text[0].toUpperCase() + text.slice(1) + (text.endsWith("…") ? "" : ".");
}

function jsonOf(field: z.core.$ZodType): JsonSchema {
  return z.toJSONSchema(field, { io: "input" }) as JsonSchema;
}

function interfacesOf({ name, about, input, options, least }: Described): string {
  const filled: Readonly<Record<string, unknown>> = options.parse(least);
  const members = Object.entries(options.fields).map(([option, field]) => {
    const info = fieldInfo(field);
    const there = info.required || (filled[option] !== undefined && least[option] === undefined);
    const json = jsonOf(field);
    const type = isLive(field) ? "Data" : json.methods ? "MethodName" : typeOf(json);
    const usual = info.default === undefined ? [] : [`@default ${spell(info.default, CODE)}`];
    const about = sentence(info.description);
    return `${info.deprecated ? comment(`@deprecated ${about}`) : comment(about, ...usual)}
      readonly ${option}${there ? "" : "?"}: ${type};`;
  });
  return `${comment(about)}\nexport interface ${name} {\n${members.join("\n")}\n}\n\n` +
    inputOf({ name, input, options });
}

/** What may be given: everything is optional that has a default, and a method has other names. */
function inputOf(
  { name, input: [inputName, about], options }: Pick<Described, "name" | "input" | "options">,
): string {
  const fields = Object.entries(options.fields);
  const required = fields.filter(([, field]) => fieldInfo(field).required)
    .map(([option]) => JSON.stringify(option)).join(" | ");
  const others = fields.filter(([, field]) => jsonOf(field).methods);
  const members = others.map(([option, field]) => {
    const { description, default: usual } = fieldInfo(field);
    const aliases = jsonOf(field).enum!.filter((each) => !(String(each) in METHODS));
    return `${comment(sentence(description), `@default ${usual}`)}
      readonly ${option}?: MethodName | ${unionOf(aliases)};`;
  });
  const omitted = others.map(([option]) => JSON.stringify(option)).join(" | ");
  const base = omitted ? `Omit<${name}, ${omitted}>` : name;
  return `${comment(about)}\nexport interface ${inputName} extends Given<${base}${
    required ? `, ${required}` : ""
  }> {\n${members.join("\n")}\n}`;
}

async function formatted(source: string): Promise<string> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--line-width", `${WIDTH}`, "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { success, stdout } = await process.output();
  if (!success) throw new Error(`cannot be formatted:\n${source}`);
  return new TextDecoder().decode(stdout);
}

/** The files as they should be. */
export async function optionTypes(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const [path, { imports = "", interfaces }] of Object.entries(FILES)) {
    const header = comment(
      "Options as types, for editors. Written by `deno task options` from the schemas of the " +
        "options: change those, not this file.",
      "",
      "@module",
    );
    const source = [header, imports, ...interfaces.map(interfacesOf)].join("\n\n");
    // Long unions take the formatter a second pass.
    files.set(path, await formatted(await formatted(source)));
  }
  return files;
}

/** Where such a file is. */
export function fileOf(path: string): string {
  return fromFileUrl(new URL(`../../${path}`, import.meta.url));
}

if (import.meta.main) {
  for (const [path, source] of await optionTypes()) await Deno.writeTextFile(fileOf(path), source);
}
