/** The server from its start to its end: folders, parts, a port, and all of it back again. */
import { phrase, settings } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { createServer } from "./http/app.ts";
import { checkOrigins } from "./http/exposure.ts";
import type { ServerOptions } from "./options.ts";
import { openParts } from "./parts.ts";

export interface ServeHooks {
  /** Ends the server: requests are finished, and the running job keeps a checkpoint. */
  readonly signal: AbortSignal;
  /** A line for people: faults, and requests with `verbose`. */
  log(line: string): void;
  /** Called once, when requests are answered. */
  onListening?(url: string): void;
  /** Tell of each request. */
  readonly verbose?: boolean;
}

/** Milliseconds that requests under way are given at the end; the process cuts off the rest. */
const DRAIN_TIMEOUT = 3000;

/**
 * Serves until the signal is aborted; resolves when all is written down. Throws a {@link UserError}
 * where it cannot begin: a folder, an address, a missing key, a missing GPU.
 */
export async function serve(options: ServerOptions, hooks: ServeHooks): Promise<void> {
  checkOrigins(options);
  const parts = await openParts(options, hooks);
  let server: Deno.HttpServer<Deno.NetAddr> | undefined;
  try {
    const { services } = parts;
    const app = createServer(services, {
      onFault: hooks.log,
      onRequest: hooks.verbose ? hooks.log : undefined,
    });
    server = listen(options, app.fetch);
    services.jobs.start();
    hooks.onListening?.(urlOf(options.host, server.addr.port));
    await aborted(hooks.signal);
  } finally {
    const drained = server?.shutdown();
    // Streams of events end first: nothing would be drained while they are held.
    await parts.stop();
    await Promise.race([drained, timeout(DRAIN_TIMEOUT)]);
    await parts.close();
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
        "choose another; 0 takes a free one",
      );
    }
    if (error instanceof Deno.errors.NotCapable) {
      throw new UserError(
        phrase`${where}: Deno was not given the permission to listen there`,
        `start it with --allow-net=${host}:${port}`,
      );
    }
    throw new UserError(
      phrase`${where}: cannot listen there: ${(error as Error).message}`,
      "the host must be an address of this machine, as `ip addr` lists them",
    );
  }
}

/** Where the server is to be reached: `0.0.0.0` stands for all addresses, this machine's included. */
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
