import { assert, assertEquals, assertMatch } from "@std/assert";
import { logJobs } from "../../src/server/events/job_log.ts";
import type { EventRecord } from "../../src/server/store/records.ts";
import { type LogFormat, ServerLog } from "../../src/server/server_log.ts";

function linesOf(format: LogFormat, use: (log: ServerLog) => void): string[] {
  const lines: string[] = [];
  use(new ServerLog((line) => lines.push(line), format));
  return lines;
}

const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;

/** Tries to write a line of its own, to erase one, to colour a terminal. */
const HOSTILE = "a\n2026-01-01T00:00:00.000Z info request\r\x1b[2K\x9b31m\u2028\u202e\u0000";

Deno.test("every line of a text log begins with its time, whatever its values contain", () => {
  const lines = linesOf("text", (log) => {
    log.info("plain", { client: "127.0.0.1", key_id: undefined, ms: 1.5, model: "a b" });
    log.warn(HOSTILE, { name: HOSTILE });
    log.fault(Object.assign(new Error(HOSTILE), { stack: `Error: ${HOSTILE}\n    at x:1` }));
  });
  const shape = new RegExp(`^${TIME} (info|warn|error) [\\x20-\\x7e]+$`);
  for (const line of lines) assertMatch(line, shape);
  assertMatch(
    lines[0],
    new RegExp(`^${TIME} info plain client=127\\.0\\.0\\.1 ms=1\\.5 model="a b"$`),
  );
  // The lines of a stack are marked, so that none looks like an entry.
  for (const line of lines.slice(3)) assertMatch(line, new RegExp(`^${TIME} error \\| `));
  assertEquals(lines.length, 6);
});

Deno.test("a JSON log has one object per line, with the same fields", () => {
  const lines = linesOf("json", (log) => {
    log.info("request", { status: 200, client: "::1", key_id: undefined });
    log.fault(new Error(HOSTILE), { request_id: "req_1" });
    log.fault("only a text");
  });
  assert(lines.every((line) => !line.includes("\n")));
  const [request, fault, text] = lines.map((line) => JSON.parse(line));
  for (const { time } of [request, fault, text]) assertMatch(time, new RegExp(`^${TIME}$`));
  assertEquals({ ...request, time: "" }, {
    time: "",
    level: "info",
    message: "request",
    status: 200,
    client: "::1",
  });
  assertEquals([fault.level, fault.message, fault.request_id], ["error", HOSTILE, "req_1"]);
  assertMatch(fault.detail, /server_log_test\.ts/);
  assertEquals([text.message, text.detail], ["only a text", undefined]);
});

Deno.test("what happens to a job is logged; its progress is not", () => {
  const event: EventRecord = {
    seq: 1,
    jobId: "ftjob-1",
    createdAt: 0,
    level: "info",
    type: "message",
    message: "Fine-tuning job paused: the disk is full",
    data: { kind: "status", status: "paused" },
  };
  const lines = linesOf("text", (log) => {
    const events: Parameters<typeof logJobs>[0] = {
      subscribe(listener) {
        listener(event);
        listener({ ...event, message: "Checkpoint created", data: { kind: "checkpoint" } });
        listener({ ...event, type: "metrics", message: "Step 1/2", data: { step: 1 } });
        listener({ ...event, level: "warn", message: "the loss rises", data: {} });
        return () => {};
      },
    };
    logJobs(events, log);
  });
  assertEquals(lines.map((line) => line.slice(25)), [
    "info Fine-tuning job paused: the disk is full job_id=ftjob-1",
    "warn the loss rises job_id=ftjob-1",
  ]);
});
