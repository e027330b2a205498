/** Types of what is used of `@std/jsonc`; see std_assert.d.ts. */
declare module "@std/jsonc" {
  /** Throws a `SyntaxError`. */
  export function parse(text: string): unknown;
}
