/** From what a user names (files, folders) to the files to read, in a fixed order. */
import { basename, join } from "@std/path";
import { UserError } from "../gpu/errors.ts";
import { type Reader, unreadable } from "./documents.ts";
import { readJsonl, readJsonlGz } from "./jsonl_reader.ts";
import { readParquet } from "./parquet_reader.ts";
import { readText } from "./text_reader.ts";

export interface DataFile {
  readonly path: string;
  /** The path below what was named: the same when a folder moves. */
  readonly name: string;
  readonly size: number;
  readonly read: Reader;
}

/** By ending. A `.json` file is taken for JSON Lines, which is what most of them hold. */
const READERS: Record<string, Reader> = {
  ".txt": readText,
  ".md": readText,
  ".jsonl": readJsonl,
  ".json": readJsonl,
  ".jsonl.gz": readJsonlGz,
  ".json.gz": readJsonlGz,
  ".parquet": readParquet,
};

export function isText(file: DataFile): boolean {
  return file.read === readText;
}

/**
 * The files that the specifications name; folders are searched to the bottom and sorted. Throws a
 * {@link UserError} on what is not there, is of an unknown kind or lies on a hub.
 */
export async function listFiles(specs: readonly string[]): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const spec of specs) {
    if (spec.startsWith("hf:")) {
      throw new UserError(
        `data ${spec}: data sets of the Hugging Face hub are not supported in this version`,
        "download its parquet or JSON Lines files and give their folder",
      );
    }
    const info = await Deno.stat(spec).catch((error) => {
      throw unreadable(`data ${spec}`, error);
    });
    const found = info.isDirectory
      ? await filesBelow(spec)
      : [dataFile(spec, basename(spec), info)];
    files.push(...found);
  }
  if (files.length === 0) throw new UserError("data: no file was given");
  return files;
}

function dataFile(path: string, name: string, { size }: Deno.FileInfo): DataFile {
  const read = readerOf(path);
  if (read) return { path, name, size, read };
  throw new UserError(
    `data ${path}: files of this kind are not known`,
    `known are ${Object.keys(READERS).join(", ")}`,
  );
}

function readerOf(path: string): Reader | undefined {
  const ending = Object.keys(READERS).find((ending) => path.toLowerCase().endsWith(ending));
  return ending === undefined ? undefined : READERS[ending];
}

/** Files of known kinds, without hidden ones and without the README of a downloaded data set. */
async function filesBelow(folder: string): Promise<DataFile[]> {
  const files: DataFile[] = [];
  const visit = async (below: string) => {
    for await (const { name } of Deno.readDir(join(folder, below))) {
      if (name.startsWith(".") || name.toLowerCase() === "readme.md") continue;
      const relative = below ? `${below}/${name}` : name;
      const path = join(folder, relative);
      const info = await Deno.stat(path); // follows links
      if (info.isDirectory) await visit(relative);
      else if (readerOf(name)) files.push(dataFile(path, relative, info));
    }
  };
  await visit("").catch((error) => {
    throw unreadable(`data ${folder}`, error);
  });
  if (files.length === 0) {
    throw new UserError(
      `data ${folder}: has no data file`,
      `known are ${Object.keys(READERS).join(", ")}`,
    );
  }
  return files.sort((a, b) => a.name < b.name ? -1 : 1);
}
