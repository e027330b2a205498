/**
 * The command line. `deno run -qP cli.ts --help` lists the commands.
 *
 * @module
 */
import "./src/host/needs_deno.ts";

if (import.meta.main) {
  const { runProgram } = await import("./src/cli/program.ts");
  await runProgram(Deno.args);
}
