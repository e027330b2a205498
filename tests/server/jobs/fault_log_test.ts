import { assertEquals, assertMatch } from "@std/assert";
import type { StartTraining } from "../../../src/server/jobs/training_process.ts";
import { ServerLog } from "../../../src/server/server_log.ts";
import { withQueue } from "./support.ts";

/** A process that fails with a stack on stderr. */
const failing: StartTraining = () => ({
  events: (async function* () {
    yield await Promise.resolve(
      { type: "failure", code: "internal_error", message: "x is not a function" } as const,
    );
  })(),
  exit: Promise.resolve({
    code: 1,
    signal: null,
    log: "TypeError: x is not a function\n    at train.ts:1\n",
  }),
  stop() {},
  kill() {},
});

Deno.test("the stack of a fault in a training process is in the server's log", async () => {
  const lines: string[] = [];
  await withQueue(async ({ queue, job, until }) => {
    queue.start();
    const { id } = queue.create(job());
    await until(id, "failed");
    assertEquals(lines.length, 3);
    assertMatch(lines[0], new RegExp(` error A fault ended the training process job_id=${id}$`));
    assertMatch(lines[1], / error \| TypeError: x is not a function$/);
    assertMatch(lines[2], / error \| {5}at train\.ts:1$/);
  }, { startTraining: failing, serverLog: new ServerLog((line) => lines.push(line)) });
});
