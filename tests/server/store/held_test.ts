/** Writes that wait for the disk, of which one fails for another reason. */
import { assertEquals, assertThrows } from "@std/assert";
import { Database } from "../../../src/server/store/database.ts";
import { Store } from "../../../src/server/store/store.ts";
import { job } from "./support.ts";

Deno.test("a write that can never be made is reported once, and keeps no other back", () => {
  const faults: [string, string][] = [];
  const database = Database.open(":memory:");
  const store = Store.over(database, (error, about) => faults.push([about, String(error)]));
  const stored = (id: string) =>
    database.sqlite.prepare("SELECT reason FROM jobs WHERE id = ?").get(id)!.reason;
  try {
    for (const id of ["ftjob-1", "ftjob-2"]) store.jobs.insert(job({ id }));
    const update = (id: string, reason: string) => () => void store.jobs.update(id, { reason });
    let broken = true;
    store.jobs.hold("ftjob-1", { reason: "first" }, () => {
      if (broken) throw new Error("a bug");
      update("ftjob-1", "first")();
    });
    store.jobs.hold("ftjob-1", { reason: "second" }, update("ftjob-1", "second"));
    store.jobs.hold("ftjob-2", { reason: "other" }, update("ftjob-2", "other"));

    database.sqlite.exec("PRAGMA query_only = ON");
    assertEquals([store.held.attempt(), faults], [false, []], "the disk takes nothing");
    assertThrows(() => store.held.flush(), Error, "cannot be written");

    database.sqlite.exec("PRAGMA query_only = OFF");
    for (let round = 0; round < 3; round++) assertEquals(store.held.attempt(), false);
    assertEquals(faults, [["ftjob-1", "Error: a bug"]]);
    assertEquals([stored("ftjob-1"), stored("ftjob-2")], [null, "other"]);
    assertEquals(["ftjob-1", "ftjob-2"].map((id) => store.jobs.isHeld(id)), [true, false]);
    assertEquals(store.jobs.get("ftjob-1")?.reason, "second", "readers see what has happened");
    store.held.flush("ftjob-2");
    assertThrows(() => store.held.flush("ftjob-1"), Error, "a bug");

    broken = false;
    assertEquals([store.held.attempt(), stored("ftjob-1")], [true, "second"], "in their order");
  } finally {
    store.close();
  }
});
