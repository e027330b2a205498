/** Chat templates: dialogues as transformers' `apply_chat_template` renders them. */
import { entriesOf, objectOf } from "../../files/json_value.ts";
import { str } from "../../jinja/repr.ts";
import { RenderError, TemplateSyntaxError } from "../../jinja/errors.ts";
import { Callable } from "../../jinja/values.ts";
import { FailedAt, type Range, Template } from "../../jinja/template.ts";
import { UserError } from "../../options/user_error.ts";
import { option, type OptionReference, type Phrase, phrase } from "../../options/phrase.ts";
import type { SpecialTokens } from "../../tokenizers/tokenizer.ts";
import type { Message } from "./example.ts";
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
  /** Further variables: `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A dialogue as text. */
export interface Rendered {
  /** All of it, special tokens included. */
  readonly text: string;
  /** The spans between `{% generation %}` and `{% endgeneration %}`: [start, end) in `text`. */
  readonly generated: readonly Span[];
  /**
   * By message, what was written while the template's loop over the messages was at it: [start,
   * end) in `text`. Null if that was nothing, or in several places.
   */
  readonly turns: readonly (Span | null)[];
}

/** A range of a text's UTF-16 units: [start, end). */
export type Span = Range;

/** The marks that make a template's generation blocks; transformers' extension of Jinja. */
const GENERATION = /\{%[-+]?\s*(?:end)?generation\s*[-+]?%\}/g;

/** The template without its generation marks, for readers that do not support them. */
export function withoutGenerationMarks(source: string): string {
  return source.replace(GENERATION, "");
}

/** A Jinja template that writes a dialogue as its model expects it. */
export class ChatTemplate {
  /** Whether the template marks the assistant's text itself. */
  readonly marksGeneration: boolean;
  readonly #template: Template;
  readonly #constants: Readonly<Record<string, unknown>>;

  /**
   * `toolUse` replaces it for dialogues with tools. Throws a {@link UserError} with the line if the
   * source is not a valid template.
   */
  constructor(
    readonly source: string,
    readonly options: TemplateOptions,
    private readonly toolUse?: ChatTemplate,
  ) {
    try {
      this.#template = new Template(source);
    } catch (error) {
      if (!(error instanceof TemplateSyntaxError)) throw error;
      throw new UserError(
        `${options.name}, line ${error.line}: is not a valid template: ${error.message}`,
        phrase`another can be given by name with ${option("template")}`,
      );
    }
    this.marksGeneration = this.#template.marksGeneration;
    this.#constants = constantsOf(options);
  }

  /** The template that writes dialogues with these tools. */
  for(tools: readonly unknown[] | undefined): ChatTemplate {
    return tools !== undefined && this.toolUse ? this.toolUse : this;
  }

  /** Throws a {@link UserError} with `where` if the template fails or refuses the messages. */
  render(
    messages: readonly Message[],
    where: Phrase | OptionReference,
    options: RenderOptions = {},
  ): Rendered {
    const template = this.for(options.tools);
    if (template !== this) return template.render(messages, where, options);
    const shown = messages.map(withoutWeight);
    const variables = {
      ...this.#constants,
      documents: null,
      ...options.variables,
      messages: shown,
      add_generation_prompt: options.addGenerationPrompt ?? false,
      tools: options.tools ?? null,
    };
    try {
      const { text, generated, written } = this.#template.render({ variables, watched: shown });
      return { text, generated, turns: turnsOf(shown, written) };
    } catch (error) {
      if (!(error instanceof FailedAt)) throw error;
      const { line, cause } = error;
      const refuses = cause instanceof RenderError && cause.kind === "TemplateError";
      throw new UserError(
        phrase`${where}: ${this.options.name}, line ${line}: ${error.message}`,
        refuses ? "the template refuses this dialogue" : undefined,
      );
    }
  }
}

/** The variables and functions that transformers provides, besides the dialogue. */
function constantsOf({ specialTokens, now }: TemplateOptions): Record<string, unknown> {
  const { bosToken, eosToken, unkToken, padToken, others } = specialTokens;
  const tokens = {
    bos_token: bosToken,
    eos_token: eosToken,
    unk_token: unkToken,
    pad_token: padToken,
  };
  return {
    raise_exception: new Callable("raise_exception", ([message]) => {
      throw new RenderError("TemplateError", str(message));
    }),
    strftime_now: new Callable("strftime_now", ([format]) => strftime(now, str(format))),
    ...others,
    // A missing token is undefined and prints as nothing.
    ...Object.fromEntries(Object.entries(tokens).filter(([, token]) => token !== null)),
  };
}

/** Weights are ours; a message without one is passed on as it is. */
function withoutWeight(message: Message): object {
  if (!Object.hasOwn(message, "weight")) return message;
  return objectOf(entriesOf<unknown>(message).filter(([name]) => name !== "weight"));
}

function turnsOf(
  messages: readonly object[],
  written: readonly { item: object; start: number; end: number }[],
): (Span | null)[] {
  const spans = new Map<object, Span | null>();
  for (const { item, start, end } of written) {
    spans.set(item, spans.has(item) ? null : [start, end]);
  }
  return messages.map((message) => spans.get(message) ?? null);
}
