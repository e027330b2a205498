/** What the library says of a run, as clients of the API know things. */
import { inApiTerms } from "../protocol/spelling.ts";

/** Flags that have another name in a request. */
const NAMES = { "--eval-data": "validation_file", "--data": "training_file" } as const;

/** Paths in the data folder become ids, flags the names of fields. */
export function inClientTerms(text: string, dataFolder: string): string {
  const named = Object.entries(NAMES)
    .reduce((said, [flag, name]) => said.replaceAll(new RegExp(`${flag}\\b`, "g"), name), text);
  return inApiTerms(
    named.replaceAll(dataFolder, "").replace(/\/(?:files|jobs)\/([\w-]+)(?:\.\w+)?/g, "$1"),
  );
}
