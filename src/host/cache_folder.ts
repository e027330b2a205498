/** The folder in which this product keeps what can be found out again. */
import { join } from "../packages/std_path.ts";

/** Its name among those of other programs. */
const NAME = "deno-galore";

/** By the system's conventions; undefined where it is unknown or must not be asked for. */
export function cacheFolder(): string | undefined {
  const home = variable("HOME"), { os } = Deno.build;
  const parent = os === "windows"
    ? variable("LOCALAPPDATA")
    : os === "darwin"
    ? home && join(home, "Library", "Caches")
    : variable("XDG_CACHE_HOME") ?? (home && join(home, ".cache"));
  return parent && join(parent, NAME);
}

function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
