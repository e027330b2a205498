/** What middleware knows about a request and passes on. */
import type { Context } from "../../../packages/hono.ts";
import type { ApiError } from "../../api_error.ts";
import type { KeyRecord } from "../../store/records.ts";

export interface ServerEnv {
  /** Connection information from `Deno.serve`; absent when a test calls the app directly. */
  Bindings: Partial<Deno.ServeHandlerInfo>;
  Variables: {
    readonly requestId: string;
    /** The request's key; undefined if none is needed. */
    readonly key?: KeyRecord;
    /** What a stream says to a client whose access has ended; by default nothing. */
    readonly lastWords?: (fault: ApiError) => Uint8Array<ArrayBuffer>;
  };
}

/** Address of a request without a TCP connection: over a Unix socket, or from a test. */
export const UNKNOWN_ADDRESS = "unknown";

/** The remote address; a proxy's, if there is one in between. */
export function addressOf(context: Context<ServerEnv>): string {
  const remote = context.env?.remoteAddr;
  return remote && "hostname" in remote ? remote.hostname : UNKNOWN_ADDRESS;
}

/** What the log says about a request, in every entry that concerns it. */
export function requestFields(context: Context<ServerEnv>) {
  return {
    client: addressOf(context),
    key_id: context.get("key")?.id,
    request_id: context.get("requestId"),
  };
}

/** Loopback host names, as in URLs. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host.toLowerCase());
}
