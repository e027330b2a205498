/** Types of what is used of `@std/text`; see std_path.d.ts. */

export declare function closestString(word: string, candidates: readonly string[]): string;

export declare function levenshteinDistance(a: string, b: string): number;
