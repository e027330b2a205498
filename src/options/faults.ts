/** Faults of options, which are all reported at once. */
import { closestString } from "../packages/std_text.ts";
import { levenshteinDistance } from "../packages/std_text.ts";
import { shortened } from "../text.ts";
import { joinPhrases, option, type Phrase, phrase, spell } from "./phrase.ts";
import { FIELDS } from "./spelling.ts";
import { UserError } from "./user_error.ts";

/** One thing wrong with one option. */
export interface Fault {
  /** The option's name in the schema (`batchSize`), or what was given instead of one. */
  readonly option: string;
  /** Its location in the user's input, if not an option: `run.yaml:12: cutoff_len`. */
  readonly place?: string;
  /** What is wrong with it. */
  readonly message: Phrase;
  /** An unknown word and the known ones, the nearest of which is suggested. */
  readonly near?: readonly [string, readonly string[]];
}

/** Faults that a message shows. */
const MOST_FAULTS = 35;

/** All faults of a run's options, reported together before anything is loaded. */
export class OptionsError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "OptionsError";

  /** One error for all faults, a line each. */
  constructor(readonly faults: readonly Fault[]) {
    const left = faults.length - MOST_FAULTS;
    const shown = faults.slice(0, MOST_FAULTS).map(describeFault);
    super(joinPhrases(left > 0 ? [...shown, `… and ${left} more`] : shown, "\n"));
  }
}

/** A fault as text, with its option. */
export function describeFault({ option: name, place, message, near }: Fault): Phrase {
  const nearest = near && nearestWord(...near);
  const suggestion = nearest ? ` (did you mean ${nearest}?)` : "";
  // A file has its own spelling, whatever reads it.
  if (place) return `${place}: ${spell(message, FIELDS)}${suggestion}`;
  const where = name && option(shortened(name));
  return where ? phrase`${where}: ${message}${suggestion}` : phrase`${message}${suggestion}`;
}

/** Longer ones are no misspelt words, and take long to compare. */
const LONGEST_WORD = 100;

/** The known word that `word` abbreviates, or that differs in at most a third of its letters. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const nearest = closestString(word, known);
  const allowed = Math.ceil(nearest.length / 3);
  if (levenshteinDistance(word.toLowerCase(), nearest.toLowerCase()) <= allowed) return nearest;
  const continued = known.filter((candidate) => word && candidate.startsWith(word));
  return continued.length === 1 ? continued[0] : undefined;
}
