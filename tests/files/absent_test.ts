import { join } from "@std/path";
import { absent } from "../../src/files/absent.ts";
import { UserError } from "../../src/options/user_error.ts";
import { assertRefusesAsync } from "../support_errors.ts";

Deno.test("a name that is not there is refused with the nearest that is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const refused = (path: string, message: string) =>
      assertRefusesAsync(() => absent("model", join(folder, path)), UserError, message);
    await refused("runs", "runs: no such file or folder");
    await Deno.mkdir(join(folder, "my rüns"));
    const meant = `(did you mean ${join(folder, "my rüns")}?)`;
    await refused("my runs", meant);
    await refused("my rün", meant);
    await refused("elsewhere/runs", "runs: no such file or folder");
    await refused("x".repeat(5000), "no such file or folder");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
