/** What files may be for, and what they may be. */

export const PURPOSES = ["fine-tune", "pretrain"] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Of files that jobs make; nobody uploads them. */
export const RESULTS_PURPOSE = "fine-tune-results";

/** What files of a purpose may end in. */
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

/** Behind the stored name of a file that is still being received. */
export const UNFINISHED = ".part";

/** The ending of a name in lower case, with its dot; empty where there is none. */
export function endingOf(filename: string): string {
  return /\.[^.]*$/.exec(filename)?.[0].toLowerCase() ?? "";
}

/** What the file is called by in the data folder: one of a few endings, whatever the name. */
export function storedEnding(filename: string): string {
  const ending = endingOf(filename);
  return Object.hasOwn(CONTENT_TYPES, ending) ? ending : ".bin";
}

export function contentType(filename: string): string {
  return CONTENT_TYPES[storedEnding(filename)] ?? "application/octet-stream";
}

const MAX_NAME = 255;

/** A name to show: without folders and control characters, and not too long to keep its ending. */
export function cleanFilename(given: string): string {
  // deno-lint-ignore no-control-regex
  const name = given.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "")
    .toWellFormed().split(/[/\\]/).at(-1)!.trim();
  if (name === "" || name === "." || name === "..") return "";
  if (name.length <= MAX_NAME) return name;
  const ending = endingOf(name).slice(0, 16);
  return name.slice(0, MAX_NAME - ending.length).toWellFormed() + ending;
}
