/** Types of what is used of `@std/path`: the npm copy of Deno's standard library has none. */

/** `/`, on Windows `\`. */
export declare const SEPARATOR: string;
/** Matches one or more. */
export declare const SEPARATOR_PATTERN: RegExp;
export declare function basename(path: string | URL, suffix?: string): string;
export declare function dirname(path: string | URL): string;
/** With its dot; empty if there is none. */
export declare function extname(path: string | URL): string;
/** The path of a file URL. Throws a `TypeError` for another URL. */
export declare function fromFileUrl(url: string | URL): string;
export declare function globToRegExp(
  glob: string,
  options?: { readonly extended?: boolean; readonly globstar?: boolean },
): RegExp;
export declare function isAbsolute(path: string): boolean;
export declare function join(...paths: string[]): string;
export declare function normalize(path: string | URL): string;
/** From one path to the other. */
export declare function relative(from: string, to: string): string;
/** Absolute, seen from the current folder. */
export declare function resolve(...paths: string[]): string;
/** Throws a `TypeError` for a path that is not absolute. */
export declare function toFileUrl(path: string): URL;
