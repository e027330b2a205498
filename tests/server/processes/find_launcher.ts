/** Prints the launcher that these permissions let it find, or why there is none. */
import { findLauncher } from "../../../src/server/processes/launcher.ts";

try {
  const { program, family } = findLauncher();
  console.log(program, family);
} catch (error) {
  console.log((error as Error).message);
}
