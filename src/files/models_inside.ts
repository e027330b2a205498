/** Where the model is, if a folder of a training run was given in its place. */
import { join } from "../packages/std_path.ts";
import { isThere } from "./stat.ts";

/** A hint that names the models and adapters one level below a folder; undefined if it has none. */
export async function modelsInside(folder: string): Promise<string | undefined> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  const within = entries.filter(({ isFile }) => !isFile).map(({ name }) => join(folder, name))
    .sort();
  const holding = async (file: string) => {
    const held = await Promise.all(within.map((path) => isThere(join(path, file))));
    return within.filter((_, index) => held[index]);
  };
  const models = await holding("config.json");
  if (models.length) return `the model is in ${models.slice(0, 4).join(", ")}`;
  const [adapter] = await holding("adapter_config.json");
  return adapter && `it has an adapter, ${adapter}: give that, and its base as the model`;
}
