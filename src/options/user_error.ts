/** The error for what the user can fix, and how to show it. */
import { onAScreen, type Phrase, phrase, spell, type Spelling } from "./phrase.ts";
import { PROPERTIES } from "./spelling.ts";

/** What is wrong, and what would be right. Plain JSON. */
export interface Explanation {
  /** What went wrong. */
  readonly message: Phrase;
  /** What would be right. */
  readonly hint?: Phrase;
}

/**
 * An error that the user can fix, shown without a stack trace. `message` and `hint` spell options
 * as in the library; {@link explain} uses the spelling of a front end.
 */
export class UserError extends Error {
  /** As it appears in a stack trace. */
  override readonly name: string = "UserError";
  /** What to do about it. */
  readonly hint?: string;
  readonly #explanation: Explanation;

  /** An error with what to do about it. */
  constructor(message: Phrase, hint?: Phrase) {
    const shown = { message: onAScreen(message), hint: hint && onAScreen(hint) };
    super(spell(shown.message, PROPERTIES));
    this.#explanation = shown;
    if (shown.hint !== undefined) this.hint = spell(shown.hint, PROPERTIES);
  }

  /** Message and hint, with options as data. */
  get explanation(): Explanation {
    return this.#explanation;
  }
}

/** Message and hint as text, the hint on a separate line. */
export function explain(
  error: UserError | Explanation,
  spelling: Spelling = PROPERTIES,
): string {
  const { message, hint } = error instanceof UserError ? error.explanation : error;
  const text = spell(message, spelling);
  return hint === undefined ? text : `${text}\n  hint: ${spell(hint, spelling)}`;
}

/** Message and hint on one line, for a list or after another text. */
export function inOneLine({ message, hint }: Explanation): Phrase {
  return hint === undefined ? message : phrase`${message}; ${hint}`;
}
