/**
 * Run by store_test.ts, to be killed: appends to `Deno.args[0]` and prints each committed event.
 */
import { Store } from "../../../src/server/store/store.ts";
import { job, step } from "./support.ts";

const store = Store.open(Deno.args[0]);
store.jobs.insert(job());
const encoder = new TextEncoder();
for (let number = 1;; number++) {
  const event = store.events.append("ftjob-1", step(number), 1_700_000_000);
  Deno.stdout.writeSync(encoder.encode(`${event!.seq}\n`));
}
