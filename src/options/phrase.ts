/**
 * Texts that name options. The same text appears on the command line, in a server's response and in
 * the library, each of which spells options its own way (`--seq-len 512`, `seq_len: 512`, `seqLen:
 * 512`). So an option in a text is data, and the front end that shows the text spells it
 * (spelling.ts).
 *
 * @module
 */

/** An option named in a text, and its actual or recommended value. */
export interface OptionReference {
  /** Its name in the schema: `seqLen`. */
  readonly option: string;
  /** Its value, where the text names one. */
  readonly value?: unknown;
}

/** Several options with values, to be used together. */
export interface Settings {
  /** Values by option. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A text, or its pieces. Plain JSON, so that it can go from one process to another. */
export type Phrase = string | readonly Piece[];
/** A piece of a {@link Phrase}: text, an option, or several. */
export type Piece = string | OptionReference | Settings;

/** How a front end writes options. */
export interface Spelling {
  /** Writes an option, with its value if it has one. */
  one(reference: OptionReference): string;
  /** Separator between options. */
  readonly between: string;
}

/** Names an option in a {@link phrase}, optionally with a value. */
export function option(option: string, value?: unknown): OptionReference {
  return value === undefined ? { option } : { option, value };
}

/** The name of the first option in a phrase. */
export function firstOption(phrase: Phrase): string | undefined {
  if (typeof phrase === "string") return undefined;
  const isOption = (piece: Piece): piece is OptionReference =>
    typeof piece === "object" && "option" in piece;
  return phrase.find(isOption)?.option;
}

/** Names several options with values in a {@link phrase}. */
export function settings(settings: Settings["settings"]): Settings {
  return { settings };
}

/**
 * A text with options in it. A line break and surrounding spaces become one space, so that long
 * texts can be wrapped.
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

/** A string, if it names no options. */
function simplified(pieces: readonly Piece[]): Phrase {
  return pieces.every((piece) => typeof piece === "string") ? pieces.join("") : pieces;
}

function piecesOf(value: number | Piece | Phrase): readonly Piece[] {
  if (typeof value === "number") return [String(value)];
  return typeof value === "string" || "option" in value || "settings" in value ? [value] : value;
}

/** Joins several texts. */
export function joinPhrases(phrases: readonly Phrase[], separator: string): Phrase {
  return simplified(
    phrases.flatMap((each, index) => index ? [separator, ...piecesOf(each)] : piecesOf(each)),
  );
}

/** Characters of a line, of all lines, and lines that a message may have. */
const LONGEST_LINE = 1000, LONGEST_TEXT = 8000, MOST_LINES = 40;

/**
 * A text that a screen can show. What quotes a value shortens it; this holds whatever a message is
 * made of: a path of a megabyte, the fields of a record, a hundred thousand faults.
 */
export function onAScreen(phrase: Phrase): Phrase {
  const pieces: Piece[] = [];
  let lines = 1, characters = 0, left = 0;
  for (const piece of piecesOf(phrase)) {
    if (typeof piece !== "string") {
      if (left === 0) pieces.push(piece);
      continue;
    }
    const kept: string[] = [];
    for (const [index, line] of piece.split("\n").entries()) {
      if (index > 0) lines++;
      if (lines > MOST_LINES || characters > LONGEST_TEXT) {
        if (index > 0 || left === 0) left++;
        continue;
      }
      const short = lineOnAScreen(line);
      characters += short.length;
      kept.push(short);
    }
    if (kept.length) pieces.push(kept.join("\n"));
  }
  if (left > 0) pieces.push(`\n… and ${left.toLocaleString("en")} more`);
  return simplified(pieces);
}

function lineOnAScreen(line: string): string {
  if (line.length <= LONGEST_LINE) return line;
  const begin = line.slice(0, 0.7 * LONGEST_LINE).toWellFormed();
  const end = line.slice(-0.2 * LONGEST_LINE).toWellFormed();
  const left = line.length - begin.length - end.length;
  return `${begin} … (${left.toLocaleString("en")} characters) … ${end}`;
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
