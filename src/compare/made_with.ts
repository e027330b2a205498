/** What the figures of a run depend on beside its options, so that only like is compared. */
import { join } from "../packages/std_path.ts";
import { statOf } from "../files/stat.ts";
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { PRODUCT, VERSION } from "../product.ts";
import type { Recipe } from "../train/recipe.ts";
import type { MadeWith } from "./record.ts";

/** Of the runs of this sitting. `data`: what was given as data. */
export async function madeWith(
  gpu: Gpu,
  recipe: Pick<Recipe, "markBase">,
  data: readonly unknown[],
): Promise<MadeWith> {
  const paths = data.flat().filter((each) => typeof each === "string");
  const sizes = await Promise.all(paths.map(sizeOf));
  const known = sizes.filter((size) => size !== undefined);
  return {
    adapter: adapterName(gpu.adapter),
    program: `${PRODUCT} ${VERSION}`,
    base_mark: await recipe.markBase?.(),
    data_bytes: known.length ? known.reduce((sum, size) => sum + size, 0) : undefined,
  };
}

const NAMES: Readonly<Record<keyof MadeWith, string>> = {
  adapter: "adapter",
  program: "program",
  base_mark: "weights of the base (by their mark)",
  data_bytes: "bytes of the data",
};

/** `adapter: A there, B here`; undefined if nothing differs. */
export function differenceText(there: MadeWith, here: MadeWith): string | undefined {
  const names = Object.keys(NAMES) as (keyof MadeWith)[];
  const text = names.filter((name) => there[name] !== here[name]).map((name) =>
    `${NAMES[name]}: ${there[name] ?? "unknown"} there, ${here[name] ?? "unknown"} here`
  ).join("; ");
  return text || undefined;
}

/** Of a file, or of all files in a folder; undefined of what is no path. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await statOf(path);
  if (!found?.isDirectory) return found?.size;
  let sum = 0;
  for await (const { name } of Deno.readDir(path)) sum += await sizeOf(join(path, name)) ?? 0;
  return sum;
}
