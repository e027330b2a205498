/**
 * The training server. `deno run -A server.ts` is `deno run -A cli.ts serve`; a program of your own
 * calls `serve`, or mounts `createServer` where it likes.
 *
 * @module
 */
export { createServer } from "./src/server/http/app.ts";
export { type ServerOptions, serverOptions } from "./src/server/options.ts";
export { serve } from "./src/server/serve.ts";

if (import.meta.main) {
  const { runProgram } = await import("./src/cli/program.ts");
  await runProgram(["serve", ...Deno.args]);
}
