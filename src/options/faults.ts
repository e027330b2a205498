/** What is wrong with options: every fault of them is reported at once. */
import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";
import { joinPhrases, option, type Phrase, phrase } from "./phrase.ts";
import { UserError } from "./user_error.ts";

/** One thing wrong with one option. */
export interface Fault {
  /** The option's name as the schema has it (`batchSize`), or what was given instead of one. */
  readonly option: string;
  /** Where the user wrote it, word for word, if not as an option: `run.yaml:12: cutoff_len`. */
  readonly place?: string;
  /** What is wrong with it. */
  readonly message: Phrase;
  /** A word that is not known, and those that are: the nearest is suggested. */
  readonly near?: readonly [string, readonly string[]];
}

/** All that is wrong with the options of a run, reported together and before anything is loaded. */
export class OptionsError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "OptionsError";

  /** One error for all faults, a line each. */
  constructor(readonly faults: readonly Fault[]) {
    super(joinPhrases(faults.map(describeFault), "\n"));
  }
}

/** A fault with the option that it is about. */
export function describeFault({ option: name, place, message, near }: Fault): Phrase {
  const nearest = near && nearestWord(...near);
  const suggestion = nearest ? ` (did you mean ${nearest}?)` : "";
  const where = place ?? (name && option(name));
  return where ? phrase`${where}: ${message}${suggestion}` : phrase`${message}${suggestion}`;
}

/** The known word within a third of its letters of `word`, or that continues it. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const nearest = closestString(word, known);
  const allowed = Math.ceil(nearest.length / 3);
  if (levenshteinDistance(word.toLowerCase(), nearest.toLowerCase()) <= allowed) return nearest;
  const continued = known.filter((candidate) => word && candidate.startsWith(word));
  return continued.length === 1 ? continued[0] : undefined;
}
