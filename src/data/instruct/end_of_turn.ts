/** What ends an answer, by template and tokenizer. */
import type { ChatTemplate } from "./chat_template.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";

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
