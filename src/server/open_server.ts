/** The server without its own address: an app to mount or serve elsewhere. */
import "./compiled.ts";
import { createServer } from "./http/app.ts";
import { checkOrigins } from "./http/exposure.ts";
import { mountable } from "./http/mountable.ts";
import { type ServerInput, type ServerOptions, serverOptions } from "./options.ts";
import { openParts } from "./parts.ts";
import { ServerLog } from "./server_log.ts";

/** What a server reports, besides answering. */
export interface ServerHooks {
  /**
   * Is called with each line of the log, as the option `logFormat` has it: faults, what happens to
   * jobs, and requests with `verbose`. By default lines go to stderr.
   */
  log?(line: string): void;
  /** Log each request: method, route, status, time, client, key and request id. */
  readonly verbose?: boolean;
}

/**
 * An app of Hono's, `Hono` of `npm:hono`. By index, because `deno doc --lint` takes the name of a
 * package's type for a private type of ours.
 */
export type HonoApp = InstanceType<(typeof import("../packages/hono.ts"))["Hono"]>;

/** A server that is open: its data folder is locked, its database open, its GPU known. */
export interface Server {
  /**
   * Everything: dashboard, API, docs. `Deno.serve(server.app.fetch)` serves it by itself;
   * `site.route("/train", server.app)` makes it a part of a Hono app, with `/train/v1` as the base
   * URL of OpenAI's clients. Keys, origins and limits are checked in here, wherever it is mounted.
   */
  readonly app: HonoApp;
  /** Starts the jobs that are queued, and those that an earlier server left. */
  start(): void;
  /**
   * Ends event streams, the running job after a checkpoint, and the model that answers. Other
   * requests are still answered.
   */
  stop(): Promise<void>;
  /** Stops, closes the database and unlocks the folder. No request may be under way. */
  close(): Promise<void>;
}

/**
 * Opens a server, to be mounted in a program of your own. What is not given has the default of
 * `serve --help`. `host` is the address that your program listens on: unless it is this machine's
 * own, an API key is needed, as with `serve`. `port` has no effect.
 *
 * Throws an `OptionsError` for options that are wrong, and a `UserError` where it cannot begin: a
 * folder, a missing key, a missing GPU.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { openServer } from "@deno-galore/trainer/server";
 *
 * const server = await openServer({ dataFolder: "server-data", modelsFolder: "models" });
 * const site = new Hono();
 * site.get("/", (context) => context.text("The trainer is at /train/"));
 * site.route("/train", server.app);
 * const http = Deno.serve({ hostname: "127.0.0.1", port: 8000 }, site.fetch);
 * server.start();
 *
 * Deno.addSignalListener("SIGINT", async () => {
 *   const drained = http.shutdown();
 *   await server.stop();
 *   await drained;
 *   await server.close();
 *   Deno.exit();
 * });
 * ```
 */
export async function openServer(
  options: ServerInput = {},
  { log = (line) => console.error(line), verbose = false }: ServerHooks = {},
): Promise<Server> {
  const checked: ServerOptions = serverOptions.parse(options);
  checkOrigins(checked);
  const serverLog = new ServerLog(log, checked.logFormat);
  const { services, stop, close } = await openParts(checked, serverLog);
  const app = createServer(services, { verbose });
  let stopped: Promise<void> | undefined;
  const stopOnce = () => stopped ??= stop();
  return {
    app: mountable(app),
    start: () => services.jobs.start(),
    stop: stopOnce,
    close: async () => {
      await stopOnce();
      await close();
    },
  };
}
