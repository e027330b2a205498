/** Where an answer ends. */
import type { ChatTemplate } from "../data/instruct/chat_template.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** What a template writes after the assistant's words; neither where it writes nothing. */
export interface EndOfTurn {
  readonly token?: number;
  /** Where the tokenizer has no token for it, and a model tuned with the template spells it out. */
  readonly text?: string;
}

export function endOfTurn(template: ChatTemplate, tokenizer: Tokenizer): EndOfTurn {
  const said = "answer-text";
  let text: string;
  try {
    const messages = [{ role: "user", content: "x" }, { role: "assistant", content: said }];
    ({ text } = template.render(messages, "end of turn"));
  } catch {
    // Those that refuse so short a dialogue leave it to the end-of-text token.
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
 * Passes a stream of text on up to where the first of the `stops` begins; what may be the beginning
 * of one is held back.
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
    while (shown < text.length && !this.#mayBegin(text.slice(shown))) shown++;
    this.#held = text.slice(shown);
    return text.slice(0, shown);
  }

  /** What is still held back, when no more text comes. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #mayBegin(text: string): boolean {
    return this.#stops.some((stop) => stop.startsWith(text));
  }
}
