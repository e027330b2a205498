/** Types of what is used of `@std/cli`; see std_path.d.ts. */

export interface ParseOptions {
  /** Flags whose value stays text, even where it looks like a number. */
  readonly string?: readonly string[];
  /** Flags that are on or off. */
  readonly boolean?: readonly string[];
  /** Flags of which every value counts, and not only the last. */
  readonly collect?: readonly string[];
  readonly default?: Readonly<Record<string, unknown>>;
  /**
   * Is called with each flag that is not declared, and each word that belongs to no flag (then
   * without `key`); what it returns false for is left out.
   */
  readonly unknown?: (word: string, key?: string, value?: unknown) => unknown;
}
export declare function parseArgs(
  args: readonly string[],
  options?: ParseOptions,
): Record<string, unknown> & { readonly _: readonly (string | number)[] };
