/** What the figures of a run depend on beside its options, so that only like is compared. */
import { createHash } from "node:crypto";
import { listFiles } from "../data/files.ts";
import { datasetSources } from "../data/instruct/dataset_info.ts";
import { type ExampleData, exampleSources } from "../data/instruct/sources.ts";
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LlamaConfig } from "../model/config.ts";
import { PRODUCT, VERSION } from "../product.ts";
import { filesOfTokenizer } from "../tokenizers/hf_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Recipe } from "../train/recipe.ts";
import type { MadeWith } from "./record.ts";

/** Where runs have their data from, by the names of their options. */
export interface DataOptions {
  readonly data?: ExampleData;
  readonly evalData?: ExampleData;
  readonly dataset?: readonly string[];
  readonly evalDataset?: readonly string[];
  readonly datasetDir?: string;
}

/** Of the runs of this sitting. */
export async function madeWith(
  gpu: Gpu,
  recipe: Pick<Recipe, "markBase" | "config" | "tokenizer">,
  options: DataOptions,
): Promise<MadeWith> {
  return {
    adapter: adapterName(gpu.adapter),
    program: `${PRODUCT} ${VERSION}`,
    base_mark: await recipe.markBase?.(),
    model_mark: modelMark(recipe.config, recipe.tokenizer),
    data_mark: await dataMark(options),
  };
}

/** A hash of the model's configuration, as it was read, and of its tokenizer's files. */
function modelMark(config: LlamaConfig, tokenizer: Tokenizer): string {
  const hash = createHash("sha256").update(JSON.stringify(config));
  for (const [name, bytes] of [...filesOfTokenizer(tokenizer)].sort(([a], [b]) => a < b ? -1 : 1)) {
    hash.update(`\n${name} ${bytes.length}\n`).update(bytes);
  }
  return shortened(hash);
}

/**
 * A hash of what is read: of each file its name, its size and samples of its content
 * (files/sampled_content.ts), of data in memory all of it; of data that is made anew at each pass only
 * its place. Of a source that says so, how its records are read and how many. Times of files do not
 * count; where they lie is compared with the options (same_options.ts).
 */
async function dataMark(
  { data, evalData, dataset, evalDataset, datasetDir = "data" }: DataOptions,
): Promise<string> {
  const hash = createHash("sha256");
  const kinds = [["data", data, dataset], ["evalData", evalData, evalDataset]] as const;
  for (const [label, given, names] of kinds) {
    const sources = [
      ...given === undefined ? [] : exampleSources(given, label),
      ...names === undefined ? [] : await datasetSources(datasetDir, names),
    ];
    if (!sources.length) continue;
    hash.update(`${label}\n`);
    for (const [at, { format, limit }] of sources.entries()) {
      if (format || limit !== undefined) {
        hash.update(`${at} ${JSON.stringify({ format, limit })}\n`);
      }
    }
    const { files } = await listFiles(sources.map(({ spec }) => spec));
    for (const { name, size, content, sampled } of files) {
      hash.update(`${JSON.stringify(name)} ${size} ${content ?? await sampled?.() ?? ""}\n`);
    }
  }
  return shortened(hash);
}

const shortened = (hash: ReturnType<typeof createHash>) => hash.digest("hex").slice(0, 16);

const NAMES: Readonly<Record<keyof MadeWith, string>> = {
  adapter: "adapter",
  program: "program",
  base_mark: "weights of the base (by their mark)",
  model_mark: "configuration or tokenizer of the model (by their mark)",
  data_mark: "content of the data (by its mark)",
};

/** `adapter: A there, B here`; undefined if nothing differs. */
export function differenceText(there: MadeWith, here: MadeWith): string | undefined {
  const names = Object.keys(NAMES) as (keyof MadeWith)[];
  const text = names.filter((name) => there[name] !== here[name] && !isUnknown(there, name))
    .map((name) =>
      `${NAMES[name]}: ${there[name] ?? "unknown"} there, ${here[name] ?? "unknown"} here`
    ).join("; ");
  return text || undefined;
}

/** Runs were made before the model had a mark. */
const isUnknown = (there: MadeWith, name: keyof MadeWith) =>
  name === "model_mark" && there[name] === undefined;
