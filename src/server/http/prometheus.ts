/** Metrics in Prometheus's text format. */
import { createMiddleware } from "../../packages/hono.ts";
import { routePath } from "../../packages/hono.ts";
import { Counter, Gauge, Histogram, Registry } from "../../packages/prom_client.ts";
import { type JobRecord, placesOf } from "../store/records.ts";
import type { EventLog, Metrics, RequestSample, Storage } from "../services.ts";
import type { Store } from "../store/store.ts";

export interface MetricsSources {
  readonly store: Store;
  readonly log: Pick<EventLog, "subscribe">;
  readonly storage: Pick<Storage, "used" | "free">;
  readonly streams: { readonly count: number };
  /** All that there are. */
  readonly workers: () => readonly { readonly id: string; readonly job: string | null }[];
}

/**
 * Prefix of every name. External dashboards and alerts rely on the names, so they keep the prefix
 * of the first release, whatever the product is called (`src/product.ts`).
 */
const PREFIX = "qgalore_";

/** Gauges of running jobs, from the `data` of its metrics events. */
const JOB_GAUGES = {
  step: ["step", "Steps done"],
  total_steps: ["total_steps", "Total steps"],
  train_loss: ["loss", "Training loss of the last step, in nats"],
  valid_loss: ["eval_loss", "Loss of the last evaluation, in nats"],
  lr: ["learning_rate", "Learning rate of the last step"],
  tokens_per_second: ["tokens_per_second", "Tokens trained per second"],
  gpu_bytes: ["gpu_bytes", "Allocated GPU memory, in bytes"],
  gpu_peak_bytes: ["gpu_peak_bytes", "Peak allocated GPU memory, in bytes"],
} as const;

const SECONDS = [0.005, 0.025, 0.1, 0.25, 1, 5];

/**
 * The number of series is bounded: jobs are reported only while they run, on one of the workers;
 * requests by route pattern. Most values are read when scraped, so that nothing is counted twice.
 */
export class ServerMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #store: Store;
  readonly #requests: Counter<"method" | "route" | "status">;
  readonly #durations: Histogram<"method" | "route">;
  /** The latest values of each kind, of jobs that run. */
  readonly #latest = new Map<string, Readonly<Record<string, unknown>>>();
  /** The workers of each job that runs. */
  readonly #workers = new Map<string, readonly string[]>();
  readonly #left: Counter<"worker" | "status">;
  readonly #unsubscribe: () => void;

  constructor({ store, log, storage, streams, workers }: MetricsSources) {
    this.#store = store;
    for (const job of store.jobs.withStatus("running")) this.#workers.set(job.id, workersOf(job));
    this.#unsubscribe = log.subscribe(({ jobId, type, data }) => {
      if (data.kind === "status") this.#noteStatus(jobId, String(data.status));
      else if (type === "metrics") {
        this.#latest.set(jobId, { ...this.#latest.get(jobId), ...data });
      }
    });
    this.#addRunning();
    this.#addJobs();
    this.#addGauge("disk_used_bytes", "Size of the data folder, in bytes", () => storage.used());
    this.#addGauge("disk_free_bytes", "Bytes that may still be written", () => storage.free());
    this.#addGauge("event_streams", "Open event streams", () => streams.count);
    this.#addGauge(
      "server_resident_bytes",
      "Memory of the server process, without training",
      () => Deno.memoryUsage().rss,
    );
    const registers = [this.#registry];
    this.#left = new Counter({
      name: `${PREFIX}worker_jobs_total`,
      help: "Jobs that have left a worker, by their status then; queued: another takes it on",
      labelNames: ["worker", "status"],
      registers,
    });
    new Gauge({
      name: `${PREFIX}worker_busy`,
      help: "Whether a worker runs a job",
      labelNames: ["worker"],
      registers,
      collect() {
        this.reset();
        for (const { id, job } of workers()) this.set({ worker: id }, Number(job !== null));
      },
    });
    this.#requests = new Counter({
      name: `${PREFIX}http_requests_total`,
      help: "Requests answered",
      labelNames: ["method", "route", "status"],
      registers,
    });
    this.#durations = new Histogram({
      name: `${PREFIX}http_request_duration_seconds`,
      help: "Time until the response starts",
      labelNames: ["method", "route"],
      buckets: SECONDS,
      registers,
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  observe({ method, route, status, seconds }: RequestSample): void {
    this.#requests.inc({ method, route, status: String(status) });
    this.#durations.observe({ method, route }, seconds);
  }

  close(): void {
    this.#unsubscribe();
  }

  #noteStatus(jobId: string, status: string): void {
    this.#latest.delete(jobId);
    const before = this.#workers.get(jobId) ?? [], now = workersOf(this.#store.jobs.get(jobId));
    for (const worker of before) this.#left.inc({ worker, status });
    if (now.length) this.#workers.set(jobId, now);
    else this.#workers.delete(jobId);
  }

  #addRunning(): void {
    const shared = { labelNames: ["job", "kind", "worker"] as const, registers: [this.#registry] };
    const latest = (job: JobRecord) => this.#latest.get(job.id) ?? {};
    /** Numbers of the jobs that have one, and what they are numbers of. */
    const ofRunning = (value: (job: JobRecord) => unknown) =>
      this.#store.jobs.withStatus("running").flatMap((job) => {
        const number = value(job), { id, kind, runsOn } = job;
        const labels = { job: id, kind, worker: runsOn?.worker ?? "" };
        return typeof number === "number" ? [{ labels, number }] : [];
      });
    const add = (name: string, help: string, value: (job: JobRecord) => unknown) =>
      new Gauge({
        ...shared,
        name: `${PREFIX}${name}`,
        help: `${help}; of a running job`,
        collect() {
          this.reset();
          for (const { labels, number } of ofRunning(value)) this.set(labels, number);
        },
      });
    for (const [field, [name, help]] of Object.entries(JOB_GAUGES)) {
      add(name, help, (job) => latest(job)[field]);
    }
    const planned = "Planned peak GPU memory, in bytes, of each of its processes";
    add("gpu_planned_bytes", planned, (job) => job.plan.plannedPeakBytes);
    new Counter({
      ...shared,
      name: `${PREFIX}tokens_total`,
      help: "Tokens trained on since the start of a running job",
      // The job itself counts, resumes included: its last report is the value.
      collect() {
        this.reset();
        for (const { labels, number } of ofRunning((job) => latest(job).tokens)) {
          this.inc(labels, number);
        }
      },
    });
  }

  #addJobs(): void {
    const { jobs } = this.#store;
    new Gauge({
      name: `${PREFIX}jobs`,
      help: "Jobs by kind and status",
      labelNames: ["kind", "status"],
      registers: [this.#registry],
      collect() {
        for (const [kind, statuses] of Object.entries(jobs.counts())) {
          for (const [status, count] of Object.entries(statuses)) this.set({ kind, status }, count);
        }
      },
    });
    this.#addGauge("queue_length", "Jobs waiting in the queue", () => {
      const counts = Object.values(jobs.counts());
      return counts.reduce((sum, { queued }) => sum + queued, 0);
    });
  }

  #addGauge(name: string, help: string, value: () => number | Promise<number>): void {
    new Gauge({
      name: `${PREFIX}${name}`,
      help,
      registers: [this.#registry],
      async collect() {
        this.set(await value());
      },
    });
  }
}

const workersOf = (job?: JobRecord) => placesOf(job?.runsOn).map(({ worker }) => worker);

/** Counts every request by its matched route, never by its URL. */
export function observeRequests(metrics: Pick<Metrics, "observe">) {
  return createMiddleware(async (context, next) => {
    const start = performance.now();
    await next();
    const route = routePath(context, -1);
    metrics.observe({
      // Without a matching route a client could invent methods, and so series.
      method: route.endsWith("*") ? "other" : context.req.method,
      route,
      status: context.res.status,
      seconds: (performance.now() - start) / 1000,
    });
  });
}
