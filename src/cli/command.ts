/** What a subcommand is, and what it is given to speak through. */
import type { Options } from "../options/schema.ts";

/** What someone typed, or did instead: Ctrl-C, or the end of it (Ctrl-D). */
export type InputLine =
  | { readonly type: "line"; readonly text: string }
  | { readonly type: "interrupt" }
  | { readonly type: "end" };

export interface Input {
  /** True where someone types. */
  readonly interactive: boolean;
  /** All there is, to its end. */
  text(): Promise<string>;
  /** The next line, asked for with `prompt`; an abort ends the input. */
  line(prompt: string, signal: AbortSignal): Promise<InputLine>;
}

export const NO_INPUT: Input = {
  interactive: false,
  text: () => Promise.resolve(""),
  line: () => Promise.resolve({ type: "end" }),
};

/** The outside world of a command; tests hand in their own. */
export interface Io {
  /** True with `--json`: results and events go to stdout, an object a line. */
  readonly json: boolean;
  readonly verbose: boolean;
  /** True where stderr is a terminal that redraws lines. */
  readonly interactive: boolean;
  /** Aborted by the first SIGINT or SIGTERM: finish the step, save, return. */
  readonly signal: AbortSignal;
  readonly input: Input;
  /** From now on calls this at a Ctrl-C, instead of aborting; returns what ends that. */
  takeInterrupts(handle: () => void): () => void;
  /** A line for people, to stderr. */
  log(line: string): void;
  /** A piece of a result that grows, to stdout as it comes; nothing with `--json`. */
  text(piece: string): void;
  /** The result: as one JSON line with `--json`, else as text; to stdout. */
  result(value: unknown, text: string): void;
  /** An object on a line of its own to stdout with `--json`, otherwise nothing. */
  event(value: unknown): void;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What the one line leaves unsaid: a paragraph of `--help`. */
  readonly details?: string;
  /** Command lines to start from, without the program's name. */
  readonly examples: readonly string[];
  // deno-lint-ignore no-explicit-any
  readonly options: Options<any>;
  /** Runs with checked options; returns the exit code. */
  // deno-lint-ignore no-explicit-any
  run(options: any, io: Io): Promise<number>;
}

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;
