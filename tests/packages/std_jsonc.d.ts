/** Types of what is used of `@std/jsonc`; see src/packages/std_path.d.ts. */

/** Throws a `SyntaxError`. */
export declare function parse(text: string): unknown;
