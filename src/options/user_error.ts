/** The error that is the user's to mend, and the one way to show it. */
import { type Phrase, phrase, spell, type Spelling } from "./phrase.ts";
import { PROPERTIES } from "./spelling.ts";

/** What went wrong, and what would be right. Plain JSON. */
export interface Explanation {
  /** What went wrong. */
  readonly message: Phrase;
  /** What would be right. */
  readonly hint?: Phrase;
}

/**
 * A fault the user can mend: shown without a stack trace. `message` and `hint` name options as the
 * library does; {@link explain} writes both in the spelling of a front end.
 */
export class UserError extends Error {
  /** As it appears in a stack trace. */
  override readonly name: string = "UserError";
  /** What to do about it. */
  readonly hint?: string;
  readonly #explanation: Explanation;

  /** An error with what to do about it. */
  constructor(message: Phrase, hint?: Phrase) {
    super(spell(message, PROPERTIES));
    this.#explanation = { message, hint };
    if (hint !== undefined) this.hint = spell(hint, PROPERTIES);
  }

  /** Message and hint with the options that they name as data. */
  get explanation(): Explanation {
    return this.#explanation;
  }
}

/** Message and hint as people read them, the hint on a line of its own. */
export function explain(
  error: UserError | Explanation,
  spelling: Spelling = PROPERTIES,
): string {
  const { message, hint } = error instanceof UserError ? error.explanation : error;
  const text = spell(message, spelling);
  return hint === undefined ? text : `${text}\n  hint: ${spell(hint, spelling)}`;
}

/** Both in one line, for a place in a list or behind another text. */
export function inOneLine({ message, hint }: Explanation): Phrase {
  return hint === undefined ? message : phrase`${message}; ${hint}`;
}
