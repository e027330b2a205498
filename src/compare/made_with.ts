/** What the figures of a run depend on beside its options, so that only like is compared. */
import { createHash } from "node:crypto";
import { listFiles } from "../data/files.ts";
import { datasetSources } from "../data/instruct/dataset_info.ts";
import { type ExampleData, exampleSources } from "../data/instruct/sources.ts";
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { PRODUCT, VERSION } from "../product.ts";
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
  recipe: Pick<Recipe, "markBase">,
  options: DataOptions,
): Promise<MadeWith> {
  return {
    adapter: adapterName(gpu.adapter),
    program: `${PRODUCT} ${VERSION}`,
    base_mark: await recipe.markBase?.(),
    data_mark: await dataMark(options),
  };
}

/**
 * A hash of what is read: of each file its name, its size and samples of its content
 * (files/sampled_content.ts), of data in memory all of it; of data that is made anew at each pass only
 * its place. The same files in another folder or with other times have the same mark.
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
    const { files } = await listFiles(sources.map(({ spec }) => spec));
    for (const { name, size, content, sampled } of files) {
      hash.update(`${JSON.stringify(name)} ${size} ${content ?? await sampled?.() ?? ""}\n`);
    }
  }
  return hash.digest("hex").slice(0, 16);
}

const NAMES: Readonly<Record<keyof MadeWith, string>> = {
  adapter: "adapter",
  program: "program",
  base_mark: "weights of the base (by their mark)",
  data_mark: "content of the data (by its mark)",
};

/** `adapter: A there, B here`; undefined if nothing differs. */
export function differenceText(there: MadeWith, here: MadeWith): string | undefined {
  const names = Object.keys(NAMES) as (keyof MadeWith)[];
  const text = names.filter((name) => there[name] !== here[name]).map((name) =>
    `${NAMES[name]}: ${there[name] ?? "unknown"} there, ${here[name] ?? "unknown"} here`
  ).join("; ");
  return text || undefined;
}
