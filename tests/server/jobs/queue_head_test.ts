/** A job at the head of the queue that leaves it: those that waited behind it do not wait on. */
import { assertEquals } from "@std/assert";
import { ownPlaces } from "../../../src/server/jobs/slots.ts";
import { played } from "./stand_in_process.ts";
import { withQueue } from "./support.ts";

const TWO_ELSEWHERE = {
  worker: "far-1",
  card: "a card",
  others: [{ worker: "far-2", card: "a card" }],
  lease: "a lease",
  offer: "an offer",
};

for (const how of ["cancel", "pause", "claim"] as const) {
  Deno.test(`a job behind one of two processes starts on the free worker after its ${how}`, () => {
    const gate = Promise.withResolvers<void>();
    const startTraining = played(() => ({ before: () => gate.promise }));
    return withQueue(async (bench) => {
      const { queue, store } = bench;
      const create = (ranks: number) => {
        const job = bench.job();
        return queue.create({ ...job, plan: { ...job.plan, ranks } }).id;
      };
      const [first, head, last] = [1, 2, 1].map(create);
      await bench.until(first, "running");
      await bench.until(last, "queued");
      if (how === "claim") queue.claim(head, TWO_ELSEWHERE, startTraining);
      else queue[how](head);
      assertEquals([first, last].map((id) => store.jobs.get(id)!.runsOn?.worker), [
        "server-1",
        "server-2",
      ]);
      gate.resolve();
      for (const id of [first, last]) await bench.until(id, "succeeded");
    }, { own: ownPlaces(2, "GPU"), startTraining, findLauncher: () => "mpirun" });
  });
}
