/**
 * Texts for people that name options. The same text is read on a command line, in the answer of a
 * server and by a program that uses the library, and each writes an option its own way
 * (`--seq-len 512`, `seq_len: 512`, `seqLen: 512`). So an option in a text is data, and whoever
 * shows the text spells it (spelling.ts).
 *
 * @module
 */

/** An option that a text names, and the value that it has or should have. */
export interface OptionReference {
  /** As the schema has it: `seqLen`. */
  readonly option: string;
  /** Its value, where the text names one. */
  readonly value?: unknown;
}

/** Several options with their values, to be given together. */
export interface Settings {
  /** Values by option. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A text, or its pieces. Plain JSON, so that it can go from one process to another. */
export type Phrase = string | readonly Piece[];
/** Of a {@link Phrase}: words, an option, or several. */
export type Piece = string | OptionReference | Settings;

/** How a front end writes options. */
export interface Spelling {
  /** Writes an option, with its value if it has one. */
  one(reference: OptionReference): string;
  /** What stands between two that are given together. */
  readonly between: string;
}

/** Names an option in a {@link phrase}, with a value where one is meant. */
export function option(option: string, value?: unknown): OptionReference {
  return value === undefined ? { option } : { option, value };
}

/** Names several with their values in a {@link phrase}. */
export function settings(settings: Settings["settings"]): Settings {
  return { settings };
}

/**
 * A text with options in it. A line break and the blanks around it are one space, so that a long
 * text can be broken.
 *
 * @example
 * ```ts
 * phrase`what ${option("rank", "auto")} keeps of a gradient's energy`
 * ```
 */
export function phrase(
  strings: TemplateStringsArray,
  ...values: readonly (number | OptionReference | Settings | Phrase)[]
): Phrase {
  const pieces = strings.flatMap((string, index): readonly Piece[] => {
    const joined = string.replace(/\s*\n\s*/g, " ");
    return index < values.length ? [joined, ...piecesOf(values[index])] : [joined];
  });
  return simplified(pieces);
}

/** Without options it is a string. */
function simplified(pieces: readonly Piece[]): Phrase {
  return pieces.every((piece) => typeof piece === "string") ? pieces.join("") : pieces;
}

function piecesOf(value: number | Piece | Phrase): readonly Piece[] {
  if (typeof value === "number") return [String(value)];
  return typeof value === "string" || "option" in value || "settings" in value ? [value] : value;
}

/** Several texts as one. */
export function joinPhrases(phrases: readonly Phrase[], separator: string): Phrase {
  return simplified(
    phrases.flatMap((each, index) => index ? [separator, ...piecesOf(each)] : piecesOf(each)),
  );
}

/** The text as a front end shows it. */
export function spell(phrase: Phrase, spelling: Spelling): string {
  if (typeof phrase === "string") return phrase;
  return phrase.map((piece) => {
    if (typeof piece === "string") return piece;
    if ("option" in piece) return spelling.one(piece);
    return Object.entries(piece.settings).map(([option, value]) => spelling.one({ option, value }))
      .join(spelling.between);
  }).join("");
}
