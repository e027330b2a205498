import { assertEquals, assertThrows } from "@std/assert";
import { JOB_STATUSES } from "../../../src/server/store/records.ts";
import { job, withStore } from "./support.ts";

Deno.test("a job comes back as it was put in", () =>
  withStore(({ jobs }) => {
    const kept = job({
      startedAt: 1,
      finishedAt: 2,
      estimatedFinish: 3,
      trainedTokens: 0,
      resultModel: "ft:llama::1",
      resultFiles: ["file-7"],
      error: { code: "out_of_memory", message: "too large", param: "model" },
      reason: "the disk is full",
    });
    jobs.insert(kept);
    assertEquals(jobs.get(kept.id), kept);
    assertEquals(jobs.status(kept.id), "queued");
    assertEquals(jobs.get("ftjob-2"), undefined);
    assertEquals(jobs.status("ftjob-2"), undefined);
    assertThrows(() => jobs.insert(kept), Error, "jobs.insert: ftjob-1 is there already");
  }));

Deno.test("an update changes what it names, and null clears", () =>
  withStore(({ jobs }) => {
    jobs.insert(job({ reason: "the disk is full", startedAt: 5 }));
    const updated = jobs.update("ftjob-1", {
      status: "running",
      reason: null,
      startedAt: undefined,
      options: { steps: 20 },
    });
    const { reason: _, ...expected } = job({ status: "running", startedAt: 5 });
    assertEquals(updated, { ...expected, options: { steps: 20 } });
    assertEquals(jobs.get("ftjob-1"), updated);
    assertEquals(jobs.update("ftjob-1", {}), updated);
    assertThrows(
      () => jobs.update("ftjob-9", { status: "failed" }),
      Error,
      "jobs.update: there is no job ftjob-9",
    );
  }));

Deno.test("jobs are listed newest first, by kind and by metadata", () =>
  withStore(({ jobs }) => {
    const metadata = [{}, { team: "a" }, { team: "a", 'it\'s "x"': "1" }, { team: "b" }];
    metadata.forEach((metadata, index) =>
      jobs.insert(job({ id: `ftjob-${index}`, request: { metadata } }))
    );
    jobs.insert(job({ id: "ftjob-none", request: { metadata: null } }));
    jobs.insert(job({ id: "ptjob-1", kind: "pretraining" }));
    const list = (wanted?: Record<string, string> | null) =>
      jobs.list({ kind: "fine_tuning", limit: 10, metadata: wanted }).data.map(({ id }) => id);
    assertEquals(list(), ["ftjob-none", "ftjob-3", "ftjob-2", "ftjob-1", "ftjob-0"]);
    assertEquals(list({ team: "a" }), ["ftjob-2", "ftjob-1"]);
    assertEquals(list({ team: "a", 'it\'s "x"': "1" }), ["ftjob-2"]);
    assertEquals(list({ team: "c" }), []);
    assertEquals(list(null), ["ftjob-none", "ftjob-0"]);
    const first = jobs.list({ kind: "fine_tuning", limit: 2 });
    assertEquals(first.data.map(({ id }) => id), ["ftjob-none", "ftjob-3"]);
    assertEquals(first.hasMore, true);
    const rest = jobs.list({ kind: "fine_tuning", limit: 3, after: "ftjob-3" });
    assertEquals(rest.data.map(({ id }) => id), ["ftjob-2", "ftjob-1", "ftjob-0"]);
    assertEquals(rest.hasMore, false);
    assertThrows(
      () => jobs.list({ kind: "fine_tuning", limit: 3, after: "ftjob-9" }),
      Error,
      "No such job: ftjob-9",
    );
  }));

Deno.test("the queue goes by turns", () =>
  withStore(({ jobs }) => {
    assertEquals(jobs.next(), undefined);
    assertEquals(jobs.nextTurn(), 1);
    jobs.insert(job({ id: "ftjob-1", turn: 3 }));
    jobs.insert(job({ id: "ftjob-2", turn: 2 }));
    jobs.insert(job({ id: "ftjob-3", turn: 1, status: "paused" }));
    assertEquals(jobs.next()?.id, "ftjob-2");
    assertEquals(jobs.nextTurn(), 4);
    assertEquals(
      jobs.withStatus("queued", "paused").map(({ id }) => id),
      ["ftjob-3", "ftjob-2", "ftjob-1"],
    );
    assertEquals(jobs.withStatus(), []);
  }));

Deno.test("counts by kind and status, with the zeros", () =>
  withStore(({ jobs }) => {
    jobs.insert(job({ id: "ftjob-1" }));
    jobs.insert(job({ id: "ftjob-2" }));
    jobs.insert(job({ id: "ptjob-1", kind: "pretraining", status: "failed" }));
    const none = Object.fromEntries(JOB_STATUSES.map((status) => [status, 0]));
    assertEquals(jobs.counts() as unknown, {
      fine_tuning: { ...none, queued: 2 },
      pretraining: { ...none, failed: 1 },
    });
  }));

Deno.test("a file is in use by jobs that are not over, as training or validation data", () =>
  withStore(({ jobs }) => {
    jobs.insert(job({ id: "ftjob-1", trainingFiles: ["file-0", "file-1"] }));
    jobs.insert(job({ id: "ftjob-2", trainingFiles: [], validationFiles: ["file-1"] }));
    jobs.insert(job({ id: "ftjob-3", status: "succeeded" }));
    jobs.insert(job({ id: "ftjob-4", status: "paused" }));
    assertEquals(jobs.usingFile("file-1"), ["ftjob-1", "ftjob-2", "ftjob-4"]);
    assertEquals(jobs.usingFile("file-0"), ["ftjob-1"]);
    assertEquals(jobs.usingFile("file"), []);
  }));

Deno.test("results are of jobs that succeeded and still have one", () =>
  withStore(({ jobs }) => {
    jobs.insert(job({ id: "ftjob-1", status: "succeeded", resultModel: "ft:a" }));
    jobs.insert(job({ id: "ftjob-2", status: "succeeded" }));
    jobs.insert(job({ id: "ftjob-3", status: "failed", resultModel: "ft:b" }));
    assertEquals(jobs.resultModels().map(({ id }) => id), ["ftjob-1"]);
  }));
