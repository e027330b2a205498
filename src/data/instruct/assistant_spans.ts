/**
 * A dialogue as the text a model sees, and where in it the assistant speaks.
 *
 * The text is the template's rendering of the whole dialogue, so that its tokens are those of
 * transformers' `apply_chat_template`. What the assistant says is found by its `{% generation %}`
 * marks, and in a template without them by rendering the dialogue up to the assistant's turn, with
 * what begins its answer, and through it: the difference is what the model has to generate. (To
 * encode the turns one by one and join them, as LLaMA-Factory does, needs the template taken apart
 * by hand, and gives other tokens where a tokenizer treats the start of a text differently.)
 */
import type { ChatTemplate, Span } from "./chat_template.ts";
import type { ChatExample, Message } from "./example.ts";

export interface Dialogue {
  readonly text: string;
  /** [start, end) of what the assistant says, with what ends its turn. */
  readonly spans: readonly Span[];
  /**
   * Turns of the assistant that cannot be told apart: templates that rewrite earlier turns (taking
   * out a model's thoughts) show them as no model has generated them. They are not learned.
   */
  readonly lost: number;
}

export function assistantSpans(template: ChatTemplate, example: ChatExample): Dialogue {
  const { messages, tools, where } = example;
  const { text, generated } = template.render(messages, where, { tools });
  const turns = messages.flatMap(({ role }, index) => role === "assistant" ? [index] : []);
  const wanted = turns.filter((index) => messages[index].weight !== 0);
  if (template.marksGeneration) {
    if (wanted.length === turns.length) return { text, spans: generated, lost: 0 };
    if (generated.length === turns.length) {
      return { text, spans: generated.filter((_, i) => wanted.includes(turns[i])), lost: 0 };
    }
  }
  const spans = wanted.map((turn) => spanOf(template, example, text, turn))
    .filter((span) => span !== null);
  return { text, spans, lost: wanted.length - spans.length };
}

function spanOf(
  template: ChatTemplate,
  { messages, tools, where }: ChatExample,
  text: string,
  turn: number,
): Span | null {
  const render = (count: number, addGenerationPrompt: boolean): string => {
    if (count === messages.length && !addGenerationPrompt) return text;
    return template.render(messages.slice(0, count), where, { tools, addGenerationPrompt }).text;
  };
  try {
    const through = render(turn + 1, false), upTo = render(turn, true);
    if (!text.startsWith(through)) return null;
    let start = upTo.length;
    if (!text.startsWith(upTo)) {
      // What begins an answer may hold more than all answers do (an opened thought): what it has
      // in common with this one is given to the model, as long as all before it is.
      if (!text.startsWith(render(turn, false))) return null;
      start = commonLength(upTo, text);
    }
    const end = endOfTurn(text.slice(0, through.length), messages[turn]);
    return start < end ? [start, end] : null;
  } catch {
    // Templates may refuse what is no whole dialogue (nothing at all, or a system's message alone).
    return null;
  }
}

/**
 * Without the white space that only separates turns: what follows the end-of-turn token nobody
 * waits for. When nothing but white space follows the content, it is what ends the turn.
 */
function endOfTurn(text: string, { content }: Message): number {
  const trimmed = text.trimEnd(), said = content.trimEnd();
  return said !== "" && trimmed.endsWith(said) ? text.length : trimmed.length;
}

function commonLength(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
