/** Help texts, generated from the schemas that validate the options. */
import { basename } from "../packages/std_path.ts";
import { spell } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import type { Command } from "./command.ts";
import { takesConfig } from "../config/config_file.ts";
import { COMMON_FLAGS, CONFIG_FLAG, GPU_FLAG } from "./flags.ts";
import { type FieldInfo, fieldInfo } from "../options/schema.ts";

/** Columns of a page where no terminal is narrower; one that is narrower still would break words. */
const WIDEST = 100, NARROWEST = 60;
const INDENT = 30;

/** Width of a page on a terminal of that many columns, or on none. */
export function pageWidth(columns = WIDEST): number {
  return Math.min(WIDEST, Math.max(NARROWEST, columns));
}

/** How people start this program. The permissions of `-P` are in deno.jsonc. */
export const PROGRAM = executableName() ?? "deno run -qP cli.ts";

/** Where it is one executable, as compile.ts makes them. */
function executableName(): string | undefined {
  if (Deno.build.standalone) return basename(Deno.execPath());
  const variable = "TRAINER_EXECUTABLE";
  const allowed = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  return allowed ? Deno.env.get(variable) : undefined;
}

/** The list of commands. */
export function overview(commands: readonly Command[], page = pageWidth()): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  return [
    "Trains LLaMA-family language models on a single GPU, through WebGPU.",
    "",
    `Usage: ${PROGRAM} <command> [options]`,
    "",
    "Commands",
    ...commands.flatMap(({ name, summary }) => entry(name, summary, { page, indent: width + 2 })),
    "",
    `\`${PROGRAM} <command> --help\` lists the options of a command.`,
    "Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted after saving.",
  ].join("\n");
}

/** Everything about one command. */
export function commandHelp(command: Command, page = pageWidth()): string {
  const columns = { page, indent: INDENT };
  const infos = Object.entries(command.options.fields)
    .map(([option, field]) => ({ option, info: fieldInfo(field) }))
    .filter(({ info }) => !info.deprecated);
  const required = infos.filter(({ info }) => info.required)
    .map(({ option, info }) => `${signature(option, info)} `).join("");
  const lines = [
    ...wrap(`Usage: ${PROGRAM} ${command.name} ${required}[options]`, { page, indent: 0 }),
    "",
    ...wrap(`${capitalised(command.summary)}. ${command.details ?? ""}`.trimEnd(), {
      page,
      indent: 0,
    }),
  ];
  for (const title of new Set(infos.map(({ info }) => info.section))) {
    lines.push("", title);
    for (const { option, info } of infos) {
      if (info.section === title) {
        lines.push(...entry(signature(option, info), explanation(info), columns));
      }
    }
  }
  if (takesConfig(command.options.fields)) {
    const { name, value, description } = CONFIG_FLAG;
    lines.push("", "File", ...entry(`--${name} <${value}>`, description, columns));
  }
  lines.push("", "Common");
  if (command.opensGpu) {
    lines.push(...entry(`--${GPU_FLAG.name} <${GPU_FLAG.value}>`, GPU_FLAG.description, columns));
  }
  for (const [name, text] of Object.entries(COMMON_FLAGS)) {
    lines.push(...entry(`--${name}`, text, columns));
  }
  if (command.examples.length) {
    lines.push("", "Examples", ...command.examples.map((line) => `  ${PROGRAM} ${line}`));
  }
  return lines.join("\n");
}

function capitalised(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

function signature(option: string, info: FieldInfo): string {
  const flag = FLAGS.one({ option });
  if (info.type === "boolean") {
    // Show the form that changes the default.
    return info.default === "false" ? flag : `--[no-]${flag.slice(2)}`;
  }
  return `${flag} <${info.value}>${info.type === "list" ? "…" : ""}`;
}

function explanation(info: FieldInfo): string {
  const notes = [];
  if (info.choices.length) notes.push(`${info.choiceName}: ${info.choices.join(", ")}`);
  if (info.required) notes.push("required");
  else if (info.default === "true") notes.push("default: on");
  else if (info.default !== undefined && info.default !== "false") {
    notes.push(`default: ${spell(info.default, FLAGS)}`);
  }
  return spell(info.description, FLAGS) + notes.map((note) => ` (${note})`).join("");
}

/** A page's width, and the column at which explanations begin. */
interface Columns {
  readonly page: number;
  readonly indent: number;
}

function entry(left: string, right: string, columns: Columns): string[] {
  const [first, ...rest] = wrap(right, columns);
  const head = `  ${left}`;
  return head.length < columns.indent
    ? [head.padEnd(columns.indent) + first.trimStart(), ...rest]
    : [head, first, ...rest];
}

/** Wraps at spaces to the page width, with each line indented. */
function wrap(text: string, { page, indent }: Columns): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > page) {
      lines.push(" ".repeat(indent) + word);
    } else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
