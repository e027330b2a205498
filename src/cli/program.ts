/** The command line as a process: its streams, its signals, its exit code. */
import { EXIT } from "./command.ts";
import { terminalInput } from "./input.ts";
import { describeStop, interruption, takeInterrupts } from "./interruption.ts";
import { main } from "./main.ts";
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
  const stopping = interruption();
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    stopping.fail(event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    stopping.fail(event.error ?? event.message);
  });
  const code = await main(args, {
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
  });
  Deno.exit(stopping.failed ? EXIT.failed : code);
}
