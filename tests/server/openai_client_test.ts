/**
 * OpenAI's own client, unmodified, against a real server: from file upload to an answering model.
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import OpenAI, { toFile } from "openai";
import { Stream } from "openai";
import { writeChatModel } from "../inference/support.ts";
import { type TestServer, withServer } from "./support.ts";
import { until } from "./until.ts";

type Job = OpenAI.FineTuning.Jobs.FineTuningJob;
type JobEvent = OpenAI.FineTuning.Jobs.FineTuningJobEvent;

/** The tiny model memorises this in a few seconds. */
const DIALOGUE = [
  { role: "user" as const, content: "Which planet is red?" },
  { role: "assistant" as const, content: "Mars is." },
];
const EXAMPLES = Array.from({ length: 12 }, () => JSON.stringify({ messages: DIALOGUE }) + "\n");

/** Everything trained, in full precision: it has to learn, not to be small. */
const METHOD = {
  type: "supervised",
  supervised: {
    hyperparameters: {
      n_epochs: 40,
      batch_size: 2,
      optimizer: "adamw",
      dtype: "float32",
      lr: 0.01,
      seq_len: 64,
      train_embeddings: true,
      packing: false,
      eval_share: 0,
      save_every: 40,
      sample_prompt: [DIALOGUE[0].content],
      eval_every: 80,
    },
  },
} as unknown as OpenAI.FineTuning.JobCreateParams["method"];

/** With a model `tiny` among the models. */
function clientTest(name: string, use: (server: TestServer) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const model = await Deno.makeTempDir();
      try {
        await writeChatModel(model);
        await withServer({ models: { tiny: model } }, use);
      } finally {
        await Deno.remove(model, { recursive: true });
      }
    },
  });
}

function upload({ client }: TestServer) {
  return toFile(new TextEncoder().encode(EXAMPLES.join("")), "planets.jsonl")
    .then((file) => client.files.create({ file, purpose: "fine-tune" }));
}

function untilStatus({ client }: TestServer, id: string, status: Job["status"]): Promise<Job> {
  return until(`${id} is ${status}`, async () => {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (job.status === status) return job;
    assert(!["failed", "cancelled", "succeeded"].includes(job.status), JSON.stringify(job.error));
  });
}

/** Streams events up to the job's last. */
async function* follow({ client }: TestServer, id: string): AsyncGenerator<JobEvent> {
  yield* await client.get(`/fine_tuning/jobs/${id}/events`, {
    query: { stream: true },
    stream: true,
  }) as AsyncIterable<JobEvent>;
}

const stepOf = ({ data }: JobEvent) => (data as { step?: number }).step;
const stepsOf = (events: readonly JobEvent[]) =>
  events.filter(({ type, data }) => type === "metrics" && "train_loss" in (data as object))
    .map(stepOf);

clientTest(
  "upload, create, follow, checkpoints, models, and a chat with the result",
  async (server) => {
    const { client } = server;
    const file = await upload(server);
    assertEquals([file.object, file.purpose, file.status], ["file", "fine-tune", "processed"]);
    const job = await client.fineTuning.jobs.create({
      model: "tiny",
      training_file: file.id,
      suffix: "planets",
      seed: 7,
      method: METHOD,
      metadata: { team: "astronomy" },
    });
    assertEquals(job.object, "fine_tuning.job");
    assert(["validating_files", "queued", "running"].includes(job.status));
    assertEquals(job.fine_tuned_model, null);
    // In use, it stays.
    const refused = await assertRejects(() => client.files.delete(file.id), OpenAI.ConflictError);
    assertEquals(refused.code, "file_in_use");

    const events = await Array.fromAsync(follow(server, job.id));
    const steps = Array.from({ length: 240 }, (_, i) => i + 1);
    assertEquals(stepsOf(events), steps, "every step once, in order");
    assertEquals(new Set(events.map(({ id }) => id)).size, events.length);
    assertEquals(events.at(-1)!.message, "The job has successfully completed");
    const listed = await Array.fromAsync(client.fineTuning.jobs.listEvents(job.id, { limit: 50 }));
    assertEquals(listed.reverse().map(({ id }) => id), events.map(({ id }) => id));

    const done = await client.fineTuning.jobs.retrieve(job.id);
    assertEquals(done.status, "succeeded");
    assertEquals(done.fine_tuned_model, `ft:tiny:planets:${job.id.slice(-8)}`);
    assertEquals(done.seed, 7);
    assertEquals(done.metadata, { team: "astronomy" });
    assert(done.trained_tokens! > 0 && done.finished_at! >= done.created_at);
    const jobs = await Array.fromAsync(client.fineTuning.jobs.list());
    assertEquals(jobs.map(({ id }) => id), [job.id]);
    const curves = await (await client.files.content(done.result_files[0])).text();
    assertEquals(curves.trim().split("\n").length, 241);

    // Its run has left a report, with no more permissions than a run has.
    await Deno.stat(join(server.folder, "jobs", job.id, "report.html"));
    const page = await (await fetch(`${server.url}/v1/fine_tuning/jobs/${job.id}/report`)).text();
    assertStringIncludes(page, "240 of 240");
    assertStringIncludes(page, file.id);
    assert(!page.includes(server.folder) && !page.includes(server.modelsFolder), "names a path");

    const checkpoints = await Array.fromAsync(
      client.fineTuning.jobs.checkpoints.list(job.id, { limit: 1 }),
    );
    assertEquals(checkpoints.map(({ step_number }) => step_number), [240, 200]);
    const models = (await Array.fromAsync(client.models.list())).map(({ id }) => id);
    const checkpoint = checkpoints[1].fine_tuned_model_checkpoint;
    for (const name of ["tiny", done.fine_tuned_model!, checkpoint]) {
      assert(models.includes(name), `${name} is not among ${models.join(", ")}`);
    }

    const ask = { messages: DIALOGUE.slice(0, 1), temperature: 0, max_tokens: 16 };
    const answer = await client.chat.completions.create({ ...ask, model: done.fine_tuned_model! });
    assertEquals(answer.choices[0].message.content, DIALOGUE[1].content);
    assertEquals(answer.choices[0].finish_reason, "stop");
    const stream = await client.chat.completions.create({
      ...ask,
      model: checkpoint,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "", used = 0;
    for await (const { choices, usage } of stream) {
      text += choices[0]?.delta.content ?? "";
      used += usage?.completion_tokens ?? 0;
    }
    assertEquals(text, DIALOGUE[1].content, "of a checkpoint, streamed");
    assert(used > 0);
    const samples = events.filter(({ data }) => (data as { kind?: string }).kind === "sample");
    assertEquals((samples.at(-1)!.data as { text: string }).text, DIALOGUE[1].content);

    assertEquals((await client.models.delete(done.fine_tuned_model!)).deleted, true);
    await assertRejects(
      () => client.chat.completions.create({ ...ask, model: done.fine_tuned_model! }),
      OpenAI.NotFoundError,
      "does not exist",
    );
    assertEquals((await client.files.delete(file.id)).deleted, true);
  },
);

clientTest(
  "pause, resume, cancel, and a stream that is taken up where it broke",
  async (server) => {
    const { client, url } = server;
    const file = await upload(server);
    const job = await client.fineTuning.jobs.create({
      model: "tiny",
      training_file: file.id,
      method: METHOD,
    });
    const early: JobEvent[] = [];
    for await (const event of follow(server, job.id)) {
      early.push(event);
      if (stepOf(event)! >= 5) break;
    }
    await client.fineTuning.jobs.pause(job.id);
    await untilStatus(server, job.id, "paused" as Job["status"]);
    const [newest] = (await client.fineTuning.jobs.checkpoints.list(job.id)).data;
    const paused = newest.step_number;
    assert(paused >= 5 && paused < 240, `paused at ${paused}`);
    await client.fineTuning.jobs.resume(job.id);

    // Resumes like EventSource, by the number of the last event.
    const last = early.at(-1)!.id.replace("ftevent-", "");
    const response = await fetch(`${url}/v1/fine_tuning/jobs/${job.id}/events?stream=true`, {
      headers: { "last-event-id": last },
    });
    const late: JobEvent[] = [];
    for await (const event of Stream.fromSSEResponse<JobEvent>(response, new AbortController())) {
      late.push(event);
      if (stepOf(event)! > paused + 3) break;
    }
    const both = [...early, ...late];
    assertEquals(new Set(both.map(({ id }) => id)).size, both.length, "none came twice");
    const steps = stepsOf(both);
    assertEquals(steps, Array.from({ length: steps.length }, (_, i) => i + 1), "none was lost");

    const cancelled = await client.fineTuning.jobs.cancel(job.id);
    assertEquals(cancelled.id, job.id);
    for (;;) {
      const { status } = await client.fineTuning.jobs.retrieve(job.id);
      if (status === "cancelled") break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const error = await assertRejects(
      () => client.fineTuning.jobs.resume(job.id),
      OpenAI.BadRequestError,
      "its status is cancelled",
    );
    assertEquals(error.code, "invalid_job_status");
  },
);
