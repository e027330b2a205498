/** Jobs whose processes may write to their own folder alone, and what they find out for others. */
import { assertEquals } from "@std/assert";
import { TimingsFolder } from "../../../src/train/timings.ts";
import type { StartTraining } from "../../../src/server/jobs/training_process.ts";
import type { WorkerEvent } from "../../../src/server/worker/protocol.ts";
import { played } from "./stand_in_process.ts";
import { withQueue } from "./support.ts";

Deno.test({
  name: "the tiles that one job timed are given to the next",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const given: unknown[] = [], tiles = { "NT 96 64 32": "64x64" };
    const play = played(() => ({}));
    const startTraining: StartTraining = (task) => {
      given.push(task.timings);
      const process = play(task);
      async function* events(): AsyncGenerator<WorkerEvent> {
        yield { type: "timings", key: "ab12", tiles };
        yield* process.events;
      }
      return { ...process, events: events() };
    };
    await withQueue(async (bench) => {
      for (let job = 0; job < 2; job++) {
        await bench.until(bench.queue.create(bench.job()).id, "succeeded");
      }
      assertEquals(given, [{}, { ab12: tiles }]);
      const kept = new TimingsFolder(`${bench.storage.path}/timings`);
      assertEquals(await kept.recall("ab12"), tiles);
    }, { startTraining });
  },
});
