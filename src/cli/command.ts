/** A subcommand, and its interface to the outside world. */
import type { Draw } from "./status_line.ts";
import type { Options } from "../options/schema.ts";

/** A typed line, an interrupt (Ctrl-C), or the end of input (Ctrl-D). */
export type InputLine =
  | { readonly type: "line"; readonly text: string }
  | { readonly type: "interrupt" }
  | { readonly type: "end" };

export interface Input {
  /** True if stdin is a terminal. */
  readonly interactive: boolean;
  /** Everything up to its end. */
  text(): Promise<string>;
  /** Prompts for the next line; an abort ends the input. */
  line(prompt: string, signal: AbortSignal): Promise<InputLine>;
}

export const NO_INPUT: Input = {
  interactive: false,
  text: () => Promise.resolve(""),
  line: () => Promise.resolve({ type: "end" }),
};

/** What a stop means at the moment. */
export interface Stopping {
  /** Printed at the first signal: what happens before the command ends. */
  readonly first: string;
  /** Printed at the second: what an immediate end loses. */
  readonly second?: string;
  /** Where both go for a command that has a log; by default stderr. */
  readonly log?: { info(text: string): void; fault(error: unknown): void };
}

/** A command's interface to the outside world; tests supply their own. */
export interface Io {
  /** True with `--json`: results and events go to stdout, one object per line. */
  readonly json: boolean;
  readonly verbose: boolean;
  /** True if stderr is a terminal that can redraw lines. */
  readonly interactive: boolean;
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP: finish the step, save, return. */
  readonly signal: AbortSignal;
  readonly input: Input;
  /** Calls `handle` at each Ctrl-C instead of aborting, until the returned function is called. */
  takeInterrupts(handle: () => void): () => void;
  /** Says what `describe` returns when the command is stopped, until the returned function is called. */
  describeStop(describe: () => Stopping): () => void;
  /** The words of the command line, from the command on. */
  readonly args: readonly string[];
  /** Shows a line at the bottom of an interactive terminal; undefined removes it. */
  status(draw: Draw | undefined): void;
  /** Writes a line for people to stderr. */
  log(line: string): void;
  /** Writes a piece of a streamed result to stdout; does nothing with `--json`. */
  text(piece: string): void;
  /** Writes the result to stdout: one JSON line with `--json`, otherwise text. */
  result(value: unknown, text: string): void;
  /** Writes an object as a line to stdout with `--json`; otherwise does nothing. */
  event(value: unknown): void;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** A paragraph of details for `--help`. */
  readonly details?: string;
  /** Example command lines, without the program's name. */
  readonly examples: readonly string[];
  /** Whether it opens a card, or processes that do: `--gpu` then chooses it. */
  readonly opensGpu?: true;
  /** The option that a first word without a flag gives. */
  readonly positional?: string;
  // deno-lint-ignore no-explicit-any
  readonly options: Options<any, any>;
  /** Runs with checked options; returns the exit code. */
  // deno-lint-ignore no-explicit-any
  run(options: any, io: Io): Promise<number>;
}

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;
