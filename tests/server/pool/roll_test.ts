/** Who was heard from on other machines, and when, by a clock that the test sets. */
import { assertEquals } from "@std/assert";
import { VERSION } from "../../../src/product.ts";
import { MOST_WORKERS } from "../../../src/server/pool/protocol.ts";
import { Roll } from "../../../src/server/pool/roll.ts";
import type { JobPlace } from "../../../src/server/store/records.ts";

const SECOND = 1000, MINUTE = 60 * SECOND;
const place = (worker: string) => ({ worker, card: "a card" });
const machine = (...names: string[]) => (
  { version: VERSION, machine: "a machine", workers: names.map(place), ranks: names.length }
);

Deno.test("until a minute has passed any machine may be there; then those that were heard from", () => {
  let now = 5 * SECOND;
  const leased: JobPlace[] = [], roll = new Roll(() => leased, () => now);
  roll.meet(machine("a-1", "a-2"), 2);
  now += MINUTE - 1;
  assertEquals(roll.mostRanks, MOST_WORKERS);
  now++;
  assertEquals(roll.mostRanks, 2);
  // A job of an earlier server's lease is there as well, whose machine has not greeted this one.
  leased.push({ ...place("b-1"), others: [place("b-2"), place("b-3")] });
  assertEquals(roll.mostRanks, 3);
  leased.pop();
  now++;
  assertEquals(roll.mostRanks, 0);
});

Deno.test("a worker whose lease ends by silence was heard from when it last told something", () => {
  let now = 0;
  const leased: JobPlace[] = [], roll = new Roll(() => leased, () => now);
  const names = () => roll.workers().map(({ worker }) => worker);
  roll.meet(machine("a-1", "a-2"), 2);
  leased.push(place("a-1"));
  now = 40 * SECOND;
  // Its report of ten seconds ago is later than its greeting.
  roll.left([place("a-1")], 10 * SECOND);
  leased.pop();
  now = MINUTE + 1;
  assertEquals(names(), ["a-1"]);
  now = 90 * SECOND;
  assertEquals(names(), ["a-1"]);
  now++;
  assertEquals(names(), []);
  // A greeting is later than the report.
  roll.meet(machine("a-1"), 1);
  roll.left([place("a-1")], 30 * SECOND);
  now += MINUTE;
  assertEquals(names(), ["a-1"]);
});
