/** GGUF files by name: llama.cpp's tools recognise a model, and the parts of a split one, by it. */
import { join } from "../packages/std_path.ts";
import { statOf } from "./stat.ts";

/** Whether a path names a GGUF file, by its extension, as in llama.cpp's own tools. */
export function isGgufPath(path: string): boolean {
  return path.toLowerCase().endsWith(".gguf");
}

/** Thousands of parts are not a model, but would be looked for. */
const PART = /^(.*)-(\d{5})-of-(00\d{3})(\.gguf)$/is;

/**
 * The files of the model that a GGUF file belongs to, in order: `x-00001-of-00002.gguf` and
 * `x-00002-of-00002.gguf`, or just itself if its name is not that of a part.
 */
export function ggufParts(path: string): string[] {
  const [, prefix, , count, extension] = path.match(PART) ?? [];
  if (prefix === undefined) return [path];
  const number = (at: number) => String(at + 1).padStart(5, "0");
  return Array.from(
    { length: Number(count) },
    (_, at) => `${prefix}-${number(at)}-of-${count}${extension}`,
  );
}

/** A GGUF file's name without its extension and without the number of a part. */
export function ggufName(name: string): string {
  return name.match(PART)?.[1] ?? name.replace(/\.gguf$/i, "");
}

/**
 * The GGUF models among the files of a folder: one path each, of the first part that is there.
 */
export function ggufModels(names: readonly string[]): string[] {
  const models = new Map<string, string>();
  for (const name of names.filter(isGgufPath).sort()) {
    const [first] = ggufParts(name);
    if (!models.has(first)) models.set(first, name);
  }
  return [...models.values()];
}

/**
 * The path of a model in a folder that has no safetensors, but a single GGUF model; otherwise the
 * given path.
 */
export async function orItsGguf(path: string): Promise<string> {
  const info = await statOf(path);
  if (!info?.isDirectory) return path;
  const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
  if (names.some((name) => /\.safetensors(\.index\.json)?$/.test(name))) return path;
  const models = ggufModels(names);
  return models.length === 1 ? join(path, models[0]) : path;
}
