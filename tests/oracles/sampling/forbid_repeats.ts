/** The tokens that would complete a sequence of `size` tokens that has occurred. */
export function forbidden(tokens: readonly number[], size: number): Set<number> {
  const ending = (end: number) => tokens.slice(end - (size - 1), end).join();
  const ids = new Set<number>();
  for (let end = size - 1; end < tokens.length; end++) {
    if (ending(end) === ending(tokens.length)) ids.add(tokens[end]);
  }
  return ids;
}
