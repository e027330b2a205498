/**
 * The training server. `deno run -A server.ts` is `deno run -A cli.ts serve`; a program of your own
 * calls {@link serve}, or {@link openServer} to mount the server in an app of its own.
 *
 * @module
 */
export {
  type HonoApp,
  openServer,
  type Server,
  type ServerHooks,
} from "./src/server/open_server.ts";
export type { ServerOptions } from "./src/server/options.ts";
export { serve, type ServeHooks } from "./src/server/serve.ts";

if (import.meta.main) {
  const { runProgram } = await import("./src/cli/program.ts");
  await runProgram(["serve", ...Deno.args]);
}
