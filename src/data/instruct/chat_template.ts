/** Chat templates: Jinja as transformers renders it, by the `@huggingface/jinja` package. */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { UserError } from "../../options/user_error.ts";
import { option, type OptionReference, type Phrase, phrase } from "../../options/phrase.ts";
import type { SpecialTokens } from "../../tokenizers/tokenizer.ts";
import type { Message } from "./example.ts";
import { replaceStrips, STRIPS } from "./python_strings.ts";
import { strftime } from "./strftime.ts";

/** Options for rendering a {@link ChatTemplate}, independent of the dialogue. */
export interface TemplateOptions {
  /** For messages: "chatml", "the tokenizer's chat template". */
  readonly name: string;
  /** Tokens that a template may write, such as BOS. */
  readonly specialTokens: SpecialTokens;
  /**
   * The date for `strftime_now`: fixed, so that all examples and a resumed run see the same day.
   */
  readonly now: Date;
}

/** Options of {@link ChatTemplate.render}. */
export interface RenderOptions {
  /** Whether to append the start of the assistant's answer; default false. */
  readonly addGenerationPrompt?: boolean;
  /** Descriptions of the functions that the model may call, as OpenAI's API has them. */
  readonly tools?: readonly unknown[];
}

/** A dialogue as text. */
export interface Rendered {
  /** All of it, special tokens included. */
  readonly text: string;
  /** The spans between `{% generation %}` and `{% endgeneration %}`: [start, end) in `text`. */
  readonly generated: readonly Span[];
}

/** A range of a text's UTF-16 units: [start, end). */
export type Span = readonly [start: number, end: number];

/**
 * `{% generation %}` marks the assistant's text (transformers' extension; the package drops it).
 * Here it becomes a statement that prints a Unicode noncharacter, which no text contains: the marks
 * are found in the output and removed again. It is a statement, not a bare expression, so that
 * white space is treated as around any tag.
 */
const GENERATION = /\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g;
const BEGINS = "\ufdd0", ENDS = "\ufdd1";

/** The template without its generation marks, for readers that do not support them. */
export function withoutGenerationMarks(source: string): string {
  return source.replace(GENERATION, "");
}

/** A Jinja template that writes a dialogue as its model expects it. */
export class ChatTemplate {
  /** Whether the template marks the assistant's text itself. */
  readonly marksGeneration: boolean;
  readonly #program: ReturnType<typeof parse>;

  /** Throws a {@link UserError} with the line if the source is not a valid template. */
  constructor(readonly source: string, readonly options: TemplateOptions) {
    this.marksGeneration = new RegExp(GENERATION).test(source);
    const prepared = withLines(withMarks(source));
    try {
      this.#program = compile(prepared);
    } catch (error) {
      const line = faultyLine(prepared, (error as Error).message);
      throw new UserError(
        `${options.name}, line ${line}: is not a valid template: ${(error as Error).message}`,
        phrase`another can be given by name with ${option("template")}`,
      );
    }
  }

  /** Throws a {@link UserError} with `where` if the template fails or refuses the messages. */
  render(
    messages: readonly Message[],
    where: Phrase | OptionReference,
    options: RenderOptions = {},
  ): Rendered {
    try {
      const output = new Interpreter(this.#environment(messages, options)).run(this.#program);
      return takeMarks(String(output.value));
    } catch (error) {
      const line = error instanceof Raised ? `, line ${error.line}` : "";
      throw new UserError(
        phrase`${where}: ${this.options.name}${line}: ${(error as Error).message}`,
        error instanceof Raised ? "the template refuses this dialogue" : undefined,
      );
    }
  }

  /** The variables and functions that transformers' `apply_chat_template` provides. */
  #environment(messages: readonly Message[], options: RenderOptions): Environment {
    const { specialTokens: special, now } = this.options;
    const variables: Record<string, unknown> = {
      ...STRIPS,
      true: true,
      True: true,
      false: false,
      False: false,
      none: null,
      None: null,
      range,
      // withLines() has inserted the line as the first argument.
      raise_exception: (line: number, message: unknown) => {
        throw new Raised(String(message), line);
      },
      strftime_now: (format: string) => strftime(now, format),
      messages: messages.map(({ weight: _, ...message }) => message),
      add_generation_prompt: options.addGenerationPrompt ?? false,
      tools: options.tools ?? null,
      documents: null,
      [BEGINS_NAME]: BEGINS,
      [ENDS_NAME]: ENDS,
    };
    // A missing token is undefined and prints as nothing.
    if (special.bosToken !== null) variables.bos_token = special.bosToken;
    if (special.eosToken !== null) variables.eos_token = special.eosToken;
    if (special.unkToken !== null) variables.unk_token = special.unkToken;
    if (special.padToken !== null) variables.pad_token = special.padToken;
    const environment = new Environment();
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return environment;
  }
}

/** An error raised by the template itself, with `raise_exception`. */
class Raised extends Error {
  constructor(message: string, readonly line: number) {
    super(message);
  }
}

const BEGINS_NAME = "generation_begins_", ENDS_NAME = "generation_ends_";

function withMarks(source: string): string {
  return source.replace(GENERATION, (_, before, end, after) => {
    return `{%${before} if true %}{{ ${end ? ENDS_NAME : BEGINS_NAME} }}{% endif ${after}%}`;
  });
}

/** The package tracks no line numbers, so they are inserted into calls of `raise_exception`. */
function withLines(source: string): string {
  return source.split("\n")
    .map((text, index) => text.replace(/\braise_exception\s*\(/g, `$&${index + 1}, `))
    .join("\n");
}

function compile(source: string) {
  const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  replaceStrips(program);
  return program;
}

/**
 * The line of a syntax error, of which the package reports only the message: the first line from
 * which on every prefix of the source fails in the same way. For an unclosed block that is the line
 * that opens it.
 */
function faultyLine(source: string, message: string): number {
  const lines = source.split("\n");
  for (let count = lines.length - 1; count > 0; count--) {
    try {
      compile(lines.slice(0, count).join("\n"));
    } catch (error) {
      if ((error as Error).message === message) continue;
    }
    return count + 1;
  }
  return 1;
}

function takeMarks(output: string): Rendered {
  const generated: Span[] = [];
  let text = "", begins = 0;
  for (const part of output.split(/([\ufdd0\ufdd1])/)) {
    if (part === BEGINS) begins = text.length;
    else if (part === ENDS) generated.push([begins, text.length]);
    else text += part;
  }
  return { text, generated };
}

/** Python's `range`, which the package has but does not export. */
function range(start: number, stop?: number, step = 1): number[] {
  if (stop === undefined) [start, stop] = [0, start];
  if (step === 0) throw new Error("range() arg 3 must not be zero");
  const numbers: number[] = [];
  for (let i = start; step > 0 ? i < stop : i > stop; i += step) numbers.push(i);
  return numbers;
}
