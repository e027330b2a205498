/** Where an answer ends. */
import type { ChatTemplate } from "../data/instruct/chat_template.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** What a template writes after the assistant's text; empty if nothing. */
export interface EndOfTurn {
  readonly token?: number;
  /**
   * Used if the tokenizer has no token for it, so that a model tuned with the template spells it
   * out.
   */
  readonly text?: string;
}

export function endOfTurn(template: ChatTemplate, tokenizer: Tokenizer): EndOfTurn {
  const said = "answer-text";
  let text: string;
  try {
    const messages = [{ role: "user", content: "x" }, { role: "assistant", content: said }];
    ({ text } = template.render(messages, "end of turn"));
  } catch {
    // For templates that refuse such a short dialogue, only the end-of-text token ends a turn.
    return {};
  }
  const at = text.lastIndexOf(said);
  const end = at < 0 ? "" : text.slice(at + said.length).trim();
  if (!end) return {};
  const [first, ...more] = tokenizer.encode(end, { addSpecialTokens: false });
  const special = tokenizer.decode([first]) !== "" &&
    tokenizer.decode([first], { skipSpecialTokens: true }) === "";
  if (special || !more.length) return { token: first };
  return { text: end.split("\n")[0] };
}

/**
 * Passes on a stream of text up to the first of the `stops`; holds back what may be the start of
 * one.
 */
export class TextUntil {
  ended = false;
  readonly #stops: readonly string[];
  #held = "";

  constructor(...stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  push(piece: string): string {
    if (this.ended) return "";
    const text = this.#held + piece;
    const places = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (places.length) {
      this.ended = true;
      this.#held = "";
      return text.slice(0, Math.min(...places));
    }
    const longest = Math.max(1, ...this.#stops.map(({ length }) => length));
    let shown = Math.max(0, text.length - longest + 1);
    while (shown < text.length && !this.#mayStartStop(text.slice(shown))) shown++;
    this.#held = text.slice(shown);
    return text.slice(0, shown);
  }

  /** Returns the text still held back at the end of the stream. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #mayStartStop(text: string): boolean {
    return this.#stops.some((stop) => stop.startsWith(text));
  }
}
