/** Types of what is used of `@std/csv`; see std_path.d.ts. */

export interface ParseOptions {
  readonly separator?: string;
  readonly trimLeadingSpace?: boolean;
  readonly comment?: string;
  readonly lazyQuotes?: boolean;
}
/** Rows of fields; empty lines are left out. Throws a `SyntaxError` on a stray quote. */
export declare function parse(input: string, options?: ParseOptions): string[][];
/** As {@link parse}, of text in pieces. */
export declare class CsvParseStream {
  constructor(options?: ParseOptions);
  readonly writable: WritableStream<string>;
  readonly readable: ReadableStream<string[]>;
}
