/** Types of what is used of `@std/yaml`; see std_path.d.ts. */

export interface ParseOptions {
  /** `core`: null, booleans, numbers and strings; the default has dates and more. */
  readonly schema?: "core" | "default" | "failsafe" | "json" | "extended";
  readonly allowDuplicateKeys?: boolean;
}
/** The one document of the text, null if it has none. */
export declare function parse(content: string, options?: ParseOptions): unknown;
/** Ends with a newline; values that YAML lacks, such as functions, throw. */
export declare function stringify(data: unknown): string;
/** Its message ends with ` at line 3, column 1:` and the line. */
export declare class YamlSyntaxError extends SyntaxError {
  readonly line?: number;
  readonly column?: number;
  readonly snippet?: string;
}
