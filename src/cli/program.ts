/** The command line as a process: its streams, its signals, its exit code. */
import { EXIT } from "./command.ts";
import { terminalInput } from "./input.ts";
import { describeStop, interruption, takeInterrupts } from "./interruption.ts";
import { type Launch, launched } from "../parallel/launch.ts";
import { main, type Terminal } from "./main.ts";
import { rankTerminal } from "./rank_terminal.ts";
import {
  canRedraw,
  ignoreClosedStreams,
  status,
  terminalColumns,
  writeError,
  writeOut,
} from "./streams.ts";

/** Runs a command line and ends the process with its exit code. */
export async function runProgram(args: readonly string[]): Promise<never> {
  ignoreClosedStreams();
  const launch = launchOf(args), rank = launch?.rank ?? 0;
  const stopping = interruption({ quiet: rank > 0, launched: launch !== undefined });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    stopping.fail(event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    stopping.fail(event.error ?? event.message);
  });
  const own: Terminal = {
    stdout: (line) => writeOut(`${line}\n`),
    write: writeOut,
    stderr: (line) => writeError(`${line}\n`),
    interactive: canRedraw(),
    columns: terminalColumns(),
    status,
    signal: stopping.signal,
    input: terminalInput(),
    takeInterrupts,
    describeStop,
  };
  const { terminal, end } = rank > 0 ? rankTerminal(rank, own) : { terminal: own, end: undefined };
  const code = await main(args, terminal);
  await end?.(code);
  Deno.exit(stopping.failed ? EXIT.failed : code);
}

/** Commands that several processes do together. */
const SHARED = ["pretrain", "finetune"];

/**
 * The launcher of a command that processes share. Others do not care: a shell that a launcher or Slurm
 * has started passes the same variables on.
 */
function launchOf(args: readonly string[]): Launch | undefined {
  const [name] = args, trains = !args.some((word) => /^(-h|--help|--preview(=.*)?)$/.test(word));
  return SHARED.includes(name) && trains ? launched() : undefined;
}
