/** Live events: read by the official client, by a stalled reader, and by a hundred at once. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import OpenAI from "openai";
import { createApp } from "../../../src/server/http/app_base.ts";
import { ApiError } from "../../../src/server/api_error.ts";
import { StoredEventLog } from "../../../src/server/events/event_log.ts";
import { EventStreams } from "../../../src/server/events/event_stream.ts";
import { Moments } from "../../../src/server/jobs/moments.ts";
import type { StreamQuery } from "../../../src/server/services.ts";
import { serverOptions } from "../../../src/server/options.ts";
import { eventRoutes } from "../../../src/server/http/routes/events.ts";
import { Store } from "../../../src/server/store/store.ts";
import { job, message, step } from "../store/support.ts";

interface Setup {
  readonly store: Store;
  readonly log: StoredEventLog;
  readonly streams: EventStreams;
  readonly moments: Moments;
  request(path: string, init?: RequestInit): Promise<Response>;
  fetch(request: Request): Response | Promise<Response>;
}

async function withStreams(
  use: (setup: Setup) => Promise<void>,
  { maxStreams = 200, ...given }: {
    readonly maxStreams?: number;
    readonly heartbeat?: number;
    readonly recent?: number;
  } = {},
) {
  const folder = await Deno.makeTempDir({ prefix: "streams-" });
  const store = Store.open(`${folder}/server.sqlite`);
  store.jobs.insert(job({ status: "running" }));
  store.jobs.insert(job({ id: "ptjob-1", kind: "pretraining", status: "running" }));
  const log = new StoredEventLog(store);
  const moments = new Moments();
  const streams = new EventStreams({ store, log, moments, ...given });
  const app = createApp();
  app.onError((error) => {
    if (error instanceof ApiError) return error.toResponse();
    throw error;
  });
  app.route("/", eventRoutes({ options: serverOptions.parse({ maxStreams }), store, streams }));
  const request = async (path: string, init?: RequestInit) => await app.request(path, init);
  try {
    await use({ store, log, streams, moments, request, fetch: (request) => app.fetch(request) });
  } finally {
    await streams.close();
    assertEquals(streams.count, 0);
    store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Reads a stream event by event, by an independent parser. */
class Reader {
  readonly events: EventSourceMessage[] = [];
  readonly comments: string[] = [];
  ended = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #parser = createParser({
    onEvent: (event) => void this.events.push(event),
    onComment: (comment) => void this.comments.push(comment),
  });

  constructor(body: ReadableStream<Uint8Array> | null) {
    this.#reader = body!.getReader();
  }

  async until(enough: (reader: Reader) => boolean): Promise<this> {
    while (!enough(this) && !this.ended) {
      const { done, value } = await this.#reader.read();
      this.ended = done;
      this.#parser.feed(this.#decoder.decode(value, { stream: true }));
    }
    return this;
  }

  count(events: number): Promise<this> {
    return this.until(() => this.events.length >= events);
  }

  toEnd(): Promise<this> {
    return this.until(() => false);
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }

  get ids(): (number | undefined)[] {
    return this.events.map(({ id }) => id === undefined ? undefined : Number(id));
  }
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const finish = ({ store, log }: Setup) =>
  store.transaction(() => {
    log.append("ftjob-1", message("The job has been completed", "succeeded"));
    store.jobs.update("ftjob-1", { status: "succeeded" });
  });

const PATH = "/v1/fine_tuning/jobs/ftjob-1/events";

Deno.test("the official client follows a job from its first event to its end", () =>
  withStreams(async (setup) => {
    const { log, streams } = setup;
    const client = new OpenAI({
      apiKey: "none",
      baseURL: "http://localhost/v1",
      maxRetries: 0,
      fetch: async (input, init) => await setup.fetch(new Request(input, init)),
    });
    log.append("ftjob-1", message("Created", "created"));
    log.append("ptjob-1", message("of another job"));
    const stream = await client.get("/fine_tuning/jobs/ftjob-1/events", {
      query: { stream: true },
      stream: true,
    }) as AsyncIterable<OpenAI.FineTuning.FineTuningJobEvent>;
    const events: OpenAI.FineTuning.FineTuningJobEvent[] = [];
    for await (const event of stream) {
      events.push(event);
      // Earlier events, then live ones.
      if (events.length === 1) {
        log.append("ftjob-1", step(1, { text: "Zeile\n\ndata: x\r\n\u2028" }));
      }
      if (events.length === 2) finish(setup);
    }
    assertEquals(events.map(({ id }) => id), ["ftevent-1", "ftevent-3", "ftevent-4"]);
    assertEquals(events.map(({ type }) => type), ["message", "metrics", "message"]);
    const { created_at, ...second } = events[1];
    assert(Math.abs(created_at - Date.now() / 1000) < 60);
    assertEquals(second as unknown, {
      object: "fine_tuning.job.event",
      id: "ftevent-3",
      job_id: "ftjob-1",
      level: "info",
      type: "metrics",
      message: "Step 1/100: training loss=1.5",
      data: { step: 1, total_steps: 100, train_loss: 1.5, text: "Zeile\n\ndata: x\r\n\u2028" },
    });
    assertEquals(streams.count, 0);
    const listed: string[] = [];
    for await (const event of client.fineTuning.jobs.listEvents("ftjob-1", { limit: 2 })) {
      listed.push(event.id);
    }
    assertEquals(listed, ["ftevent-4", "ftevent-3", "ftevent-1"]);
  }));

Deno.test("resumed anywhere, a stream sends what is missing, without duplicates", () =>
  // With a small cache: some events come from the store, some from the cache.
  withStreams(async (setup) => {
    const { log, request } = setup;
    const told: number[] = [];
    for (const number of range(1, 600)) {
      told.push(log.append("ftjob-1", step(number))!.seq);
      if (number % 100 === 0) log.append("ftjob-1", step(number));
      if (number % 7 === 0) log.append("ptjob-1", step(number));
    }
    finish(setup);
    for (const place of [0, 1, 250, 585, 595, 599]) {
      const known = place && told[place - 1];
      for (
        const [path, headers] of [
          [`${PATH}?stream=true`, { "last-event-id": String(known) }],
          [`${PATH}?stream=true&after=ftevent-${known}`, {}],
          [`${PATH}?stream=true&last_event_id=${known}&after=3`, {}],
        ] as const
      ) {
        const response = await request(path, { headers: { ...headers } });
        assertEquals(response.headers.get("content-type"), "text/event-stream");
        const reader = await new Reader(response.body).toEnd();
        assertEquals(reader.ids.slice(0, -2), told.slice(place));
        assertEquals(reader.events.at(-2)?.data.includes("has been completed"), true);
        assertEquals(reader.events.at(-1)?.data, "[DONE]");
      }
    }
    // Everything, or more, is known: the client need not connect again.
    for (const known of [String(setup.store.events.lastSeq()), "99999"]) {
      const response = await request(`${PATH}?stream=true&after=${known}`);
      assertEquals([response.status, response.body], [204, null]);
    }
  }, { recent: 20 }));

Deno.test("a connection that breaks again and again loses nothing", () =>
  withStreams(async (setup) => {
    const { log, request, streams } = setup;
    const seen: (number | undefined)[] = [];
    let told = 0;
    for (let round = 0; seen.length < 200; round++) {
      for (let count = round % 7; count > 0 && told < 200; count--) {
        log.append("ftjob-1", step(++told));
      }
      const headers = { "last-event-id": String(seen.at(-1) ?? 0) };
      const { body } = await request(`${PATH}?stream=true`, { headers });
      const reader = new Reader(body);
      if (told > seen.length) await reader.count(1);
      seen.push(...reader.ids);
      await reader.cancel();
    }
    assertEquals(seen, range(1, 200));
    assertEquals(streams.count, 0);
  }));

Deno.test("a place that is no event's is refused by name", () =>
  withStreams(async ({ request }) => {
    for (const bad of ["abc", "-1", "1.5", "1 2", "ftevent-", "9".repeat(16)]) {
      const response = await request(`${PATH}?stream=true`, { headers: { "last-event-id": bad } });
      assertEquals(response.status, 400);
      assertEquals(await response.json(), {
        error: {
          message:
            `last-event-id: must be the id of an event, such as 12 or ftevent-12, got ${bad}`,
          type: "invalid_request_error",
          param: "last-event-id",
          code: "invalid_value",
        },
      });
    }
    const response = await request(`${PATH}?stream=true&after=x`);
    assertEquals((await response.json()).error.param, "after");
  }));

Deno.test("a job that is not there, or of the other kind, is a 404", () =>
  withStreams(async ({ request }) => {
    for (
      const path of [
        "/v1/fine_tuning/jobs/ftjob-9/events",
        "/v1/fine_tuning/jobs/ptjob-1/events",
        "/v1/pretraining/jobs/ftjob-1/events?stream=true",
        "/v1/fine_tuning/jobs/ftjob-9/metrics/stream",
      ]
    ) {
      const response = await request(path);
      assertEquals([response.status, (await response.json()).error.code], [404, "not_found"]);
    }
  }));

Deno.test("a reader that sleeps through 10,000 events holds none, then reads them all", () =>
  withStreams(async (setup) => {
    const { log, streams, store } = setup;
    let enqueued = 0;
    const enqueue = ReadableStreamDefaultController.prototype.enqueue;
    ReadableStreamDefaultController.prototype.enqueue = function (chunk?: unknown) {
      enqueued += (chunk as Uint8Array).length;
      return enqueue.call(this, chunk);
    };
    try {
      const sleeping = new Reader(streams.open({ jobId: "ftjob-1", content: "events" }));
      const pending = sleeping.count(1); // it waits, then stops reading
      log.append("ftjob-1", step(1));
      await pending;
      const before = enqueued;
      for (const number of range(2, 10_000)) {
        log.append("ftjob-1", step(number));
        if (number % 500 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      await store.sync();
      assertEquals(enqueued, before);
      finish(setup);
      await sleeping.toEnd();
      assertEquals(sleeping.ids, [...range(1, 10_001), undefined]);
    } finally {
      ReadableStreamDefaultController.prototype.enqueue = enqueue;
    }
  }));

Deno.test("100 streams see every event", () =>
  withStreams(async (setup) => {
    const { log, streams, request } = setup;
    const bodies = await Promise.all(
      range(1, 100).map(async () => (await request(`${PATH}?stream=true`)).body),
    );
    assertEquals(streams.count, 100);
    const readers = bodies.map((body) => new Reader(body).toEnd());
    for (const number of range(1, 300)) {
      log.append("ftjob-1", step(number));
      // Some at once, some by themselves.
      if (number % 3) await new Promise((resolve) => setTimeout(resolve));
    }
    finish(setup);
    for (const reader of await Promise.all(readers)) {
      assertEquals(reader.ids, [...range(1, 301), undefined]);
    }
    assertEquals(streams.count, 0);
  }));

Deno.test("a stream beyond the limit is refused with a time to retry", () =>
  withStreams(async ({ request, streams }) => {
    const bodies = [
      (await request(`${PATH}?stream=true`)).body,
      (await request("/v1/fine_tuning/jobs/ftjob-1/metrics/stream")).body,
    ];
    const refused = await request("/metrics/stream");
    assertEquals([refused.status, refused.headers.get("retry-after")], [429, "5"]);
    assertEquals((await refused.json()).error.code, "too_many_streams");
    await bodies[0]!.cancel();
    assertEquals(streams.count, 1);
    const allowed = await request("/metrics/stream");
    assertEquals(allowed.status, 200);
    await Promise.all([bodies[1]!.cancel(), allowed.body!.cancel()]);
    assertEquals(streams.count, 0);
  }, { maxStreams: 2 }));

Deno.test("a HEAD request opens no stream", () =>
  withStreams(async ({ request, streams }) => {
    const response = await request(`${PATH}?stream=true`, { method: "HEAD" });
    assertEquals(response.headers.get("content-type"), "text/event-stream");
    assertEquals([response.body, streams.count], [null, 0]);
  }));

Deno.test("silence is filled with heartbeats, which no client takes for events", () =>
  withStreams(async (setup) => {
    const { log, streams } = setup;
    const reader = new Reader(streams.open({ jobId: "ftjob-1", content: "events" }));
    await reader.until(({ comments }) => comments.length >= 3);
    assertEquals(reader.events, []);
    log.append("ftjob-1", step(1));
    await reader.count(1);
    // No event reports the end of the job: the next heartbeat detects it.
    setup.store.jobs.update("ftjob-1", { status: "failed" });
    await reader.toEnd();
    assertEquals(reader.ids, [1, undefined]);
  }, { heartbeat: 10 }));

Deno.test("no empty line but after data: to some clients anything before one is an event", () =>
  withStreams(async ({ log, streams, store }) => {
    const text = new Response(streams.open({ jobId: "ftjob-1", content: "metrics" })).text();
    for (let seen = 1; seen <= 3; seen++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      log.append("ftjob-1", step(seen));
    }
    store.jobs.update("ftjob-1", { status: "failed" });
    const blocks = (await text).trimEnd().split("\n\n");
    assert(blocks.length >= 5 && blocks.join().includes(": heartbeat"), blocks.join("|"));
    for (const block of blocks) assertMatch(block, /^data: ./m);
  }, { heartbeat: 10 }));

Deno.test("when the server stops, streams end without [DONE]", () =>
  withStreams(async ({ log, streams }) => {
    const waiting = new Reader(streams.open({ jobId: "ftjob-1", content: "events" }));
    const unread = new Reader(streams.open({ jobId: "ftjob-1", content: "events" }));
    log.append("ftjob-1", step(1));
    await waiting.count(1);
    const end = waiting.toEnd();
    await streams.close();
    assertEquals(streams.count, 0);
    assertEquals((await end).ids, [1]);
    assertEquals((await unread.toEnd()).events, []);
  }));

Deno.test("a job's metrics: only figures and status changes", () =>
  withStreams(async (setup) => {
    const { log, request, store } = setup;
    log.append("ftjob-1", message("Created"));
    log.append("ftjob-1", step(1));
    const { body } = await request("/v1/fine_tuning/jobs/ftjob-1/metrics/stream");
    const reader = await new Reader(body).count(2);
    store.jobs.update("ftjob-1", { status: "paused" });
    log.append("ftjob-1", message("Paused"));
    await reader.count(3);
    store.jobs.update("ftjob-1", { status: "running" });
    log.append("ftjob-1", step(2));
    await reader.count(5);
    finish(setup);
    await reader.toEnd();
    const told = reader.events.map(({ event, id, data }) => [event, id, data]);
    // A status has the id of the job's last event, which need not be one of metrics.
    const status = (status: string, id: string) => [
      "status",
      id,
      JSON.stringify({ job_id: "ftjob-1", status }),
    ];
    assertEquals(told, [
      [undefined, "2", JSON.stringify(step(1).data)],
      status("running", "2"),
      status("paused", "3"),
      [undefined, "4", JSON.stringify(step(2).data)],
      status("running", "4"),
      status("succeeded", "5"),
      [undefined, undefined, "[DONE]"],
    ]);
  }));

Deno.test("all jobs: events from now on, or after a given event", () =>
  withStreams(async ({ log, request }) => {
    log.append("ftjob-1", step(1));
    const now = new Reader((await request("/metrics/stream")).body);
    const resumed = new Reader((await request("/metrics/stream?after=0")).body);
    log.append("ptjob-1", step(1));
    log.append("ftjob-1", message("Paused"));
    await Promise.all([now.count(2), resumed.count(3)]);
    assertEquals(now.ids, [2, 3]);
    assertEquals(resumed.ids, [1, 2, 3]);
    const { job_id, type } = JSON.parse(now.events[0].data);
    assertEquals([job_id, type], ["ptjob-1", "metrics"]);
    await Promise.all([now.cancel(), resumed.cancel()]);
  }));

Deno.test("a client that goes away takes its stream with it, over a real connection", () =>
  withStreams(async (setup) => {
    const { log, streams } = setup;
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, setup.fetch);
    const url = `http://127.0.0.1:${server.addr.port}${PATH}?stream=true`;
    try {
      const abort = new AbortController();
      const response = await fetch(url, { signal: abort.signal });
      assertEquals(response.headers.get("content-encoding"), null);
      const reader = new Reader(response.body);
      log.append("ftjob-1", step(1));
      await reader.count(1);
      assertEquals(streams.count, 1);
      abort.abort();
      await assertRejects(() => reader.count(2), DOMException);
      for (let tries = 0; streams.count && tries < 500; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assertEquals(streams.count, 0);
    } finally {
      await server.shutdown();
    }
  }, { heartbeat: 50 }));

Deno.test("a listener that throws does not affect others", () =>
  withStreams(({ store }) => {
    const faults: unknown[] = [], heard: string[] = [];
    const log = new StoredEventLog(store, (error) => faults.push(error));
    const fault = new Error("mine alone");
    log.subscribe(() => {
      throw fault;
    });
    const end = log.subscribe(({ message }) => heard.push(message));
    log.append("ftjob-1", message("one", "key"));
    assertEquals(log.append("ftjob-1", message("one", "key")), undefined);
    end();
    log.append("ftjob-1", message("two"));
    assertEquals([faults, heard], [[fault, fault], ["one"]]);
    return Promise.resolve();
  }));

Deno.test("an event larger than a batch, in either form", () =>
  withStreams(async ({ streams, log }) => {
    const queries: StreamQuery[] = [
      { content: "events" },
      { jobId: "ftjob-1", content: "metrics" },
    ];
    const readers = queries.map((query) => new Reader(streams.open(query)));
    log.append("ftjob-1", step(1, { text: "x".repeat(300_000) }));
    log.append("ftjob-1", step(2));
    for (const reader of readers) {
      await reader.until(({ ids }) => ids.includes(2));
      assertEquals(reader.ids.filter((id) => id !== undefined), [1, 2]);
      await reader.cancel();
    }
  }));

Deno.test("a job's metrics tell what it does at the moment: the latest, and never again", () =>
  withStreams(async ({ streams, moments, log, store }) => {
    const read = (content: StreamQuery["content"]) =>
      new Reader(streams.open({ jobId: "ftjob-1", content }));
    const reader = read("metrics"), events = read("events");
    const named = (name: string) => reader.events.filter(({ event }) => event === name);
    const told = (count: number) => reader.until(() => named("moment").length === count);
    await reader.until(() => named("status").length === 1);
    moments.set("ftjob-1", { preparation: { what: "loading weights", share: 0.5 } });
    await told(1);
    moments.set("ptjob-1", { activity: { phase: "training", step: 9 } });
    for (const done of [1, 2, 3]) {
      moments.set("ftjob-1", { activity: { phase: "evaluating", step: 4, done } });
    }
    await told(2);
    moments.set("ftjob-1", undefined);
    log.append("ftjob-1", step(1));
    store.jobs.update("ftjob-1", { status: "succeeded" });
    await Promise.all([reader, events].map((each) => each.until(({ ended }) => ended)));
    assertEquals(named("moment").map(({ data, id }) => [JSON.parse(data), id]), [
      [
        { job_id: "ftjob-1", preparation: { what: "loading weights", share: 0.5 }, activity: null },
        undefined,
      ],
      [
        {
          job_id: "ftjob-1",
          preparation: null,
          activity: { phase: "evaluating", step: 4, done: 3 },
        },
        undefined,
      ],
    ]);
    assertEquals(events.events.some(({ event }) => event !== undefined), false);
  }));
