/**
 * The training server. `deno run -A server.ts` is `deno run -A cli.ts serve`; a program of your own
 * calls {@link serve}, or {@link openServer} to mount the server in its own app.
 *
 * @example
 * ```ts
 * import { serve } from "@deno-galore/trainer/server";
 *
 * const stop = new AbortController();
 * Deno.addSignalListener("SIGINT", () => stop.abort());
 * await serve({ modelsFolder: "models" }, { signal: stop.signal, onListening: console.log });
 * ```
 *
 * @module
 */
export {
  type HonoApp,
  openServer,
  type Server,
  type ServerHooks,
} from "./src/server/open_server.ts";
export type { ServerInput, ServerOptions } from "./src/server/options.ts";
export { serve, type ServeHooks } from "./src/server/serve.ts";

if (import.meta.main) {
  const { runProgram } = await import("./src/cli/program.ts");
  await runProgram(["serve", ...Deno.args]);
}
