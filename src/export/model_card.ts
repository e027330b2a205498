/** README.md of a saved model: what it was made from, how, and with what result. */
import { basename, isAbsolute } from "../packages/std_path.ts";
import { stringify } from "../packages/std_yaml.ts";
import { isHubSpec, parseHubSpec, type RepoType } from "../hub/spec.ts";
import { PRODUCT, VERSION } from "../product.ts";
import { snakeCase } from "../text.ts";

/** What a card says. Paths of the machine it was made on are reduced to their last part. */
export interface ModelCard {
  readonly title: string;
  /** `adapter` needs its base model. */
  readonly kind: "model" | "adapter";
  /** One sentence: "Fine-tuned from … with …". */
  readonly summary: string;
  /** The model it was made from, as given. */
  readonly base?: string;
  /** Data as given: files, folders, `hf:…`. */
  readonly data?: readonly string[];
  /** Names that people search for, such as the method's. */
  readonly tags?: readonly string[];
  /** Rows of a table: what was measured; a row without a value is left out. */
  readonly facts: readonly (readonly [name: string, value: string | undefined])[];
  /** How it expects dialogues; undefined if it knows none. */
  readonly chat?: string;
  /** Options of the run; those that concern the machine are left out. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Options that say where and on what a run ran, not how. */
const OF_THE_MACHINE = ["output", "resume", "overwriteOutput", "gpuMemory", "tune"];

/** The card in Markdown, with the metadata that Hugging Face's hub reads from its head. */
export function modelCard(card: ModelCard): string {
  const facts: ModelCard["facts"] = [
    ["Base model", card.base && named(card.base)],
    ["Data", card.data?.map(named).join(", ")],
    ...card.facts,
    ["Software", `${PRODUCT} ${VERSION}, Deno ${Deno.version.deno}`],
  ];
  return [
    `---\n${stringify(metadata(card))}---\n`,
    `# ${card.title}\n`,
    `${card.summary}\n`,
    `| | |\n| --- | --- |\n${facts.flatMap(row).join("\n")}\n`,
    ...(card.chat === undefined ? [] : [`${card.chat}\n`]),
    ...(card.options ? [optionsText(card.options)] : []),
    ...(card.base === undefined ? [] : ["The base model's licence applies to this one, too.\n"]),
  ].join("\n");
}

function metadata({ kind, base, data = [], tags = [] }: ModelCard): Record<string, unknown> {
  const base_model = base === undefined ? undefined : hubName(base, "model");
  const datasets = data.map((each) => hubName(each, "dataset")).filter((name) => name);
  return {
    library_name: kind === "adapter" ? "peft" : "transformers",
    pipeline_tag: "text-generation",
    ...(base_model && { base_model }),
    ...(base_model && { base_model_relation: kind === "adapter" ? "adapter" : "finetune" }),
    ...(datasets.length && { datasets: [...new Set(datasets)] }),
    tags: ["deno-galore", ...tags],
  };
}

function hubName(spec: string, type: RepoType): string | undefined {
  return isHubSpec(spec) ? parseHubSpec(spec, type).name : undefined;
}

/** A model or data set without the folders of this machine, which are nobody's concern. */
function named(spec: string): string {
  return `\`${isAbsolute(spec) ? basename(spec) : spec}\``;
}

/** Line breaks and bars would end a cell. */
function row([name, value]: ModelCard["facts"][number]): string[] {
  if (!value) return [];
  return [`| ${name} | ${value.replaceAll("|", "\\|").replaceAll("\n", " ")} |`];
}

function optionsText(options: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(options)
    .filter(([name, value]) => value !== undefined && !OF_THE_MACHINE.includes(name))
    .map(([name, value]) => [snakeCase(name), withoutFolders(value)]);
  return "<details><summary>Options, as a configuration file of a run</summary>\n\n" +
    `\`\`\`yaml\n${stringify(Object.fromEntries(given))}\`\`\`\n\n</details>\n`;
}

function withoutFolders(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFolders);
  return typeof value === "string" && isAbsolute(value) ? basename(value) : value;
}
