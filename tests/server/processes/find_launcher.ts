/**
 * Prints the launcher that these permissions let it find, or why there is none; with an argument, what
 * is said where no library is.
 */
import { findLauncher, firstLauncher } from "../../../src/server/processes/find_launcher.ts";

try {
  const { program, family } = Deno.args.length ? firstLauncher(() => false) : findLauncher();
  console.log(program, family);
} catch (error) {
  console.log((error as Error).message);
}
