/** Purposes and formats of files. */
import { extname } from "../../packages/std_path.ts";
import { dataEnding, endingsOf } from "../../data/formats.ts";
import type { FileRecord } from "./records.ts";

export const PURPOSES = ["fine-tune", "pretrain"] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Purpose of files created by jobs; not for uploads. */
export const RESULTS_PURPOSE = "fine-tune-results";

/** Allowed extensions by purpose, before that of a compression. */
export const ENDINGS: Readonly<Record<Purpose, readonly string[]>> = {
  "fine-tune": endingsOf({ texts: false }),
  "pretrain": endingsOf({ texts: true }),
};

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".jsonl": "application/jsonl",
  ".ndjson": "application/jsonl",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".md": "text/plain; charset=utf-8",
  ".csv": "text/csv; charset=utf-8",
  ".tsv": "text/tab-separated-values; charset=utf-8",
};

/** Suffix of the stored name during upload. */
export const UNFINISHED = ".part";
/** Suffix of the stored name while its record is being deleted. */
export const DELETED = ".deleted";
/** Prefix, in a job's folder, of what a worker has sent and is not in its place yet. */
export const INCOMING = ".incoming-";

/** Whether files for this purpose may end so. */
export function suits(ending: string, purpose: Purpose): boolean {
  return ENDINGS[purpose].some((each) => ending.startsWith(each));
}

/** What determines a file's format. */
export type NamedFile = Pick<FileRecord, "filename" | "ending">;

/** The extension of the stored file: one of a few, whatever its name. */
export function storedEnding({ filename, ending }: NamedFile): string {
  return ending ?? dataEnding(filename) ?? ".bin";
}

const OTHER_TYPE = "application/octet-stream";

/** All that {@link contentType} returns, without parameters. */
export const DOWNLOAD_TYPES = [
  ...new Set([OTHER_TYPE, ...Object.values(CONTENT_TYPES).map((type) => type.split(";")[0])]),
];

export function contentType(file: NamedFile): string {
  return CONTENT_TYPES[storedEnding(file)] ?? OTHER_TYPE;
}

const MAX_NAME = 255;

/** A display name: without folders and control characters, shortened but with its extension. */
export function cleanFilename(given: string): string {
  // deno-lint-ignore no-control-regex
  const name = given.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "")
    .toWellFormed().split(/[/\\]/).at(-1)!.trim();
  if (name === "" || name === "." || name === "..") return "";
  if (name.length <= MAX_NAME) return name;
  const ending = (dataEnding(name) ?? extname(name)).slice(0, 16);
  return name.slice(0, MAX_NAME - ending.length).toWellFormed() + ending;
}
