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
  const end = afterAnswer(template)?.text;
  if (!end) return {};
  const [first, ...more] = tokenizer.encode(end, { addSpecialTokens: false });
  const special = tokenizer.decode([first]) !== "" &&
    tokenizer.decode([first], { skipSpecialTokens: true }) === "";
  if (special || !more.length) return { token: first };
  return { text: end.split("\n")[0] };
}

/** Why a model tuned with the template does not learn to stop; undefined if it does. */
export function unlearnedEnd(template: ChatTemplate): string | undefined {
  const end = afterAnswer(template);
  if (!end) return undefined;
  const { text, isMarked } = end, { name } = template.options;
  if (text === "") return `${name} writes nothing after an answer: where it ends is not learned`;
  if (isMarked) return undefined;
  return `${name} leaves ${
    JSON.stringify(text)
  }, which ends a turn, outside its generation marks: ` +
    "it is not learned";
}

/**
 * What follows an answer, without white space, and whether it is learned. Undefined for templates
 * that refuse so short a dialogue: only the end-of-text token is known to end their turns.
 */
function afterAnswer(template: ChatTemplate): { text: string; isMarked: boolean } | undefined {
  const said = "answer-text";
  try {
    const messages = [{ role: "user", content: "x" }, { role: "assistant", content: said }];
    const { text, generated } = template.render(messages, "end of turn");
    const at = text.lastIndexOf(said);
    if (at < 0) return undefined;
    const rest = text.slice(at + said.length).trimStart(), end = text.length - rest.length;
    const isMarked = !template.marksGeneration ||
      generated.some((span) => span[0] <= end && end < span[1]);
    return { text: rest.trimEnd(), isMarked };
  } catch {
    return undefined;
  }
}
