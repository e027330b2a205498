/**
 * The command line. `deno run -A cli.ts --help` lists the commands.
 *
 * @module
 */
import { main } from "./src/cli/main.ts";
import { terminalInput } from "./src/cli/input.ts";
import { interruption, takeInterrupts } from "./src/cli/interruption.ts";

/** All of it: a pipe may take a text in pieces. */
function write(text: string): void {
  for (let bytes = new TextEncoder().encode(text); bytes.length;) {
    bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
  }
}

if (import.meta.main) {
  Deno.exit(
    await main(Deno.args, {
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
