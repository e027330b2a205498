/** Figures for Prometheus, read by an independent parser of its format. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import parsePrometheus from "parse-prometheus-text-format";
import { createApp } from "../../../src/server/http/app_base.ts";
import { StoredEventLog } from "../../../src/server/events/event_log.ts";
import { observeRequests, ServerMetrics } from "../../../src/server/http/prometheus.ts";
import { metricsRoutes } from "../../../src/server/http/routes/metrics.ts";
import type { JobPlace, JobStatus } from "../../../src/server/store/records.ts";
import type { Store } from "../../../src/server/store/store.ts";
import { job, message, step, withStore } from "../store/support.ts";

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: string;
}

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly metrics: readonly Sample[];
}

interface Setup {
  readonly store: Store;
  readonly log: StoredEventLog;
  readonly metrics: ServerMetrics;
  scrape(): Promise<Map<string, Family>>;
}

function withMetrics(use: (setup: Setup) => Promise<void>, before?: (store: Store) => void) {
  return withStore(async (store) => {
    before?.(store);
    const log = new StoredEventLog(store);
    const metrics = new ServerMetrics({
      store,
      log,
      storage: { used: () => Promise.resolve(2 ** 40), free: () => Promise.resolve(12) },
      streams: { count: 3 },
      workers: () => [{ id: "server-1", job: "ftjob-1" }, { id: "far-1", job: null }],
    });
    const app = metricsRoutes({ metrics });
    const scrape = async () => {
      const response = await app.request("/metrics");
      assertEquals(response.status, 200);
      assertEquals(
        response.headers.get("content-type"),
        "text/plain; version=0.0.4; charset=utf-8",
      );
      // The parser folds the labels of histograms into one; as plain numbers it reads them all,
      // in several pieces of a name.
      const text = (await response.text()).replace(/^# TYPE \S+ histogram\n/gm, "");
      const families = new Map<string, Family>();
      for (const family of parsePrometheus(text) as Family[]) {
        const before = families.get(family.name)?.metrics ?? [];
        families.set(family.name, { ...family, metrics: [...before, ...family.metrics] });
      }
      return families;
    };
    await use({ store, log, metrics, scrape });
    metrics.close();
  });
}

const LABELS = { job: "ftjob-1", kind: "fine_tuning", worker: "server-1" };
const ON_FIRST = { worker: "server-1", card: "a card" };
const ON_SECOND = { worker: "server-2", card: "a card" };

Deno.test("the running job's figures, and none when it is over", () =>
  withMetrics(async ({ store, log, scrape }) => {
    store.jobs.insert(job({ status: "running", runsOn: ON_FIRST }));
    log.append("ftjob-1", { ...step(0), key: "eval:0", data: { step: 0, valid_loss: 2.5 } });
    log.append(
      "ftjob-1",
      step(12, {
        lr: 1e-7,
        tokens: 12_345_678_901,
        tokens_per_second: 250.5,
        gpu_bytes: 1e9,
        gpu_peak_bytes: 2e9,
      }),
    );
    log.append("ftjob-1", message("no figures"));
    const told = await scrape();
    const expected = {
      step: 12,
      total_steps: 100,
      loss: 1.5,
      eval_loss: 2.5,
      learning_rate: 1e-7,
      tokens_per_second: 250.5,
      tokens_total: 12_345_678_901,
      gpu_bytes: 1e9,
      gpu_peak_bytes: 2e9,
      gpu_planned_bytes: 1000,
    };
    for (const [name, value] of Object.entries(expected)) {
      const { metrics, type } = told.get(`qgalore_${name}`)!;
      assertEquals(metrics.map(({ labels }) => labels), [LABELS]);
      assertEquals(Number(metrics[0].value), value, name);
      assertEquals(type, name.endsWith("_total") ? "COUNTER" : "GAUGE");
    }
    store.jobs.update("ftjob-1", { status: "succeeded" });
    // The next job has no events yet, only a plan.
    store.jobs.insert(job({ id: "ftjob-2", status: "running" }));
    const next = await scrape();
    for (const name of Object.keys(expected)) {
      const jobs = next.get(`qgalore_${name}`)?.metrics.map(({ labels }) => labels?.job) ?? [];
      assertEquals(jobs, name === "gpu_planned_bytes" ? ["ftjob-2"] : []);
    }
  }));

Deno.test("figures of every job that runs, by worker", () =>
  withMetrics(async ({ store, log, scrape }) => {
    store.jobs.insert(job({ status: "running", runsOn: ON_FIRST }));
    store.jobs.insert(
      job({ id: "ptjob-2", kind: "pretraining", status: "running", runsOn: ON_SECOND }),
    );
    log.append("ftjob-1", step(3));
    log.append("ptjob-2", step(5));
    const told = await scrape();
    assertEquals(told.get("qgalore_step")!.metrics, [
      { value: "3", labels: LABELS },
      { value: "5", labels: { job: "ptjob-2", kind: "pretraining", worker: "server-2" } },
    ]);
  }));

Deno.test("workers: which are busy, and what has left them", () =>
  withMetrics(async ({ store, log, scrape }) => {
    const turn = (status: JobStatus, runsOn: JobPlace | null) => {
      store.jobs.update("ftjob-1", { status, runsOn });
      log.append("ftjob-1", { ...message(status), data: { kind: "status", status } });
    };
    store.jobs.insert(job());
    turn("running", ON_FIRST);
    turn("queued", null);
    // Two processes, each on one.
    turn("running", { ...ON_SECOND, others: [ON_FIRST] });
    turn("succeeded", null);
    const told = await scrape();
    assertEquals(told.get("qgalore_worker_busy")!.metrics, [
      { value: "1", labels: { worker: "server-1" } },
      { value: "0", labels: { worker: "far-1" } },
    ]);
    assertEquals(told.get("qgalore_worker_jobs_total")!.metrics, [
      { value: "1", labels: { worker: "server-1", status: "queued" } },
      { value: "1", labels: { worker: "server-2", status: "succeeded" } },
      { value: "1", labels: { worker: "server-1", status: "succeeded" } },
    ]);
  }));

Deno.test("a job that ran when the server started leaves its worker", () =>
  withMetrics(async ({ store, log, scrape }) => {
    store.jobs.update("ftjob-1", { status: "failed", runsOn: null });
    log.append("ftjob-1", { ...message("failed"), data: { kind: "status", status: "failed" } });
    assertEquals((await scrape()).get("qgalore_worker_jobs_total")!.metrics, [
      { value: "1", labels: { worker: "server-1", status: "failed" } },
    ]);
  }, (store) => store.jobs.insert(job({ status: "running", runsOn: ON_FIRST }))));

Deno.test("the server's figures", () =>
  withMetrics(async ({ store, scrape }) => {
    store.jobs.insert(job({ id: "ftjob-1" }));
    store.jobs.insert(job({ id: "ptjob-1", kind: "pretraining" }));
    store.jobs.insert(job({ id: "ftjob-2", status: "failed" }));
    const told = await scrape();
    const value = (name: string) => Number(told.get(`qgalore_${name}`)!.metrics[0].value);
    assertEquals(value("queue_length"), 2);
    assertEquals(value("disk_used_bytes"), 2 ** 40);
    assertEquals(value("disk_free_bytes"), 12);
    assertEquals(value("event_streams"), 3);
    assert(value("server_resident_bytes") > 1e6);
    const jobs = told.get("qgalore_jobs")!.metrics;
    assertEquals(jobs.length, 14);
    assertEquals(jobs.filter(({ value }) => value !== "0"), [
      { value: "1", labels: { kind: "fine_tuning", status: "queued" } },
      { value: "1", labels: { kind: "fine_tuning", status: "failed" } },
      { value: "1", labels: { kind: "pretraining", status: "queued" } },
    ]);
  }));

Deno.test("requests are counted by route pattern, so that series are bounded", () =>
  withMetrics(async ({ metrics, scrape }) => {
    const app = createApp();
    app.use(observeRequests(metrics));
    app.get("/v1/things/:id", (context) => context.text("thing"));
    app.post("/v1/things/:id", () => {
      throw new Error("a fault");
    });
    app.onError((_, context) => context.text("fault", 500));
    for (let count = 0; count < 50; count++) {
      await app.request(`/v1/things/${count}`);
      await app.request(`/nowhere/${count}`, { method: `X${count}` });
    }
    await app.request("/v1/things/1", { method: "POST" });
    const told = await scrape();
    assertEquals(told.get("qgalore_http_requests_total")!.metrics, [
      { value: "50", labels: { method: "GET", route: "/v1/things/:id", status: "200" } },
      { value: "50", labels: { method: "other", route: "/*", status: "404" } },
      { value: "1", labels: { method: "POST", route: "/v1/things/:id", status: "500" } },
    ]);
    const name = "qgalore_http_request_duration_seconds";
    const expected = [
      { value: "50", labels: { method: "GET", route: "/v1/things/:id" } },
      { value: "50", labels: { method: "other", route: "/*" } },
      { value: "1", labels: { method: "POST", route: "/v1/things/:id" } },
    ];
    assertEquals(told.get(`${name}_count`)!.metrics, expected);
    const buckets = told.get(`${name}_bucket`)!.metrics;
    assertEquals(
      buckets.filter(({ labels }) => labels?.le === "+Inf"),
      expected.map(({ value, labels }) => ({ value, labels: { le: "+Inf", ...labels } })),
    );
    assertMatch(await metrics.text(), new RegExp(`^# TYPE ${name} histogram$`, "m"));
  }));
