/** Fake jobs in every state, one of them running. */
import { type FakePlan, fakePlan, WITHOUT_TEMPLATE } from "./fake_plan.ts";

// deno-lint-ignore no-explicit-any
type Job = Record<string, any> & { id: string; status: string };

interface FakeEvent {
  readonly id: string;
  readonly object: string;
  readonly job_id: string;
  readonly created_at: number;
  readonly level: string;
  readonly type: string;
  readonly message: string;
  // deno-lint-ignore no-explicit-any
  readonly data: Record<string, any>;
}

const LAYERS = 12;
const MATRICES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
const GAP = 50;

/** Deterministic noise. */
const noise = (n: number) => {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return x - Math.floor(x) - 0.5;
};

/** Matrices refreshed at a step: less often as they converge, deep layers last. */
function refreshedAt(step: number): string[] {
  return Array.from({ length: LAYERS }, (_, layer) =>
    MATRICES.map((name, i) => {
      const settles = 120 + 60 * layer + 25 * i;
      const gap = step < settles ? GAP : step < 3 * settles ? 2 * GAP : 4 * GAP;
      if ((step - 1) % gap) return "";
      return `model.layers.${layer}.${i < 4 ? "self_attn" : "mlp"}.${name}.weight`;
    })).flat().filter(Boolean);
}

/** What a run says of its data, as the server passes it on. */
const WARNINGS = [
  "left out: 3 examples with tool calls that the chat template does not write " +
  "(file-poems:17; file-poems:31; file-poems:90)",
  "skipped: 9 examples without an assistant turn (file-poems:2; and 8 more)",
  "1 example with thoughts that the chat template removes: they are not learned (file-poems:5)",
  "truncated to 512 tokens: 20 of 36 examples",
  "none of the 36 examples fell into the held-out share of 0.05, so nothing is evaluated",
  "fields ignored: id",
  "the learning rate of 0.1 is far above the usual 1e-4",
  "the first sample prompt is cut to 512 tokens",
];

interface NewJob {
  readonly id: string;
  readonly status: string;
  readonly suffix: string;
  /** Seconds since its creation. */
  readonly age: number;
  readonly error?: { readonly code: string; readonly message: string };
  readonly turn?: number;
  readonly files?: readonly string[];
}

const LONG = "a-name-of-sixty-four-characters-that-somebody-thought-explained_it";
const FINAL = ["succeeded", "failed", "cancelled"];
const CROWD = ["succeeded", "queued", "failed", "cancelled", "succeeded", "paused", "succeeded"];

/** Of the same second, so that only their sequence orders them; the queue runs backwards. */
function crowdJob(i: number): NewJob {
  return {
    id: `ftjob-crowd${i}`,
    status: CROWD[i % CROWD.length],
    suffix: i % 3 ? `${LONG}-${i}` : `run-${i}`,
    age: 90_000,
    turn: 10_000 - i,
  };
}

const CARD = "NVIDIA GeForce RTX 4090";

export class FakeJobs {
  readonly #jobs = new Map<string, Job>();
  readonly #events: FakeEvent[] = [];
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #wake = Promise.withResolvers<void>();
  #stopped = false;

  constructor(
    readonly options: {
      readonly pace: number;
      readonly steps: number;
      readonly empty: boolean;
      /** Further jobs in every state, with long names. */
      readonly crowd: number;
      /** Seconds that the server's clock is ahead of the browser's. */
      readonly ahead: number;
    },
  ) {
    if (options.empty) return;
    const day = 86_400;
    for (let i = 0; i < options.crowd; i++) this.#add(crowdJob(i));
    const failed = this.#add({
      id: "ftjob-failed",
      status: "failed",
      suffix: "legal-summaries",
      age: 6 * day,
      error: {
        code: "device_lost",
        message:
          "The GPU driver reset while step 212 ran: the card was lost, and came back without the " +
          "job's memory.",
      },
    });
    this.#run(failed, 212, 600);
    this.#add({ id: "ftjob-cancelled", status: "cancelled", suffix: "first-try", age: 4 * day });
    const done = this.#add({
      id: "ftjob-done",
      status: "succeeded",
      suffix: "recipes",
      age: 2 * day,
    });
    this.#run(done, 400, 400);
    const paused = this.#add({
      id: "ftjob-paused",
      status: "paused",
      suffix: "support-tickets",
      age: 9000,
    });
    paused.status_reason_code = "disk_full";
    paused.status_reason =
      "The disk is full: 0.4 GiB are free, and a checkpoint takes 1.4 GiB: delete files or models, " +
      "or make room on the disk, then resume the job";
    this.#run(paused, 180, 900);
    this.#add({ id: "ftjob-queued", status: "queued", suffix: "", age: 300 });
    const running = this.#add({
      id: "ftjob-running",
      status: "running",
      suffix: "poems",
      age: 1400,
    });
    this.#run(running, options.steps, 2 * options.steps);
    this.#keepRunning(running, 2 * options.steps);
  }

  #now() {
    return Math.floor(Date.now() / 1000) + this.options.ahead;
  }

  get lastSeq() {
    return this.#events.length;
  }

  list(kind: string) {
    const prefix = kind === "pretraining" ? "ptjob" : "ftjob";
    return [...this.#jobs.values()].filter(({ id }) => id.startsWith(prefix)).reverse();
  }

  get(id: string) {
    return this.#jobs.get(id);
  }

  models() {
    if (this.options.empty) return [];
    const bases = ["smollm2-135m", "qwen2.5-0.5b", "llama-3.2-1b", WITHOUT_TEMPLATE];
    const results = [...this.#jobs.values()].map((job) => job.fine_tuned_model).filter(Boolean);
    return [...bases, ...results].map((id, i) => ({
      id,
      object: "model",
      created: 1_780_000_000 + i,
      owned_by: "local",
    }));
  }

  /** A model that an unfinished job trains stays. */
  deleteModel(id: string) {
    const user = this.#unfinished().find(({ model }) => model === id);
    if (user) {
      const message =
        `The model '${id}' is in use: ${user.id} trains it: cancel it or wait until it ends`;
      return {
        error: { message, type: "invalid_request_error", param: "model", code: "model_in_use" },
      };
    }
    const job = [...this.#jobs.values()].find((job) => job.fine_tuned_model === id)!;
    job.fine_tuned_model = null;
    return { id, object: "model", deleted: true };
  }

  unfinishedWith(file: string): string[] {
    return this.#unfinished().filter((job) => job.training_file === file).map(({ id }) => id);
  }

  #unfinished() {
    return [...this.#jobs.values()].filter(({ status }) => !FINAL.includes(status));
  }

  eventsOf(id: string) {
    return this.#events.filter((event) => event.job_id === id);
  }

  metricsOf(id: string) {
    const events = this.eventsOf(id);
    const metrics = events.filter(({ type }) => type === "metrics").map(({ data }) => data);
    return {
      object: "job.metrics",
      steps: metrics.filter((it) => it.train_loss !== undefined),
      evaluations: metrics.filter((it) => it.valid_loss !== undefined),
      refreshes: metrics.filter((it) => it.refreshed?.length)
        .map(({ step, refreshed }) => ({ step, parameters: refreshed })),
      samples: events.filter(({ data }) => data.kind === "sample").map(({ data }) => data),
      data: events.find(({ data }) => data.kind === "data")?.data ?? null,
      plan: events.find(({ data }) => data.kind === "plan")?.data ?? null,
    };
  }

  checkpointsOf(id: string) {
    return this.eventsOf(id).filter(({ data }) => data.kind === "checkpoint").reverse().slice(0, 2)
      .map(({ data, created_at }) => ({
        id: `ftckpt-${id}-${data.step}`,
        created_at,
        step_number: data.step,
        metrics: { step: data.step, train_loss: lossAt(data.step) },
        fine_tuned_model_checkpoint: `ft:smollm2-135m:poems:Ab12Cd34:ckpt-step-${data.step}`,
      }));
  }

  /** The first has the running job, of several processes where there are more than two. */
  workers(count: number) {
    const job = [...this.#jobs.values()].find(({ status }) => status === "running")?.id ?? null;
    return Array.from({ length: count }, (_, index) => ({
      object: "worker",
      id: index < 2 ? `server-${index + 1}` : `lab-${index - 1}`,
      card: CARD,
      job: index < (count > 2 ? 2 : 1) ? job : null,
    }));
  }

  /** The running job has two processes. */
  runOnTwo() {
    for (const job of this.#jobs.values()) {
      if (job.runs_on) job.runs_on.others = [{ worker: "server-2", card: CARD }];
    }
  }

  create(body: Record<string, unknown>, plan: FakePlan): Job {
    const job = this.#add({
      id: `ftjob-new${this.#jobs.size}`,
      status: "running",
      suffix: "",
      age: 0,
    });
    Object.assign(job, { plan, user_provided_suffix: body.suffix ?? null, model: body.model });
    this.#run(job, 0, 60);
    this.#keepRunning(job, 60);
    return job;
  }

  act(id: string, action: string): Job {
    const job = this.#jobs.get(id)!;
    job.error = null;
    job.status = action === "cancel" ? "cancelled" : action === "pause" ? "paused" : "running";
    job.status_reason = job.status_reason_code = null;
    this.#log(id, `Job ${job.status}`);
    return job;
  }

  async *follow(seq: number, stream: { readonly aborted: boolean }) {
    while (!this.#stopped && !stream.aborted) {
      const { promise } = this.#wake;
      yield* this.#events.slice(seq);
      seq = this.#events.length;
      await promise;
    }
  }

  stop() {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#wake.resolve();
  }

  /** Changes a job, and tells so. */
  change(id: string, changes: Partial<Job>): void {
    Object.assign(this.#jobs.get(id)!, changes);
    this.#log(id, "Changed");
  }

  #add({ id, status, suffix, age, error, turn, files = ["file-poems"] }: NewJob): Job {
    const plan = fakePlan({}) as FakePlan;
    const final = FINAL.includes(status);
    const job: Job = {
      object: "fine_tuning.job",
      id,
      status,
      created_at: this.#now() - age,
      finished_at: final ? this.#now() - age + 2400 : null,
      estimated_finish: null,
      model: "smollm2-135m",
      fine_tuned_model: status === "succeeded" ? `ft:smollm2-135m:${suffix}:Ab12Cd34` : null,
      user_provided_suffix: suffix || null,
      ...(id.startsWith("ptjob-")
        ? { training_files: files, validation_files: [] }
        : { training_file: files[0] ?? null, validation_file: null }),
      sequence: this.#jobs.size + 1,
      queue_turn: status === "queued" ? turn ?? this.#jobs.size + 1 : null,
      warnings: [],
      activity: null,
      best: null,
      stopped_early_at: null,
      seed: 42,
      trained_tokens: status === "succeeded" ? 2_457_600 : null,
      error: error ?? null,
      plan: { planned_peak_bytes: plan.planned_peak_bytes, by_purpose: plan.by_purpose },
      progress: null,
      preparation: null,
      status_reason: null,
      status_reason_code: null,
      runs_on: status === "running" ? { worker: "server-1", card: CARD, others: [] } : null,
      method: {
        type: "supervised",
        supervised: {
          hyperparameters: {
            optimizer: "q_galore_adamw8bit",
            epochs: 3,
            n_epochs: 3,
            batch_size: 4,
            learning_rate_multiplier: 1,
            lr: 1e-4,
            seq_len: 512,
            rank: 144,
            update_proj_gap: GAP,
            scheduler: "cosine",
            eval_share: 0.05,
            activation_checkpointing_every_n_layers_of_the_model: true,
          },
        },
      },
    };
    this.#jobs.set(id, job);
    this.#log(id, "Created fine-tuning job");
    return job;
  }

  #run(job: Job, steps: number, total: number) {
    const { planned_peak_bytes, by_purpose } = job.plan;
    job.warnings = WARNINGS.map((message) => ({ message, created_at: this.#now() }));
    this.#log(job.id, "Training 134515008 parameters", {
      kind: "plan",
      parameters: 134_515_008,
      trained_parameters: 134_515_008,
      steps: total,
      planned_peak_bytes,
      by_purpose,
      adapter: "an invented GPU",
    });
    this.#log(job.id, "Training on 940 of 1000 examples, 120000 tokens", {
      kind: "data",
      records: 1000,
      examples: 940,
      held_out: 48,
      unusable: 3,
      truncated: 2,
      tokens: 180_000,
      trained_tokens: 120_000,
      notes: ["fields ignored: id"],
      findings: [],
    });
    this.#event(job.id, "metrics", `Step 0/${total}: validation loss=3.9120`, {
      step: 0,
      total_steps: total,
      valid_loss: 3.912,
      valid_perplexity: Math.exp(3.912),
    });
    for (let step = 1; step <= steps; step++) this.#step(job, step, total);
  }

  #keepRunning(job: Job, total: number) {
    const timer = setInterval(() => {
      const step = (job.progress?.step ?? 0) + 1;
      if (job.status !== "running") return;
      this.#step(job, step, total);
      if (step < total) return;
      job.status = "succeeded";
      job.finished_at = this.#now();
      job.fine_tuned_model = `ft:${job.model}:${job.user_provided_suffix ?? ""}:Ef56Gh78`;
      this.#log(job.id, "The job has successfully completed");
      clearInterval(timer);
    }, this.options.pace);
    this.#timers.push(timer);
  }

  #step(job: Job, step: number, total: number) {
    job.progress = { step, total_steps: total };
    const every = total <= 100 ? 20 : 100;
    const evaluated = step % every === 0;
    const valid_loss = lossAt(step, 0) + 0.06;
    this.#event(
      job.id,
      "metrics",
      `Step ${step}/${total}: training loss=${lossAt(step).toFixed(4)}`,
      {
        step,
        total_steps: total,
        train_loss: lossAt(step),
        // One of an earlier version, which did not clip.
        ...(job.id !== "ftjob-done" && { grad_norm: 0.6 + 3 / step + 0.4 * noise(step + 3) }),
        lr: 1e-4 * Math.min(1, step / 36) * (0.55 + 0.45 * Math.cos(Math.PI * step / total)),
        tokens: step * 2048,
        tokens_per_second: 4100 + 260 * noise(step + 7) - (evaluated ? 900 : 0),
        step_ms: 490,
        gpu_bytes: 2.1 * 2 ** 30,
        gpu_peak_bytes: job.plan.planned_peak_bytes * (step < 4 ? 0.94 : 0.985),
        subspace_refreshes: 84,
        refreshed: refreshedAt(step),
        ...(evaluated ? { valid_loss, valid_perplexity: Math.exp(valid_loss) } : undefined),
      },
    );
    if (!evaluated) return;
    this.#log(job.id, `Checkpoint created at step ${step}`, { kind: "checkpoint", step });
    for (const prompt of ["Write two lines about the sea.", "What is a gradient?"]) {
      const text =
        `(step ${step}) The tide comes in with all it knows,\nand leaves a little where it goes.`;
      this.#log(job.id, `Sample at step ${step}`, { kind: "sample", step, prompt, text });
    }
    if (step === 300) {
      this.#event(
        job.id,
        "message",
        "3 examples are longer than 512 tokens and were cut",
        {},
        "warn",
      );
    }
  }

  #log(id: string, message: string, data = {}) {
    this.#event(id, "message", message, data);
  }

  #event(job_id: string, type: string, message: string, data: object, level = "info") {
    this.#events.push({
      id: `ftevent-${this.#events.length + 1}`,
      object: "fine_tuning.job.event",
      job_id,
      created_at: this.#now(),
      level,
      type,
      message,
      data,
    });
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers();
    resolve();
  }
}

function lossAt(step: number, jitter = 0.32) {
  return 1.42 + 2.5 * Math.exp(-step / 45) + 0.55 * Math.exp(-step / 420) + jitter * noise(step);
}
