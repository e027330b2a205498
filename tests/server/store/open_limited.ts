/** Run by database_test.ts where files cannot grow: opens `Deno.args[0]`, reads, and tries to write. */
import { diskFault } from "../../../src/files/disk_error.ts";
import { Store } from "../../../src/server/store/store.ts";

const store = Store.open(Deno.args[0]);
const status = store.jobs.status("ftjob-1");
let written: string | undefined = "written";
try {
  store.jobs.update("ftjob-1", { reason: "x".repeat(100_000) });
} catch (error) {
  written = diskFault(error) ?? String(error);
}
console.log(JSON.stringify({ status, written }));
Deno.exit();
