/** Fine-tuning jobs with the official client, over the routes only. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import OpenAI from "openai";
import { finetuneOptions } from "../../../src/train/finetune_options.ts";
import { resolveConfig, trainingShape } from "../../../src/train/method.ts";
import { planMemory } from "../../../src/train/plan.ts";
import { ownPlaces } from "../../../src/server/jobs/slots.ts";
import { jobEvent } from "../../../src/server/jobs/job_events.ts";
import type { NewEvent } from "../../../src/server/store/records.ts";
import type { EvalEvent, Summary } from "../../../src/train/events.ts";
import { withJobsApi } from "./support.ts";

/** The model has 256 positions, a quarter of its width of 32 is a rank of 8. */
const SMALL = { seq_len: 64, batch_size: 2 };

Deno.test("fine-tuning: created, retrieved and listed by the official client", async () => {
  await withJobsApi({}, async ({ client, file, services }) => {
    const training_file = file(), validation_file = file();
    const job = await client.fineTuning.jobs.create({
      model: "tiny",
      training_file,
      validation_file,
      suffix: "mine-1",
      seed: 7,
      metadata: { project: "demo" },
      method: {
        type: "supervised",
        supervised: {
          hyperparameters: { ...SMALL, n_epochs: 2, learning_rate_multiplier: 3 },
        },
      },
    });
    assertEquals(job.object, "fine_tuning.job");
    assert(/^ftjob-[A-Za-z0-9]{24}$/.test(job.id));
    assertEquals(job.status, "queued");
    assertEquals(job.model, "tiny");
    assertEquals(job.training_file, training_file);
    assertEquals(job.validation_file, validation_file);
    assertEquals(job.hyperparameters, {
      n_epochs: 2,
      batch_size: 2,
      learning_rate_multiplier: 3,
    });
    assertEquals(job.seed, 7);
    assertEquals(job.metadata, { project: "demo" });
    assertEquals(job.error, null);
    assertEquals(job.fine_tuned_model, null);
    assertEquals(job.finished_at, null);
    assertEquals(job.trained_tokens, null);
    assertEquals(job.result_files, []);
    assertEquals(job.integrations, []);
    const resolved = job.method!.supervised!.hyperparameters as Record<string, unknown>;
    assertEquals(resolved.optimizer, "q_galore_adamw8bit");
    assertEquals(resolved.rank, 8);
    assertEquals(resolved.epochs, 2);
    assertEquals(resolved.n_epochs, 2);
    // Q-GaLore's rate of 1e-4, three times.
    assertEquals((resolved.lr as number).toFixed(6), "0.000300");
    assertEquals("lora_rank" in resolved, false);

    assertEquals(await client.fineTuning.jobs.retrieve(job.id), job);

    const stored = services.store.jobs.get(job.id)!;
    assertEquals(stored.trainingFiles, [training_file]);
    assertEquals(stored.validationFiles, [validation_file]);
    assertEquals(stored.options.seqLen, 64);
    assertEquals(stored.options.epochs, 2);
    assertEquals(stored.options.seed, 7);
    for (const path of ["model", "data", "evalData", "output", "tokenizer", "resume"]) {
      assertEquals(path in stored.options, false);
    }
    // The stored options are valid for the run.
    const run = finetuneOptions.parse({ ...stored.options, model: "m", data: ["d"], output: "o" });
    assertEquals(run.lr, resolved.lr);
  });
});

Deno.test("fine-tuning: pages and the metadata filter of the official client", async () => {
  await withJobsApi({}, async ({ client, file }) => {
    const training_file = file(), ids: string[] = [];
    for (const project of ["a", "b", "a", "a"]) {
      const { id } = await client.fineTuning.jobs.create({
        model: "tiny",
        training_file,
        metadata: { project },
        hyperparameters: SMALL as OpenAI.FineTuning.JobCreateParams.Hyperparameters,
      });
      ids.unshift(id);
    }
    const all: string[] = [];
    for await (const { id } of client.fineTuning.jobs.list({ limit: 3 })) all.push(id);
    assertEquals(all, ids);
    const page = await client.fineTuning.jobs.list({ limit: 2, metadata: { project: "a" } });
    assertEquals(page.data.map(({ id }) => id), [ids[0], ids[1]]);
    assertEquals(page.has_more, true);
    const next = await page.getNextPage();
    assertEquals(next.data.map(({ id }) => id), [ids[3]]);
  });
});

Deno.test("fine-tuning: jobs without metadata, as the API and its client ask for them", async () => {
  await withJobsApi({}, async ({ client, file, get }) => {
    const job = { model: "tiny", training_file: file(), hyperparameters: SMALL };
    const create = (metadata?: Record<string, string>) =>
      client.fineTuning.jobs.create({ ...job, metadata } as OpenAI.FineTuning.JobCreateParams);
    await create({ project: "a" });
    const { id } = await create();
    const found = await client.fineTuning.jobs.list({ metadata: null });
    assertEquals(found.data.map(({ id }) => id), [id]);
    const { status, body } = await get("/v1/fine_tuning/jobs?metadata=null&limit=5");
    assertEquals([status, body.data.length], [200, 1]);
    assertEquals((await get("/v1/fine_tuning/jobs?metadata=x")).status, 400);
  });
});

Deno.test("fine-tuning: a method without hyperparameters leaves them to their older place", async () => {
  await withJobsApi({}, async ({ file, post }) => {
    const job = { model: "tiny", training_file: file() };
    const create = async (fields: object) =>
      (await post("/v1/fine_tuning/jobs", { ...job, ...fields })).body;
    const hyperparameters = { seq_len: 64, n_epochs: 2 };
    const supervised = { hyperparameters };
    for (
      const method of [
        undefined,
        { type: "supervised" },
        { type: "supervised", supervised: null },
        { type: "supervised", supervised: {} },
        { type: "supervised", supervised: { hyperparameters: {} } },
        { type: "supervised", supervised },
      ]
    ) {
      const { hyperparameters: shown } = await create({ method, hyperparameters });
      assertEquals(shown?.n_epochs, 2, JSON.stringify(method));
    }
    const nested = await create({
      method: { type: "supervised", supervised },
      hyperparameters: {},
    });
    assertEquals(nested.hyperparameters.n_epochs, 2);
    const { error } = await create({
      method: { type: "supervised" },
      hyperparameters: { seq_len: 64, n_epochs: -1 },
    });
    assertEquals(error.param, "hyperparameters.n_epochs");
  });
});

Deno.test("fine-tuning: cancel, pause and resume; what is unknown is a 404", async () => {
  await withJobsApi({}, async ({ client, file, post, get }) => {
    const { id } = await client.fineTuning.jobs.create({
      model: "tiny",
      training_file: file(),
      hyperparameters: SMALL as OpenAI.FineTuning.JobCreateParams.Hyperparameters,
    });
    assertEquals((await client.fineTuning.jobs.pause(id)).status as string, "paused");
    assertEquals((await client.fineTuning.jobs.resume(id)).status, "queued");
    assertEquals((await client.fineTuning.jobs.cancel(id)).status, "cancelled");
    const gone = "ftjob-AAAAAAAAAAAAAAAAAAAAAAAA";
    await assertRejects(() => client.fineTuning.jobs.retrieve(gone), OpenAI.NotFoundError);
    for (const action of ["cancel", "pause", "resume"]) {
      const { status, body } = await post(`/v1/fine_tuning/jobs/${gone}/${action}`, {});
      assertEquals([status, body.error.message], [404, `No such fine-tuning job: ${gone}`]);
    }
    // A job has only the routes of its kind.
    for (const path of ["", "/checkpoints", "/metrics"]) {
      const { status, body } = await get(`/v1/pretraining/jobs/${id}${path}`);
      assertEquals([status, body.error.message], [404, `No such pre-training job: ${id}`]);
    }
  });
});

Deno.test("jobs of both kinds say their order of creation and of the queue", async () => {
  await withJobsApi({}, async ({ file, post }) => {
    const finetuning = { model: "tiny", training_file: file(), hyperparameters: SMALL };
    const pretraining = {
      model: "llama_nano",
      training_files: [file("pretrain")],
      tokenizer: "bytes",
      hyperparameters: { ...SMALL, steps: 3 },
    };
    const jobs = "/v1/fine_tuning/jobs";
    const first = (await post(jobs, finetuning)).body;
    const second = (await post("/v1/pretraining/jobs", pretraining)).body;
    const third = (await post(jobs, finetuning)).body;
    const order = [first, second, third].map(({ sequence }) => sequence);
    assertEquals(order, order.toSorted((a, b) => a - b));
    assert(first.queue_turn < second.queue_turn && second.queue_turn < third.queue_turn);
    const paused = (await post(`${jobs}/${first.id}/pause`, {})).body;
    assertEquals([paused.queue_turn, paused.sequence], [null, first.sequence]);
  });
});

Deno.test("fine-tuning: progress, preparation, reason and error of a job", async () => {
  await withJobsApi({}, async ({ client, file, services: { store }, get }) => {
    const { id } = await client.fineTuning.jobs.create({
      model: "tiny",
      training_file: file(),
      hyperparameters: SMALL as OpenAI.FineTuning.JobCreateParams.Hyperparameters,
    });
    const shown = async () => (await get(`/v1/fine_tuning/jobs/${id}`)).body;
    assertEquals((await shown()).progress, null);
    store.jobs.update(id, { status: "running" });
    assertEquals((await shown()).preparation, { what: "loading weights", share: 0.5 });
    const metrics = { step: 4, total_steps: 9, train_loss: 2 };
    store.events.append(
      id,
      { key: "step:4", level: "info", type: "metrics", message: "", data: metrics },
      1,
    );
    assertEquals((await shown()).progress, { step: 4, total_steps: 9 });
    assertEquals((await shown()).activity, { phase: "evaluating", step: 4, done: 2 });
    store.jobs.update(id, { status: "paused", reason: "the disk is full" });
    assertEquals((await shown()).status_reason, "the disk is full");
    const error = { code: "training_failed", message: "it broke" };
    store.jobs.update(id, { status: "failed", error, finishedAt: 5 });
    assertEquals((await shown()).error, { ...error, param: null });
    assertEquals((await shown()).finished_at, 5);
  });
});

Deno.test("fine-tuning: a job's warnings, its best step and where it stopped early", async () => {
  await withJobsApi({}, async ({ post, file, services: { store }, get }) => {
    const create = async (chosen: object) => {
      const supervised = { hyperparameters: { seq_len: 64, ...chosen } };
      const method = { type: "supervised", supervised };
      const job = { model: "tiny", training_file: file(), method };
      return (await post("/v1/fine_tuning/jobs", job)).body.id as string;
    };
    const id = await create({ early_stopping_patience: 2, eval_every: 2 });
    const other = await create({});
    const shown = async (id: string) => (await get(`/v1/fine_tuning/jobs/${id}`)).body;
    const untouched = await shown(id);
    assertEquals([untouched.best, untouched.warnings], [null, []]);
    assertEquals([untouched.activity, untouched.stopped_early_at], [null, null]);
    const append = (id: string, event: NewEvent | undefined) => store.events.append(id, event!, 7);
    for (const each of [id, other]) {
      append(each, jobEvent({ type: "warning", message: "20 of 36 examples were cut" }, 9));
      const losses = [1, 3, 2, 2.5, 2];
      for (const [at, eval_loss] of losses.entries()) {
        const evaluation = { type: "eval", step: 2 * at, eval_loss, eval_perplexity: 9, tokens: 5 };
        append(each, jobEvent(evaluation as EvalEvent, 9));
      }
    }
    const summary = { stopped_early_at: 8, best_step: 4, best_eval_loss: 2 } as Summary;
    const done = jobEvent({ type: "done", interrupted: false, step: 8, saved: {}, summary }, 9)!;
    assertEquals(
      done.message,
      "Early stopping ended the run at step 8, whose best step is 4 (validation loss=2.0000)",
    );
    append(id, done);
    const stopped = await shown(id);
    assertEquals(stopped.warnings, [{ message: "20 of 36 examples were cut", created_at: 7 }]);
    // An evaluation before the first step chooses no model.
    assertEquals([stopped.best, stopped.stopped_early_at], [{ step: 4, valid_loss: 2 }, 8]);
    assertEquals((await shown(other)).best, null);
  });
});

Deno.test("fine-tuning: the plan equals the command line's, and creates nothing", async () => {
  await withJobsApi({}, async ({ post, services }) => {
    const { body } = await post("/v1/fine_tuning/plan", {
      model: "tiny",
      method: {
        type: "supervised",
        supervised: { hyperparameters: { ...SMALL, optimizer: "lora", lora_rank: 16 } },
      },
    });
    const { path } = await services.models.get("tiny");
    const options = finetuneOptions.parse({
      model: path,
      data: ["-"],
      output: "-",
      seqLen: 64,
      batchSize: 2,
      optimizer: "lora",
      loraRank: 16,
    });
    const config = await resolveConfig(path);
    const plan = planMemory(config, trainingShape(options, config), services.device.capabilities);
    assertEquals(body.object, "plan");
    assertEquals(body.planned_peak_bytes, plan.plannedPeakBytes);
    assertEquals(body.by_purpose, plan.byPurpose);
    assertEquals(body.limit, 8 * 2 ** 30);
    assertEquals(body.fits, true);
    assertEquals(body.alternatives, []);
    const [{ change, bytes }] = body.largest_batches;
    const hyperparameters = { optimizer: "lora", lora_rank: 16, ...change };
    const { body: largest } = await post("/v1/fine_tuning/plan", {
      model: "tiny",
      hyperparameters,
    });
    assertEquals([largest.fits, largest.planned_peak_bytes], [true, bytes]);
    // Adapters and their two moments in float32.
    assertEquals(body.checkpoint_bytes, 3 * body.result_bytes);
    assertEquals(body.hyperparameters.lora_alpha, 32);
    assertEquals(services.store.jobs.list({ kind: "fine_tuning", limit: 9 }).data, []);
  });
});

Deno.test("fine-tuning: what does not fit is refused with the plan and what would fit", async () => {
  const request = {
    model: "tiny",
    hyperparameters: { seq_len: 256, batch_size: 64, optimizer: "adamw" },
  };
  // 64 MiB, without the blocks of a card's driver
  await withJobsApi({ options: { gpuMemory: 1 / 16 }, software: true }, async ({ post, file }) => {
    const { body: plan } = await post("/v1/fine_tuning/plan", request);
    assertEquals(plan.fits, false);
    assert(plan.planned_peak_bytes > plan.limit);
    const [first] = plan.alternatives;
    assertEquals(first.change.activation_checkpointing, true);
    assert(first.bytes <= plan.limit);
    // Each alternative fits, with the predicted bytes.
    const { body: smaller } = await post("/v1/fine_tuning/plan", {
      ...request,
      hyperparameters: { ...request.hyperparameters, ...first.change },
    });
    assertEquals([smaller.fits, smaller.planned_peak_bytes], [true, first.bytes]);
    const { body: larger } = await post("/v1/fine_tuning/plan", {
      ...request,
      hyperparameters: {
        ...request.hyperparameters,
        ...first.change,
        batch_size: first.change.batch_size + 1,
      },
    });
    assertEquals(larger.fits, false);

    const refused = await post("/v1/fine_tuning/jobs", { ...request, training_file: file() });
    assertEquals([refused.status, refused.body.error.code], [400, "insufficient_gpu_memory"]);
    const { message } = refused.body.error;
    assert(/^this job needs \d+\.\d+ MiB of GPU memory \(.*activations /.test(message), message);
    assert(
      message.includes(
        "64.00 MiB available; these settings fit: activation_checkpointing: true, " +
          `batch_size: ${first.change.batch_size} (`,
      ),
      message,
    );
  });
  const buffer = { seq_len: 256, batch_size: 65_536, optimizer: "adamw" };
  await withJobsApi({ options: {}, software: false }, async ({ post, file }) => {
    const { body: { error } } = await post("/v1/fine_tuning/jobs", {
      model: "tiny",
      training_file: file(),
      hyperparameters: buffer,
    });
    assertEquals(error.code, "insufficient_gpu_memory");
    assert(/needs one buffer of .* GiB, this GPU allows 1\.000 GiB/.test(error.message));
  });
  await withJobsApi({ freeDisk: 1000 }, async ({ post, file }) => {
    const { body: { error } } = await post("/v1/fine_tuning/jobs", {
      model: "tiny",
      training_file: file(),
      hyperparameters: SMALL,
    });
    assertEquals(error.code, "insufficient_storage");
    assert(
      /needs .* of disk \(3 checkpoints of .* KiB and a result of .* are free/.test(
        error.message,
      ),
      error.message,
    );
  });
});

Deno.test("fine-tuning: the workers of a card share its memory", async () => {
  const cards = [{ name: "a", environment: { CARD: "0" } }, {
    name: "b",
    environment: { CARD: "1" },
  }];
  const limits = [[0, cards], [1, []], [2, []], [2, cards], [3, cards]] as const;
  for (const [index, expected] of [8, 8, 4, 8, 4].entries()) {
    const [count, dealt] = limits[index], own = ownPlaces(count, "a", dealt);
    await withJobsApi({ own, options: { gpuMemory: 8 } }, async ({ post }) => {
      const request = { model: "tiny", hyperparameters: SMALL };
      const { body } = await post("/v1/fine_tuning/plan", request);
      assertEquals(body.limit, expected * 2 ** 30);
    });
  }
});

Deno.test("fine-tuning: without a limit that is known everything is taken", async () => {
  await withJobsApi({ options: { gpuMemory: undefined }, software: false }, async ({ post }) => {
    const { body } = await post("/v1/fine_tuning/plan", { model: "tiny", hyperparameters: SMALL });
    assertEquals([body.limit, body.fits], [null, true]);
  });
  await withJobsApi({ options: { gpuMemory: undefined }, software: true }, async ({ post }) => {
    const { body } = await post("/v1/fine_tuning/plan", { model: "tiny", hyperparameters: SMALL });
    assert(body.limit > 0 && body.limit <= Deno.systemMemoryInfo().total);
  });
});
