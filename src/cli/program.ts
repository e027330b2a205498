/** The command line as a process: its streams, its signals, its exit code. */
import { terminalInput } from "./input.ts";
import { interruption, takeInterrupts } from "./interruption.ts";
import { main } from "./main.ts";

/** Runs a command line and ends the process with its exit code. */
export async function runProgram(args: readonly string[]): Promise<never> {
  Deno.exit(
    await main(args, {
      stdout: (line) => console.log(line),
      write,
      stderr: (line) => console.error(line),
      interactive: Deno.stderr.isTerminal(),
      signal: interruption(),
      input: terminalInput(),
      takeInterrupts,
    }),
  );
}

/** Writes everything: a pipe may accept only part of a text at a time. */
function write(text: string): void {
  for (let bytes = new TextEncoder().encode(text); bytes.length;) {
    bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
  }
}
