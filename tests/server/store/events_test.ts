import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Store } from "../../../src/server/store/store.ts";
import { job, message, step, withStore } from "./support.ts";

const NOW = 1_700_000_000;

function withJobs(use: (store: Store) => void) {
  return withStore((store) => {
    store.jobs.insert(job());
    store.jobs.insert(job({ id: "ftjob-2" }));
    use(store);
  });
}

Deno.test("an event with a key is stored once per job", () =>
  withJobs(({ events }) => {
    const { key: _, ...told } = step(1);
    const expected = { ...told, seq: 1, jobId: "ftjob-1", createdAt: NOW };
    assertEquals(events.append("ftjob-1", step(1), NOW), expected);
    assertEquals(events.append("ftjob-1", step(1, { train_loss: 9 }), NOW + 1), undefined);
    assertEquals(events.append("ftjob-2", step(1), NOW)?.jobId, "ftjob-2");
    assertEquals(events.append("ftjob-1", message("again"), NOW)?.message, "again");
    assertEquals(events.append("ftjob-1", message("again"), NOW)?.message, "again");
    assertEquals(events.since(0, { limit: 1 }), [expected]);
    assertEquals(events.since(0, { limit: 10 }).length, 4);
  }));

Deno.test("an event belongs to a job", () =>
  withJobs(({ events }) => {
    assertThrows(() => events.append("ftjob-9", message("?"), NOW), Error, "FOREIGN KEY");
  }));

Deno.test("events in pages, newest first, by the ids that clients see", () =>
  withJobs(({ events }) => {
    for (let count = 1; count <= 5; count++) {
      events.append("ftjob-2", message(`other ${count}`), NOW);
      events.append("ftjob-1", message(`${count}`), NOW);
    }
    const first = events.list("ftjob-1", { limit: 3 });
    assertEquals(first.data.map(({ message }) => message), ["5", "4", "3"]);
    assertEquals(first.hasMore, true);
    const after = `ftevent-${first.data[2].seq}`;
    const rest = events.list("ftjob-1", { limit: 3, after });
    assertEquals(rest.data.map(({ message }) => message), ["2", "1"]);
    assertEquals(rest.hasMore, false);
    // The bare number, which a stream sends as `id:`.
    assertEquals(events.list("ftjob-1", { limit: 3, after: after.slice("ftevent-".length) }), rest);
    for (
      const bad of ["", "x12", "ftevent-", "ftevent-1x", "ftevent-1234567890123456", "ftevent--1"]
    ) {
      assertThrows(
        () => events.list("ftjob-1", { limit: 1, after: bad }),
        Error,
        `No such event: ${bad}`,
      );
    }
  }));

Deno.test("events since one, of a job or of all", () =>
  withJobs(({ events }) => {
    assertEquals(events.lastSeq(), 0);
    for (const id of ["ftjob-1", "ftjob-2", "ftjob-1"]) events.append(id, message(id), NOW);
    const seqs = (from: number, jobId?: string) =>
      events.since(from, { jobId, limit: 10 }).map(({ seq }) => seq);
    assertEquals(seqs(0), [1, 2, 3]);
    assertEquals(seqs(1), [2, 3]);
    assertEquals(seqs(1, "ftjob-1"), [3]);
    assertEquals(seqs(3), []);
    assertEquals(events.lastSeq(), 3);
  }));

Deno.test("events of a kind by key: the newest, in order", () =>
  withJobs(({ events }) => {
    for (
      const key of ["plan", "planned:1", "sample:1:0", "sample:2:0", "samples:1", "sample:3:0"]
    ) {
      events.append("ftjob-1", message(key, key), NOW);
      events.append("ftjob-2", message("another job's", key), NOW);
    }
    const keyed = (kind: string, limit: number) =>
      events.keyed("ftjob-1", kind, limit).map(({ message }) => message);
    assertEquals(keyed("sample", 9), ["sample:1:0", "sample:2:0", "sample:3:0"]);
    assertEquals(keyed("sample", 2), ["sample:2:0", "sample:3:0"]);
    assertEquals(keyed("plan", 9), ["plan"]);
    assertEquals(keyed("step", 9), []);
  }));

Deno.test("curves: all points of a short run", () =>
  withJobs(({ events }) => {
    assertEquals(events.metrics("ftjob-1"), []);
    assertEquals(events.lastStep("ftjob-1"), 0);
    const first = { step: 0, valid_loss: 2, valid_perplexity: 7.4 };
    events.append("ftjob-1", { ...step(0), key: "eval:0", data: first }, NOW);
    events.append("ftjob-1", message("between"), NOW);
    for (const number of [1, 2]) events.append("ftjob-1", step(number), NOW);
    const data = [first, step(1).data, step(2).data];
    for (const options of [undefined, { maxPoints: 3 }, { maxPoints: 100 }]) {
      assertEquals(events.metrics("ftjob-1", options).map((point) => point.data), data);
    }
    assertEquals(events.metrics("ftjob-1").map(({ step }) => step), [0, 1, 2]);
    assertEquals(events.lastStep("ftjob-1"), 2);
    assertEquals(events.lastStep("ftjob-2"), 0);
  }));

Deno.test("curves: a long run thinned evenly, with its last step and all that is notable", () =>
  withStore((store) => {
    store.jobs.insert(job());
    const last = 1003, evaluated = [250, 777], refreshed = [3, 501];
    store.transaction(() => {
      for (let number = 1; number <= last; number++) {
        store.events.append(
          "ftjob-1",
          step(number, {
            ...evaluated.includes(number) ? { valid_loss: 1 } : {},
            refreshed: refreshed.includes(number) ? ["layers.0.q_proj"] : [],
          }),
          NOW,
        );
      }
    });
    const steps = store.events.metrics("ftjob-1", { maxPoints: 11 }).map(({ step }) => step);
    // 0, 100.3, 200.6 and so on to 1003, rounded; step 0 was not told: the next is.
    const even = [1, 100, 201, 301, 401, 502, 602, 702, 802, 903, 1003];
    const expected = [...new Set([...even, ...evaluated, ...refreshed])].sort((a, b) => a - b);
    assertEquals(steps, expected);
    assertEquals(store.events.metrics("ftjob-1").length, last);
  }));

Deno.test("events of a kind are looked up, however long the run: every job shown asks for them", () =>
  withJobs((store) => {
    store.transaction(() => {
      for (let at = 1; at <= 20_000; at++) store.events.append("ftjob-1", step(at), NOW);
    });
    const began = performance.now();
    for (let i = 0; i < 50; i++) assertEquals(store.events.keyed("ftjob-1", "warning", 9), []);
    const each = (performance.now() - began) / 50;
    // 0.05 ms by the index; going through the job's events takes more than 10.
    assert(each < 5, `${each} ms`);
  }));
