/** Results of a job: checkpoints and curves; and the OpenAPI document. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { finetuneOptions } from "../../../src/train/finetune_options.ts";
import { FINETUNE_METHODS } from "../../../src/train/method_fields.ts";
import { methodOf, rankOptionOf } from "../../../src/train/methods.ts";
import { pretrainOptions } from "../../../src/train/options.ts";
import { openApiDocument } from "../../../src/server/http/openapi.ts";
import { checkpointModelName, resultModelName } from "../../../src/server/protocol/job.ts";
import type { NewEvent } from "../../../src/server/store/records.ts";
import { type JobsApi, withJobsApi } from "./support.ts";

async function newJob({ post, file }: JobsApi): Promise<string> {
  const { body } = await post("/v1/fine_tuning/jobs", {
    model: "tiny",
    training_file: file(),
    suffix: "mine",
    hyperparameters: { seq_len: 64, batch_size: 2 },
  });
  return body.id;
}

Deno.test("checkpoints: as the official client reads them, page by page", async () => {
  await withJobsApi({}, async (api) => {
    const { client, services: { store } } = api;
    const id = await newJob(api), job = store.jobs.get(id)!;
    for (const step of [10, 20, 30]) {
      store.checkpoints.insert({
        id: `ftckpt-${step}`,
        jobId: id,
        step,
        createdAt: step,
        metrics: { train_loss: 1 / step },
      });
    }
    const found = [];
    for await (const each of client.fineTuning.jobs.checkpoints.list(id, { limit: 2 })) {
      found.push(each);
    }
    assertEquals(found.map(({ step_number }) => step_number), [30, 20, 10]);
    assertEquals(found[2], {
      object: "fine_tuning.job.checkpoint",
      id: "ftckpt-10",
      created_at: 10,
      step_number: 10,
      fine_tuned_model_checkpoint: `ft:tiny:mine:${id.slice(-8)}:ckpt-step-10`,
      fine_tuning_job_id: id,
      metrics: { step: 10, train_loss: 0.1 },
    });
    assertEquals(resultModelName(job), `ft:tiny:mine:${id.slice(-8)}`);
    assertEquals(checkpointModelName(job, 4), `ft:tiny:mine:${id.slice(-8)}:ckpt-step-4`);
  });
});

Deno.test("metrics: steps, evaluations, refreshes, samples and the plan", async () => {
  await withJobsApi({}, async (api) => {
    const { get, services: { store } } = api;
    const id = await newJob(api), path = `/v1/fine_tuning/jobs/${id}/metrics`;
    assertEquals((await get(path)).body, {
      object: "job.metrics",
      steps: [],
      evaluations: [],
      refreshes: [],
      samples: [],
      data: null,
      plan: null,
    });
    const tell = (key: string, type: NewEvent["type"], data: NewEvent["data"]) =>
      store.events.append(id, { key, level: "info", type, message: "", data }, 1);
    tell("plan", "message", { kind: "plan", steps: 100 });
    tell("data", "message", { kind: "data", examples: 9 });
    tell("eval:0", "metrics", { step: 0, valid_loss: 3, valid_perplexity: 20 });
    for (let step = 1; step <= 100; step++) {
      tell(`step:${step}`, "metrics", {
        step,
        total_steps: 100,
        train_loss: 1 / step,
        lr: 0.1,
        ...(step === 33 ? { refreshed: ["a.weight"] } : undefined),
        ...(step === 50 ? { valid_loss: 2, valid_perplexity: 7 } : undefined),
      });
    }
    tell("sample:50:0", "message", { kind: "sample", step: 50, prompt: "Hi", text: "there" });
    const { body } = await get(path);
    assertEquals(body.steps.length, 100);
    assertEquals(body.steps[0], { step: 1, total_steps: 100, train_loss: 1, lr: 0.1 });
    assertEquals(body.evaluations, [
      { step: 0, valid_loss: 3, valid_perplexity: 20 },
      { step: 50, valid_loss: 2, valid_perplexity: 7 },
    ]);
    assertEquals(body.refreshes, [{ step: 33, parameters: ["a.weight"] }]);
    assertEquals(body.samples, [{ step: 50, prompt: "Hi", text: "there" }]);
    assertEquals(body.plan, { kind: "plan", steps: 100 });
    assertEquals(body.data, { kind: "data", examples: 9 });

    const { body: thin } = await get(`${path}?max_points=5`);
    assert(thin.steps.length <= 8, String(thin.steps.length));
    assertEquals(thin.steps.at(-1).step, 100);
    assertEquals(thin.refreshes, body.refreshes);
    assertEquals(thin.evaluations, body.evaluations);
    assertEquals((await get(`${path}?max_points=1`)).status, 400);
  });
});

Deno.test("the document has every option that a request may set, described", async () => {
  await withJobsApi({}, async ({ app, get }) => {
    assertEquals((await get("/v1/fine_tuning/jobs")).status, 200);
    const { paths, components } = openApiDocument(app, {
      isPublic: () => false,
      open: () => false,
    });
    const schemas = components!.schemas as unknown as Record<string, {
      properties: Record<string, { description?: string; "x-default"?: unknown }>;
    }>;
    const decided = ["model", "data", "evalData", "output", "resume", "tokenizer", "seed"];
    for (
      const [name, { fields }] of [
        ["FineTuningHyperparameters", finetuneOptions],
        ["PretrainingHyperparameters", pretrainOptions],
      ] as const
    ) {
      const { properties } = schemas[name];
      for (const option of Object.keys(fields)) {
        const spelled = option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
        if (decided.includes(option)) assertEquals(spelled in properties, false, spelled);
      }
      for (const each of ["rank", "optimizer", "lr", "save_every", "sample_prompt"]) {
        assert(each in properties, `${name} has no ${each}`);
      }
      for (const [option, { description }] of Object.entries(properties)) {
        assert(description && !description.includes("--"), `${option}: ${description}`);
      }
    }
    const { lora_dropout, n_epochs, lr } = schemas.FineTuningHyperparameters.properties;
    assertEquals(lora_dropout["x-default"], 0);
    assertEquals(n_epochs["x-default"], "auto");
    assertMatch(lr.description!, /^peak learning rate; default: 0.0001 with q_galore_adamw8bit, /);
    // Each row of the table of methods, for whatever is made of the document.
    const { optimizer } = schemas.FineTuningHyperparameters.properties as Record<string, unknown>;
    assertEquals(
      (optimizer as { "x-methods": { name: string; title: string; rank_option?: string }[] })[
        "x-methods"
      ].map(({ name, title, rank_option }) => [name, title, rank_option]),
      FINETUNE_METHODS.map((name) => {
        const option = rankOptionOf(methodOf(name));
        return [name, methodOf(name).title, option === "loraRank" ? "lora_rank" : option];
      }),
    );
    for (const kind of ["fine_tuning", "pretraining"]) {
      const jobs = `/v1/${kind}/jobs`;
      for (const path of [jobs, `/v1/${kind}/plan`, `${jobs}/{id}`, `${jobs}/{id}/cancel`]) {
        assert(path in paths!, path);
      }
    }
    const ids = Object.values(paths!).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId!)
    );
    assertEquals(new Set(ids).size, ids.length);
  });
});
