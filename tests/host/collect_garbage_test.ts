import { assert, assertEquals } from "@std/assert";
import { collectGarbage } from "../../src/host/collect_garbage.ts";

Deno.test("collects what nothing refers to, at once, and nothing else", async () => {
  const kept = { figures: new Float64Array(1000) };
  const ofKept = new WeakRef(kept);
  // A WeakRef holds its object to the end of the task in which it was made.
  const ofDropped = await Promise.resolve().then(() =>
    new WeakRef({ figures: new Float64Array(1000) })
  );
  await new Promise((resolve) => setTimeout(resolve, 0));
  collectGarbage();
  assertEquals(ofDropped.deref(), undefined);
  assert(ofKept.deref() === kept);
});
