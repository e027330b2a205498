/** Types of the one file of `@std/text` in use; see std_assert.d.ts. */
declare module "@std/text/closest-string" {
  export function closestString(word: string, candidates: readonly string[]): string;
}

declare module "@std/text/levenshtein-distance" {
  export function levenshteinDistance(a: string, b: string): number;
}
