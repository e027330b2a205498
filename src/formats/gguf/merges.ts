/** SentencePiece's BPE keeps a score a token where Hugging Face's keeps a list of merges. */

export type Merge = readonly [string, string];

/**
 * The merges that scores imply: every way to cut a token into two tokens, best score first.
 * SentencePiece merges whatever two neighbours make the token with the best score, so each cut
 * counts; of the same score, those with the longest left part come first, as transformers has it.
 *
 * @param pieces tokens that take part, with their ids
 * @param score of a token; the larger, the earlier it is made
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
 * Scores that make SentencePiece merge in the order of a list: minus the place of the first merge
 * that makes the token. Tokens that no merge makes (single characters) come last, in their order.
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
