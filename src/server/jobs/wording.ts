/** What the library says of a run, as clients of the API know things. */
import { explain, type Explanation } from "../../options/user_error.ts";
import { REQUEST } from "../protocol/spelling.ts";

/** Paths in the data folder become ids, options the names of fields. */
export function inClientTerms(explanation: Explanation, dataFolder: string): string {
  return explain(explanation, REQUEST).replaceAll(dataFolder, "")
    .replace(/\/(?:files|jobs)\/([\w-]+)(?:\.\w+)?/g, "$1");
}
