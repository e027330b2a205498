/** Serves on its own address, from start to shutdown. */
import { phrase, settings } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { openServer, type ServerHooks } from "./open_server.ts";
import { type ServerInput, type ServerOptions, serverOptions } from "./options.ts";

/** Shutdown and reporting of a stand-alone server. */
export interface ServeHooks extends ServerHooks {
  /** Stops the server: requests are finished, and the running job saves a checkpoint. */
  readonly signal: AbortSignal;
  /** Called once, when the server accepts requests. */
  onListening?(url: string): void;
}

/** Milliseconds for requests in progress at shutdown; the rest are cut off. */
const DRAIN_TIMEOUT = 3000;

/**
 * Serves until the signal aborts; resolves when everything is saved. Throws an `OptionsError` if an
 * option is wrong, and a {@link UserError} if it cannot start: a folder, an address, a missing key,
 * a missing GPU.
 */
export async function serve(given: ServerInput, hooks: ServeHooks): Promise<void> {
  const options = serverOptions.parse(given);
  const server = await openServer(options, hooks);
  let http: Deno.HttpServer<Deno.NetAddr> | undefined;
  try {
    http = listen(options, server.app.fetch);
    server.start();
    hooks.onListening?.(urlOf(options.host, http.addr.port));
    await aborted(hooks.signal);
  } finally {
    const drained = http?.shutdown();
    // End event streams first: open ones would prevent draining.
    await server.stop();
    await Promise.race([drained, timeout(DRAIN_TIMEOUT)]);
    await server.close();
  }
}

function listen(
  { host, port }: Pick<ServerOptions, "host" | "port">,
  fetch: Deno.ServeHandler,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname: host, port, onListen: () => {} }, fetch);
  } catch (error) {
    const where = settings({ host, port });
    if (error instanceof Deno.errors.AddrInUse) {
      throw new UserError(
        phrase`${where}: the port is in use`,
        "choose another, or 0 for a free one",
      );
    }
    if (error instanceof Deno.errors.NotCapable) {
      throw new UserError(
        phrase`${where}: Deno lacks the permission to listen there: add --allow-net=${host}:${port}`,
      );
    }
    throw new UserError(
      phrase`${where}: cannot listen there: ${(error as Error).message}`,
      "the host must be an address of this machine, as `ip addr` lists them",
    );
  }
}

/** The server's URL; `0.0.0.0` stands for all addresses, including loopback. */
export function urlOf(host: string, port: number): string {
  const name = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function timeout(ms: number): Promise<void> {
  return new Promise((resolve) => {
    Deno.unrefTimer(setTimeout(resolve, ms));
  });
}
