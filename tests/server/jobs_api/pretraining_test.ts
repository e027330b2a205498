/** Pre-training jobs: from a preset, from a configuration, with a model's tokenizer. */
import { assert, assertEquals } from "@std/assert";
import { parseLlamaConfig } from "../../../src/formats/hf_config.ts";
import { trainingShape } from "../../../src/train/method.ts";
import { pretrainOptions } from "../../../src/train/options.ts";
import { planMemory } from "../../../src/train/plan.ts";
import { readBaseConfig } from "../../../src/formats/pretrained_model.ts";
import { trainingTask } from "../../../src/server/jobs/run_options.ts";
import { PRESETS } from "../../../src/model/config.ts";
import { withJobsApi } from "./support.ts";

Deno.test("pre-training: a preset, created, shown and listed", async () => {
  await withJobsApi({}, async ({ file, post, get, services }) => {
    const files = [file("pretrain"), file("pretrain")], held = file("pretrain");
    const { status, body } = await post("/v1/pretraining/jobs", {
      model: "llama_nano",
      training_files: files,
      validation_files: [held],
      suffix: "first",
      metadata: { a: "b" },
      hyperparameters: { steps: 20, batch_size: 2, seq_len: 64, optimizer: "adamw" },
    });
    assertEquals(status, 200, JSON.stringify(body));
    assertEquals(body.object, "pretraining.job");
    assert(/^ptjob-/.test(body.id));
    assertEquals(body.model, "llama_nano");
    assertEquals(body.training_files, files);
    assertEquals(body.validation_files, [held]);
    assertEquals(body.tokenizer, "bytes");
    assertEquals(body.user_provided_suffix, "first");
    assertEquals(body.seed, 42);
    assertEquals(body.hyperparameters.warmup_steps, 2);
    assertEquals(body.hyperparameters.lr, 0.001);
    assertEquals("rank" in body.hyperparameters, false);
    assertEquals((await get(`/v1/pretraining/jobs/${body.id}`)).body, body);
    assertEquals((await get("/v1/pretraining/jobs?metadata[a]=b")).body.data, [body]);
    assertEquals((await get("/v1/pretraining/jobs?metadata[a]=c")).body.data, []);
    assertEquals((await get("/v1/fine_tuning/jobs")).body.data, []);

    const { options } = services.store.jobs.get(body.id)!;
    assertEquals([options.model, options.tokenizer], ["llama_nano", "bytes"]);
    const run = pretrainOptions.parseUnknown({ ...options, data: ["d"], output: "o" });
    const plan = planMemory(
      PRESETS.llama_nano,
      trainingShape(run, PRESETS.llama_nano),
      services.device.capabilities,
    );
    assertEquals(body.plan, {
      planned_peak_bytes: plan.plannedPeakBytes,
      by_purpose: plan.byPurpose,
    });
  });
});

Deno.test("pre-training: a configuration of one's own, and a model's tokenizer", async () => {
  const model = {
    model_type: "qwen3",
    hidden_size: 64,
    intermediate_size: 96,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    num_hidden_layers: 2,
    vocab_size: 512,
    max_position_embeddings: 256,
  };
  await withJobsApi({}, async ({ file, post, services }) => {
    const { body } = await post("/v1/pretraining/jobs", {
      model,
      training_file: file("pretrain"),
      tokenizer: "tiny",
    });
    assertEquals(body.model, model);
    assertEquals(body.tokenizer, "tiny");
    const job = services.store.jobs.get(body.id)!;
    assertEquals(job.model, "qwen3");
    assertEquals(job.options.model, model);
    const config = parseLlamaConfig(model), options = { ...job.options, model: "./c", data: ["d"] };
    const shape = trainingShape(pretrainOptions.parse({ ...options, output: "o" }), config);
    assertEquals(
      body.plan.planned_peak_bytes,
      planMemory(config, shape, services.device.capabilities).plannedPeakBytes,
    );
    // A plan needs no file and is the same.
    const { body: plan } = await post("/v1/pretraining/plan", { model, tokenizer: "tiny" });
    assertEquals(plan.planned_peak_bytes, body.plan.planned_peak_bytes);
  });
});

Deno.test("pre-training: from the weights of a model", async () => {
  await withJobsApi({}, async ({ file, post, services }) => {
    const { status, body } = await post("/v1/pretraining/jobs", {
      from: "tiny",
      training_file: file("pretrain"),
      hyperparameters: { optimizer: "lora", lora_rank: 4, seq_len: 32 },
    });
    assertEquals(status, 200, JSON.stringify(body));
    assertEquals([body.model, body.from, body.tokenizer], ["tiny", "tiny", null]);
    assertEquals(body.hyperparameters.lr, 1e-4);
    const job = services.store.jobs.get(body.id)!;
    assertEquals([job.model, job.options.from, job.options.model], ["tiny", "tiny", undefined]);
    const { path } = await services.models.get("tiny"), config = await readBaseConfig(path);
    const options = pretrainOptions.parse({ ...job.options, from: path, data: ["d"], output: "o" });
    assertEquals(
      body.plan.planned_peak_bytes,
      planMemory(config, trainingShape(options, config), services.device.capabilities)
        .plannedPeakBytes,
    );
    const storage = {
      filePath: ({ id }: { id: string }) => `/files/${id}`,
      jobFolder: (id: string) => `/jobs/${id}`,
    };
    const places = { ...services, storage, file: (id: string) => ({ id, filename: `${id}.txt` }) };
    const { options: task, reads } = await trainingTask(job, places);
    assertEquals([task.from, task.model, task.tokenizer], [path, undefined, undefined]);
    assert(reads.includes(path));
    const { body: plan } = await post("/v1/pretraining/plan", {
      from: "tiny",
      tokenizer: "bytes",
      hyperparameters: { seq_len: 32 },
    });
    assert(plan.planned_peak_bytes > 0);
  });
});
