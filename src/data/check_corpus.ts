/** Reads data before training does, so that faults show before the first step. */
import type { DataSpec } from "./data.ts";
import { START } from "./documents.ts";
import { type DataFile, listFiles } from "./files.ts";

/** Characters that are read in all, which takes about a second; most corpora are smaller. */
const CHECKED_CHARACTERS = 1 << 27;

/** Of more files, only the first are opened. */
const CHECKED_FILES = 1000;

/**
 * Reads all documents, or of a large corpus as many of each file as a budget allows. Throws a
 * {@link UserError} with file and line of the first that cannot be read or has no text.
 */
export async function checkFiles(files: readonly DataFile[], textField: string): Promise<void> {
  let left = CHECKED_CHARACTERS;
  // Streamed data is read as training comes to it.
  const checked = files.filter(({ isStreamed }) => !isStreamed).slice(0, CHECKED_FILES);
  for (const [index, { read }] of checked.entries()) {
    // What small files leave over is for those behind them.
    const share = left / (checked.length - index);
    let characters = 0;
    for await (const { text } of read(START, { textField })) {
      characters += text.length;
      if (characters >= share) break;
    }
    left -= characters;
  }
}

/** {@link checkFiles} of the data that specifications name. */
export async function checkSources(specs: readonly DataSpec[], textField: string): Promise<void> {
  await checkFiles((await listFiles(specs)).files, textField);
}
