/** BOS before a text and EOS after it, once each. */
import { UserError } from "../options/user_error.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Whether the tokenizer starts every text with BOS. */
export function beginsWithBos(tokenizer: Tokenizer): boolean {
  return tokenizer.bosTokenId !== null && tokenizer.encode("")[0] === tokenizer.bosTokenId;
}

/**
 * Completes texts that are learned: BOS before each if the tokenizer starts texts with it, and EOS
 * after each. A text that was written with its own, as templates write them, gets no second one.
 */
export class TextEnds {
  readonly #bos: number | null;
  readonly #written = new Set<string>();

  constructor(readonly tokenizer: Tokenizer) {
    this.#bos = beginsWithBos(tokenizer) ? tokenizer.bosTokenId : null;
  }

  /** What the ids of a text lack; `part` says whether they are its first and its last. */
  missing(
    ids: readonly number[],
    part: { readonly first: boolean; readonly last: boolean } = { first: true, last: true },
  ): { before: number[]; after: number[] } {
    const { eosTokenId, specialTokens } = this.tokenizer;
    const lacks = (wanted: number | null, present: number | undefined, token: string | null) => {
      if (wanted === null) return [];
      if (wanted !== present) return [wanted];
      this.#written.add(token ?? String(wanted));
      return [];
    };
    return {
      before: part.first ? lacks(this.#bos, ids[0], specialTokens.bosToken) : [],
      after: part.last ? lacks(eosTokenId, ids.at(-1), specialTokens.eosToken) : [],
    };
  }

  /** For the user, if any text had its own. */
  note(): string | null {
    if (this.#written.size === 0) return null;
    const tokens = [...this.#written].join(" and ");
    return `some texts already have ${tokens}: a second is not added`;
  }
}

/**
 * The ids of a text that a model is to continue: with the special tokens that the tokenizer adds,
 * but none twice where the text was written with it. `note` says so.
 */
export function encodePrompt(tokenizer: Tokenizer, text: string): { ids: number[]; note?: string } {
  const { bosTokenId, eosTokenId, specialTokens } = tokenizer;
  const ids = tokenizer.encode(text), added = tokenizer.encode("");
  if (ids.length <= added.length) return { ids };
  const written: (string | null)[] = [];
  // One that the tokenizer adds, and beside it one of the text.
  const doubled = (token: number | null, outer: number, inner: number) =>
    token !== null && added.at(outer) === token && added.at(inner) !== token &&
    ids.at(outer) === token && ids.at(inner) === token;
  if (doubled(bosTokenId, 0, 1)) {
    ids.shift();
    written.push(specialTokens.bosToken);
  }
  if (doubled(eosTokenId, -1, -2)) {
    ids.pop();
    written.push(specialTokens.eosToken);
  }
  if (!written.length) return { ids };
  return { ids, note: `the prompt already has ${written.join(" and ")}: not added again` };
}

/** The same with at least one token, since a model computes the next one from those before it. */
export function encodeStart(tokenizer: Tokenizer, text: string): { ids: number[]; note?: string } {
  const prompt = encodePrompt(tokenizer, text);
  if (prompt.ids.length) return prompt;
  const { bosTokenId, eosTokenId, specialTokens } = tokenizer;
  const line = tokenizer.encode("\n"), empty = "the prompt has no tokens";
  if (bosTokenId !== null) {
    return { ids: [bosTokenId], note: `${empty}: starting from ${specialTokens.bosToken}` };
  }
  if (line.length) return { ids: line, note: `${empty}: starting from a new line` };
  // It separates the texts that most models are trained on.
  if (eosTokenId !== null) {
    return { ids: [eosTokenId], note: `${empty}: starting from ${specialTokens.eosToken}` };
  }
  throw new UserError(`${empty}, and the tokenizer has none to start from`);
}
