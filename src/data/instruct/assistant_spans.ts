/**
 * The text of a dialogue as a model sees it, and the assistant's spans in it.
 *
 * The text is the template's rendering of the whole dialogue, so that its tokens equal those of
 * transformers' `apply_chat_template`. The assistant's spans are found by the template's `{%
 * generation %}` marks. Without marks, the dialogue is rendered up to the assistant's turn, with
 * the generation prompt, and through it: the difference is what the model must generate. (Encoding
 * the turns separately and joining them, as LLaMA-Factory does, requires taking templates apart by
 * hand, and gives other tokens where a tokenizer treats the start of a text differently.)
 */
import type { ChatTemplate, Span } from "./chat_template.ts";
import type { ChatExample, Message } from "./example.ts";

export interface Dialogue {
  readonly text: string;
  /** [start, end) of the assistant's text, with the end of its turn. */
  readonly spans: readonly Span[];
  /**
   * The assistant's turns that cannot be located: templates that rewrite earlier turns (removing a
   * model's thoughts) show them as no model would generate them. They are not trained on.
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
      // A generation prompt may contain more than every answer does (an opened thought): only the
      // part it shares with this answer is given to the model, if everything before agrees.
      if (!text.startsWith(render(turn, false))) return null;
      start = commonLength(upTo, text);
    }
    const end = endOfTurn(text.slice(0, through.length), messages[turn]);
    return start < end ? [start, end] : null;
  } catch {
    // Templates may refuse an incomplete dialogue (empty, or only a system message).
    return null;
  }
}

/**
 * Excludes white space that only separates turns: nothing after the end-of-turn token is ever
 * generated. If only white space follows the content, that ends the turn.
 */
function endOfTurn(text: string, { content }: Message): number {
  const trimmed = text.trimEnd(), said = (content ?? "").trimEnd();
  return said !== "" && trimmed.endsWith(said) ? text.length : trimmed.length;
}

function commonLength(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
