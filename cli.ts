/**
 * The command line. `deno run -qP cli.ts --help` lists the commands.
 *
 * @module
 */
import { runProgram } from "./src/cli/program.ts";

if (import.meta.main) await runProgram(Deno.args);
