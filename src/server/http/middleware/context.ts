/** What the middleware of a request knows of it, and leaves for those that follow. */
import type { Context } from "hono";
import type { KeyRecord } from "../../store/records.ts";

export interface ServerEnv {
  /** What `Deno.serve` tells of a connection; nothing where a test calls the app itself. */
  Bindings: Partial<Deno.ServeHandlerInfo>;
  Variables: {
    readonly requestId: string;
    /** Of whom the request is; undefined where none is needed. */
    readonly key?: KeyRecord;
  };
}

/** Of a request that no connection of TCP brought: over a Unix socket, or from a test. */
export const UNKNOWN_ADDRESS = "unknown";

/** The address at the other end; a proxy's, where one stands between. */
export function addressOf(context: Context<ServerEnv>): string {
  const remote = context.env?.remoteAddr;
  return remote && "hostname" in remote ? remote.hostname : UNKNOWN_ADDRESS;
}

/** The names of this machine for itself, as they stand in a URL. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host.toLowerCase());
}
