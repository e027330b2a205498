/**
 * The text of a dialogue as a model sees it, and the assistant's spans in it.
 *
 * The text is the template's rendering of the whole dialogue, so that its tokens equal those of
 * transformers' `apply_chat_template`. The assistant's spans are those of the template's `{%
 * generation %}` marks. Without marks, an answer is what the template's loop over the messages wrote
 * while it was at that answer, less what the model is given: a short dialogue, from the question to
 * the answer, is rendered with a generation prompt, and what it shares with the whole is not
 * learned. So the time grows with the dialogue's length. (Rendering the dialogue up to each answer
 * takes the square of it, and finds nothing where a template writes an answer differently once
 * others follow. Encoding the turns separately and joining them, as LLaMA-Factory does, requires
 * taking templates apart by hand, and gives other tokens where a tokenizer treats the start of a
 * text differently.)
 *
 * Where a template writes no answers in a loop over the messages, the dialogue is rendered up to
 * each answer after all.
 */
import type { ChatTemplate, Rendered, Span } from "./chat_template.ts";
import type { ChatExample, Message } from "./example.ts";

export interface Dialogue {
  readonly text: string;
  /** [start, end) of the assistant's text, with the end of its turn. */
  readonly spans: readonly Span[];
  /**
   * The assistant's turns that cannot be located in the text, or are not in it. They are not trained
   * on.
   */
  readonly lost: number;
}

export function assistantSpans(templates: ChatTemplate, example: ChatExample): Dialogue {
  const { messages, tools, variables, where } = example, template = templates.for(tools);
  const whole = template.render(messages, where, { tools, variables }), { text } = whole;
  const turns = messages.flatMap(({ role }, index) => role === "assistant" ? [index] : []);
  const wanted = turns.filter((index) => messages[index].weight !== 0);
  if (template.marksGeneration) {
    const spans = markedSpans(whole, turns, wanted);
    if (spans) return { text, spans, lost: 0 };
  }
  const finder = new AnswerFinder(template, example, whole);
  const spans = wanted.map((turn) => finder.spanOf(turn)).filter((span) => span !== null);
  return { text, spans, lost: wanted.length - spans.length };
}

/** The template's generation marks in the wanted answers; null if they cannot be told apart. */
function markedSpans(
  { generated, turns: places }: Rendered,
  turns: readonly number[],
  wanted: readonly number[],
): readonly Span[] | null {
  if (wanted.length === turns.length) return generated;
  const own = wanted.map((turn) => places[turn]).filter((place) => place !== null);
  if (own.length === wanted.length) {
    return generated.filter(([start, end]) => own.some((of) => of[0] <= start && end <= of[1]));
  }
  if (generated.length !== turns.length) return null;
  return wanted.map((turn) => generated[turns.indexOf(turn)]);
}

class AnswerFinder {
  /** The system prompts at the start. */
  readonly #systems: number;

  constructor(
    private readonly template: ChatTemplate,
    private readonly example: ChatExample,
    private readonly whole: Rendered,
  ) {
    const { messages } = example;
    const first = messages.findIndex(({ role }) => role !== "system" && role !== "developer");
    this.#systems = first < 0 ? messages.length : first;
  }

  /** Null if the answer cannot be located. */
  spanOf(turn: number): Span | null {
    const { whole, example: { messages } } = this, own = whole.turns[turn];
    if (own === null) return this.#byPrefixes(turn);
    const before = this.#before(turn), start = this.#start(own, before, turn);
    if (start === null) return this.#byPrefixes(turn);
    const through = turn === messages.length - 1 ? whole.text.length : this.#end(own, before, turn);
    return spanBetween(whole.text, start, through, messages[turn]);
  }

  /** The system prompts, and the messages from the last question on: their indices. */
  #before(turn: number): readonly number[] {
    const { messages } = this.example;
    let question = turn - 1;
    while (question > this.#systems && messages[question].role !== "user") question--;
    if (question <= this.#systems) return indices(0, turn);
    return [...indices(0, this.#systems), ...indices(question, turn)];
  }

  /** Where the text begins that the model is not given. */
  #start(own: Span, before: readonly number[], turn: number): number | null {
    const { text, turns } = this.whole;
    const prompt = this.#render(before, true);
    if (prompt !== null && before.length === turn) {
      const shared = commonLength(prompt.text, text);
      if (shared === prompt.text.length || (turn > 0 && shared >= own[0])) return shared;
    }
    const last = before.findLastIndex((index, at) => turns[index] && prompt?.turns[at]);
    if (prompt === null || last < 0) {
      const opening = this.#opening();
      return opening === null ? null : afterOpening(text, own, opening);
    }
    const asked = prompt.turns[last]!, start = turns[before[last]]![0];
    const given = prompt.text.slice(asked[0]), shared = commonLength(given, text.slice(start));
    if (shared === given.length || start + shared >= own[0]) return start + shared;
    // That message is written differently here: only what follows it can be compared.
    return last === before.length - 1 ? afterOpening(text, own, prompt.text.slice(asked[1])) : null;
  }

  /** The generation prompt after any question; null if the template has no place for that. */
  #opening(): string | null {
    const rendered = this.#renderMessages([{ role: "user", content: "?" }], true);
    const asked = rendered?.turns[0] ?? null;
    return asked === null ? null : rendered!.text.slice(asked[1]);
  }

  /** Where the answer ends, if others follow. */
  #end(own: Span, before: readonly number[], turn: number): number {
    const { text } = this.whole;
    const through = this.#render([...before, turn], false);
    const answer = through?.turns.at(-1) ?? null;
    if (through === null || answer === null) return own[1];
    // What a template writes after its last message may begin the next one here, or be missing.
    const rest = through.text.slice(answer[0]);
    return text.startsWith(rest, own[0]) ? own[0] + rest.length : own[1];
  }

  /** The messages with these indices. */
  #render(places: readonly number[], addGenerationPrompt: boolean): Rendered | null {
    const { messages } = this.example;
    if (places.length === messages.length && !addGenerationPrompt) return this.whole;
    return this.#renderMessages(places.map((index) => messages[index]), addGenerationPrompt);
  }

  /** Null if the template refuses these messages, as some do with an incomplete dialogue. */
  #renderMessages(messages: readonly Message[], addGenerationPrompt: boolean): Rendered | null {
    const { tools, variables, where } = this.example;
    try {
      return this.template.render(messages, where, { tools, variables, addGenerationPrompt });
    } catch {
      return null;
    }
  }

  /** The difference between the dialogue up to the answer, and through it. */
  #byPrefixes(turn: number): Span | null {
    const { messages } = this.example, { text } = this.whole;
    const textOf = (count: number, addGenerationPrompt: boolean) =>
      this.#render(indices(0, count), addGenerationPrompt)?.text ?? null;
    const through = textOf(turn + 1, false), prompt = textOf(turn, true);
    if (through === null || prompt === null || !text.startsWith(through)) return null;
    let start = prompt.length;
    if (!text.startsWith(prompt)) {
      // A generation prompt may contain more than every answer does (an opened thought): only the
      // part it shares with this answer is given to the model, if everything before agrees.
      const before = textOf(turn, false);
      if (before === null || !text.startsWith(before)) return null;
      start = commonLength(prompt, text);
    }
    return spanBetween(text, start, through.length, messages[turn]);
  }
}

function indices(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/**
 * Excludes white space that only separates turns: nothing after the end-of-turn token is ever
 * generated. If only white space follows the content, that ends the turn.
 */
function spanBetween(text: string, start: number, end: number, message: Message): Span | null {
  const trimmed = text.slice(0, end).trimEnd(), said = (message.content ?? "").trimEnd();
  if (said === "" || !trimmed.endsWith(said)) end = trimmed.length;
  return start < end ? [start, end] : null;
}

/** What of an answer's range follows the part of the generation prompt that it begins with. */
function afterOpening(text: string, own: Span, opening: string): number {
  // The first answer may have what a template writes before all messages in its range.
  const at = own[0] === 0 ? text.slice(...own).indexOf(opening) : -1;
  return own[0] + (at > 0 ? at + opening.length : commonLength(opening, text.slice(...own)));
}

function commonLength(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
