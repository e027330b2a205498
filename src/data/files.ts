/** Resolves the files and folders named by the user to files, in a fixed order. */
import { basename, join } from "@std/path";
import { type HubOptions, isHubSpec, resolveData } from "../hub/hub.ts";
import { UserError } from "../options/user_error.ts";
import { type Reader, unreadable } from "./documents.ts";
import {
  jsonGzRecords,
  jsonRecords,
  readJsonl,
  readJsonlGz,
  type RecordReader,
} from "./jsonl_reader.ts";
import { parquetRecords, readParquet } from "./parquet_reader.ts";
import { readText } from "./text_reader.ts";

export interface DataFile {
  readonly path: string;
  /** The path relative to the named folder, so that it does not change when that moves. */
  readonly name: string;
  readonly size: number;
  /** Its documents. */
  readonly read: Reader;
  /** Its raw records; a text file has none. */
  readonly records?: RecordReader;
}

type Kind = Pick<DataFile, "read" | "records">;

const JSON_KIND: Kind = { read: readJsonl, records: jsonRecords };
const JSON_GZ_KIND: Kind = { read: readJsonlGz, records: jsonGzRecords };

/** By extension. The first byte of JSON distinguishes lines of records from an array. */
const KINDS: Record<string, Kind> = {
  ".txt": { read: readText },
  ".md": { read: readText },
  ".jsonl": JSON_KIND,
  ".json": JSON_KIND,
  ".jsonl.gz": JSON_GZ_KIND,
  ".json.gz": JSON_GZ_KIND,
  ".parquet": { read: readParquet, records: parquetRecords },
};

/** Files that describe a downloaded data set rather than belong to it. */
const DESCRIPTIONS = ["readme.md", "dataset_info.json", "dataset_infos.json"];

export function isText(file: DataFile): boolean {
  return file.records === undefined;
}

/**
 * The files named by the specifications; folders are searched recursively and sorted, data sets of
 * the hub (`hf:…`) are downloaded. Throws a {@link UserError} on missing files and unknown kinds.
 */
export async function listFiles(
  specs: readonly string[],
  hub?: HubOptions,
): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const spec of specs) {
    if (isHubSpec(spec)) {
      files.push(...await filesOfHub(spec, hub));
      continue;
    }
    const info = await Deno.stat(spec).catch((error) => {
      throw unreadable(`data ${spec}`, error);
    });
    const found = info.isDirectory
      ? await filesBelow(spec)
      : [dataFile(spec, basename(spec), info)];
    files.push(...found);
  }
  if (files.length === 0) throw new UserError("data: no file given");
  return files;
}

/** The hub's .md files describe the data. */
async function filesOfHub(spec: string, hub?: HubOptions): Promise<DataFile[]> {
  const isData = (path: string) => kindOf(path) !== undefined && !/\.md$/i.test(path);
  const { folder, files } = await resolveData(spec, isData, hub);
  return await Promise.all(files.map(async (name) => {
    const path = join(folder, name);
    return dataFile(path, name, await Deno.stat(path));
  }));
}

function dataFile(path: string, name: string, { size }: Deno.FileInfo): DataFile {
  const kind = kindOf(path);
  if (kind) return { path, name, size, ...kind };
  throw new UserError(
    `data ${path}: unsupported file type`,
    `supported: ${Object.keys(KINDS).join(", ")}`,
  );
}

function kindOf(path: string): Kind | undefined {
  const ending = Object.keys(KINDS).find((ending) => path.toLowerCase().endsWith(ending));
  return ending === undefined ? undefined : KINDS[ending];
}

/** Files of known kinds, except hidden ones and descriptions of a data set. */
async function filesBelow(folder: string): Promise<DataFile[]> {
  const files: DataFile[] = [];
  const visit = async (below: string) => {
    for await (const { name } of Deno.readDir(join(folder, below))) {
      if (name.startsWith(".") || DESCRIPTIONS.includes(name.toLowerCase())) continue;
      const relative = below ? `${below}/${name}` : name;
      const path = join(folder, relative);
      const info = await Deno.stat(path); // follows links
      if (info.isDirectory) await visit(relative);
      else if (kindOf(name)) files.push(dataFile(path, relative, info));
    }
  };
  await visit("").catch((error) => {
    throw unreadable(`data ${folder}`, error);
  });
  if (files.length === 0) {
    throw new UserError(
      `data ${folder}: has no data file`,
      `supported: ${Object.keys(KINDS).join(", ")}`,
    );
  }
  return files.sort((a, b) => a.name < b.name ? -1 : 1);
}
