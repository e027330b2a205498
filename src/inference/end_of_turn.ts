/** Where an answer ends. */
import type { ChatTemplate } from "../data/instruct/chat_template.ts";
import type { Tokenizer } from "../data/tokenizer.ts";

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

/** Passes a stream of text on up to where `stop` begins; what may be its beginning is held back. */
export class TextUntil {
  ended = false;
  #held = "";

  constructor(readonly stop: string | undefined) {}

  push(piece: string): string {
    if (!this.stop) return piece;
    if (this.ended) return "";
    const text = this.#held + piece, at = text.indexOf(this.stop);
    if (at >= 0) {
      this.ended = true;
      this.#held = "";
      return text.slice(0, at);
    }
    let shown = Math.max(0, text.length - this.stop.length + 1);
    while (!this.stop.startsWith(text.slice(shown))) shown++;
    this.#held = text.slice(shown);
    return text.slice(0, shown);
  }

  /** What is still held back, when no more text comes. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}
