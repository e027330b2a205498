/** A job's streams, followed by what reconnects by itself: a browser's EventSource, and Node's. */
import { assertEquals } from "@std/assert";
import { EventSource } from "eventsource";
import { createApp } from "../../../src/server/http/app_base.ts";
import { StoredEventLog } from "../../../src/server/events/event_log.ts";
import { EventStreams } from "../../../src/server/events/event_stream.ts";
import { serverOptions } from "../../../src/server/options.ts";
import { eventRoutes } from "../../../src/server/http/routes/events.ts";
import type { JobStatus } from "../../../src/server/store/records.ts";
import { Store } from "../../../src/server/store/store.ts";
import { CHROMIUM, visit } from "../dashboard/browser.ts";
import { job, message, step } from "../store/support.ts";

const JOB = "/v1/fine_tuning/jobs/ftjob-1";
const STREAMS = [`${JOB}/events?stream=true`, `${JOB}/metrics/stream`];

interface Setup {
  readonly url: string;
  /** Status of each answer, by path. */
  readonly answers: Map<string, number[]>;
  /** A final status and its event, which is not one of metrics. */
  end(status: JobStatus): void;
  resume(): void;
}

async function withJob(use: (setup: Setup) => Promise<void>) {
  const store = Store.open(":memory:");
  store.jobs.insert(job({ status: "running" }));
  const log = new StoredEventLog(store), streams = new EventStreams({ store, log });
  const app = createApp();
  app.get("/", (context) => context.html('<!doctype html><link rel="icon" href="data:,">'));
  app.route("/", eventRoutes({ options: serverOptions.parse({}), store, streams }));
  const answers = new Map<string, number[]>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url), response = await app.fetch(request);
    answers.set(pathname + search, [...answers.get(pathname + search) ?? [], response.status]);
    return response;
  });
  const change = (status: JobStatus, text: string) =>
    store.transaction(() => {
      store.jobs.update("ftjob-1", { status });
      log.append("ftjob-1", message(text));
    });
  log.append("ftjob-1", step(1));
  try {
    await use({
      url: `http://127.0.0.1:${server.addr.port}`,
      answers,
      end: (status) => change(status, "The job ended"),
      resume: () => change("queued", "The job was resumed"),
    });
  } finally {
    await streams.close();
    await server.shutdown();
    store.close();
  }
}

Deno.test({
  name: "a browser's EventSource stops when the job has ended",
  ignore: !CHROMIUM,
  fn: () =>
    withJob(async ({ url, answers, end }) => {
      await visit(url, {}, async ({ page }) => {
        await page.evaluate((paths) => {
          const sources = paths.map((path) => new EventSource(path));
          Object.assign(globalThis, { sources });
        }, STREAMS);
        const states = (wanted: number) =>
          page.waitForFunction(
            (wanted) => {
              const { sources } = globalThis as unknown as { sources: EventSource[] };
              return sources.every(({ readyState }) => readyState === wanted);
            },
            wanted,
          );
        await states(1);
        end("succeeded");
        await states(2);
      });
      for (const path of STREAMS) assertEquals(answers.get(path), [200, 204], path);
    }),
});

Deno.test({
  name: "Node's EventSource follows a job that failed and was resumed, and stops at its end",
  sanitizeResources: false, // the connections of its own fetch
  fn: () =>
    withJob(async ({ url, answers, end, resume }) => {
      const sources = STREAMS.map((path) => new EventSource(url + path));
      try {
        for (const source of sources) await until(source, EventSource.OPEN);
        end("failed");
        for (const source of sources) await until(source, EventSource.CONNECTING);
        // Before it connects again, two seconds later.
        resume();
        for (const source of sources) await until(source, EventSource.OPEN);
        end("succeeded");
        for (const source of sources) await until(source, EventSource.CLOSED);
      } finally {
        for (const source of sources) source.close();
      }
      for (const path of STREAMS) assertEquals(answers.get(path), [200, 200, 204], path);
    }),
});

async function until(source: EventSource, state: number): Promise<void> {
  while (source.readyState !== state) await new Promise((resolve) => setTimeout(resolve, 20));
}
