import { assertEquals, assertThrows } from "@std/assert";
import type { CheckpointRecord } from "../../../src/server/store/records.ts";
import { job, withStore } from "./support.ts";

const checkpoint = (step: number, jobId = "ftjob-1"): CheckpointRecord => ({
  id: `ftckpt-${jobId}-${step}`,
  jobId,
  step,
  createdAt: 1_700_000_000 + step,
  metrics: { step, train_loss: 1 / 3 },
});

Deno.test("checkpoints of a job: newest first in pages, by step altogether", () =>
  withStore(({ jobs, checkpoints }) => {
    jobs.insert(job());
    jobs.insert(job({ id: "ftjob-2" }));
    for (const step of [10, 20, 30]) checkpoints.insert(checkpoint(step));
    checkpoints.insert(checkpoint(10, "ftjob-2"));
    assertEquals(checkpoints.get("ftckpt-ftjob-1-20"), checkpoint(20));
    assertEquals(checkpoints.of("ftjob-1"), [10, 20, 30].map((step) => checkpoint(step)));
    const first = checkpoints.list("ftjob-1", { limit: 2 });
    assertEquals(first, { data: [checkpoint(30), checkpoint(20)], hasMore: true });
    const rest = checkpoints.list("ftjob-1", { limit: 2, after: "ftckpt-ftjob-1-20" });
    assertEquals(rest, { data: [checkpoint(10)], hasMore: false });
    checkpoints.deleteSteps("ftjob-1", [10, 20, 99]);
    assertEquals(checkpoints.of("ftjob-1"), [checkpoint(30)]);
    assertEquals(checkpoints.of("ftjob-2"), [checkpoint(10, "ftjob-2")]);
  }));

Deno.test("a run that passes a step twice has one checkpoint of it", () =>
  withStore(({ jobs, checkpoints }) => {
    jobs.insert(job());
    assertEquals(checkpoints.insert(checkpoint(10)), true);
    assertEquals(checkpoints.insert({ ...checkpoint(10), id: "ftckpt-other" }), false);
    assertEquals(checkpoints.of("ftjob-1"), [checkpoint(10)]);
  }));

Deno.test("a checkpoint belongs to a job", () =>
  withStore(({ checkpoints }) => {
    assertThrows(() => checkpoints.insert(checkpoint(1)), Error, "FOREIGN KEY");
  }));
