/** Purposes and formats of files. */

export const PURPOSES = ["fine-tune", "pretrain"] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Purpose of files created by jobs; not for uploads. */
export const RESULTS_PURPOSE = "fine-tune-results";

/** Allowed extensions by purpose. */
export const ENDINGS: Readonly<Record<Purpose, readonly string[]>> = {
  "fine-tune": [".jsonl", ".json", ".parquet"],
  "pretrain": [".txt", ".jsonl", ".json", ".parquet"],
};

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".jsonl": "application/jsonl",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".csv": "text/csv; charset=utf-8",
  ".parquet": "application/octet-stream",
};

/** Suffix of the stored name during upload. */
export const UNFINISHED = ".part";

/** The extension of a name in lower case, with its dot; empty if there is none. */
export function endingOf(filename: string): string {
  return /\.[^.]*$/.exec(filename)?.[0].toLowerCase() ?? "";
}

/** The extension of the stored file: one of a few, whatever its name. */
export function storedEnding(filename: string): string {
  const ending = endingOf(filename);
  return Object.hasOwn(CONTENT_TYPES, ending) ? ending : ".bin";
}

export function contentType(filename: string): string {
  return CONTENT_TYPES[storedEnding(filename)] ?? "application/octet-stream";
}

const MAX_NAME = 255;

/** A display name: without folders and control characters, shortened but with its extension. */
export function cleanFilename(given: string): string {
  // deno-lint-ignore no-control-regex
  const name = given.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "")
    .toWellFormed().split(/[/\\]/).at(-1)!.trim();
  if (name === "" || name === "." || name === "..") return "";
  if (name.length <= MAX_NAME) return name;
  const ending = endingOf(name).slice(0, 16);
  return name.slice(0, MAX_NAME - ending.length).toWellFormed() + ending;
}
