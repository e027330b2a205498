/** Checks who can reach the server. */
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { isLoopback } from "./middleware/context.ts";
import type { ServerOptions } from "../options.ts";

/** A server that others could reach without a key. */
export class MissingKeyError extends UserError {
  constructor(host: string, readonly dataFolder: string) {
    super(
      phrase`${
        option("host", host)
      }: this address is reachable from other machines, and the server has no API key`,
      phrase`create one, with the command \`key\` and ${option("dataFolder", dataFolder)}`,
    );
  }
}

/** Refuses to listen on a non-local address without a key. */
export function checkExposure(
  { host, dataFolder }: Pick<ServerOptions, "host" | "dataFolder">,
  anyKey: boolean,
): void {
  if (anyKey || isLoopback(host)) return;
  throw new MissingKeyError(host, dataFolder);
}

/** Checks that allowed origins are spelled as browsers spell them. */
export function checkOrigins({ corsOrigin = [] }: Pick<ServerOptions, "corsOrigin">): void {
  for (const origin of corsOrigin) {
    if (URL.canParse(origin) && new URL(origin).origin === origin) continue;
    throw new UserError(
      phrase`${option("corsOrigin", origin)}: must be an origin`,
      "scheme, host and port, without a path: https://app.example.com",
    );
  }
}
