/** The folder in which this product keeps what can be found out again. */
import { isAbsolute, join } from "../packages/std_path.ts";

/** Its name among those of other programs. */
const NAME = "deno-galore";

/**
 * By the system's conventions; undefined where it is unknown, or Deno would have to ask the user for
 * permission to use it.
 */
export function cacheFolder(): string | undefined {
  const home = variable("HOME"), { os } = Deno.build;
  const parent = os === "windows"
    ? variable("LOCALAPPDATA")
    : os === "darwin"
    ? home && join(home, "Library", "Caches")
    : absolute(variable("XDG_CACHE_HOME")) ?? (home && join(home, ".cache"));
  const path = parent && join(parent, NAME);
  const names = ["read", "write"] as const;
  const granted = names.every((name) =>
    Deno.permissions.querySync({ name, path }).state === "granted"
  );
  return granted ? path : undefined;
}

/** The XDG Base Directory Specification has relative paths ignored. */
function absolute(path: string | undefined): string | undefined {
  return path && isAbsolute(path) ? path : undefined;
}

function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
