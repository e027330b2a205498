/** Converts between SentencePiece's scores per token and Hugging Face's list of BPE merges. */

export type Merge = readonly [string, string];

/**
 * The merges implied by scores: every split of a token into two tokens, best score first.
 * SentencePiece merges whichever two neighbours form the token with the best score, so every split
 * counts; for equal scores the longest left part comes first, as in transformers.
 *
 * @param pieces tokens to merge, with their ids
 * @param score of a token; larger ones are merged earlier
 */
export function mergesFromScores(
  pieces: ReadonlyMap<string, number>,
  score: (id: number) => number,
): Merge[] {
  const cuts: { merge: Merge; score: number }[] = [];
  for (const [token, id] of pieces) {
    const characters = Array.from(token);
    for (let at = 1; at < characters.length; at++) {
      const left = characters.slice(0, at).join(""), right = token.slice(left.length);
      if (pieces.has(left) && pieces.has(right)) {
        cuts.push({ merge: [left, right], score: score(id) });
      }
    }
  }
  const length = (text: string) => Array.from(text).length;
  cuts.sort((a, b) =>
    b.score - a.score || length(b.merge[0]) - length(a.merge[0]) ||
    length(b.merge[1]) - length(a.merge[1])
  );
  return cuts.map(({ merge }) => merge);
}

/**
 * Scores that make SentencePiece merge in the order of a list: minus the index of the first merge
 * that forms the token. Tokens that no merge forms (single characters) come last, in order.
 */
export function scoresFromMerges(tokens: readonly string[], merges: readonly Merge[]): number[] {
  const rank = new Map<string, number>();
  for (const [left, right] of merges) {
    const token = left + right;
    if (!rank.has(token)) rank.set(token, rank.size);
  }
  let last = rank.size;
  return tokens.map((token) => -(rank.get(token) ?? last++));
}
