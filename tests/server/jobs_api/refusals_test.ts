/** Every refusal of a request for a job: status, field and message. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DiskError } from "../../../src/files/disk_error.ts";
import type { ModelRecord } from "../../../src/server/services.ts";
import { FINETUNE_METHODS } from "../../../src/train/method_fields.ts";
import { writeChatModel } from "../../inference/support.ts";
import { withJobsApi } from "./support.ts";

const DEEP = "method.supervised.hyperparameters";
const method = (hyperparameters: Record<string, unknown>) => ({
  method: { type: "supervised", supervised: { hyperparameters } },
});

Deno.test("fine-tuning: refused hyperparameters are named as the request names them", async () => {
  await withJobsApi({}, async ({ file, post, services }) => {
    const training_file = file();
    const cases: [Record<string, unknown>, string, string][] = [
      [
        method({ rank: 0 }),
        `${DEEP}.rank`,
        `${DEEP}.rank: must be at least 1, got 0`,
      ],
      [
        { hyperparameters: { lora_rnk: 3 } },
        "hyperparameters.lora_rnk",
        "hyperparameters.lora_rnk: unknown hyperparameter (did you mean lora_rank?)",
      ],
      [
        method({ batchSize: 3 }),
        `${DEEP}.batchSize`,
        `${DEEP}.batchSize: unknown hyperparameter (did you mean batch_size?)`,
      ],
      [
        method({ n_epochs: 2, epochs: 3 }),
        `${DEEP}.epochs`,
        `${DEEP}.epochs: means the same as n_epochs: keep only one`,
      ],
      [
        method({ learning_rate_multiplier: 2, lr: 0.1 }),
        `${DEEP}.learning_rate_multiplier`,
        `${DEEP}.learning_rate_multiplier: means the same as lr: keep only one`,
      ],
      [
        method({ optimizer: "lora", n_epochs: -1 }),
        `${DEEP}.n_epochs`,
        `${DEEP}.n_epochs: must be greater than 0, got -1`,
      ],
      [
        method({ learning_rate_multiplier: "fast" }),
        `${DEEP}.learning_rate_multiplier`,
        `${DEEP}.learning_rate_multiplier: must be above 0 or auto, got fast`,
      ],
      [
        method({ optimizer: "sgd", dtype: 4 }),
        `${DEEP}.dtype`,
        `${DEEP}.dtype: must be one of bfloat16, float32, got 4; ${DEEP}.optimizer: must be one ` +
        `of ${FINETUNE_METHODS.join(", ")}, galore_adamw_8bit, got sgd`,
      ],
      [
        method({ optimizer: "adamw", rank: 4, lora_rank: 8 }),
        `${DEEP}.rank`,
        `${DEEP}.rank: needs the optimizer q_galore_adamw8bit or galore_adamw or ` +
        `galore_adamw8bit or apollo or apollo_mini or q_apollo or q_apollo_mini or low_rank, got adamw; ${DEEP}.lora_rank: needs the optimizer ` +
        "lora or qlora or relora, got " +
        "adamw",
      ],
      [
        method({ energy_share: 0.5 }),
        `${DEEP}.energy_share`,
        `${DEEP}.energy_share: needs rank: "auto"`,
      ],
      [
        method({ output: "/etc", model: "/etc/passwd" }),
        `${DEEP}.output`,
        `${DEEP}.output: is not a hyperparameter: the server sets it; ${DEEP}.model: is not a ` +
        "hyperparameter: the server sets it",
      ],
      [
        method({ seed: 4 }),
        "seed",
        "seed: is a field of the request itself, next to model",
      ],
      [
        method({ template: "/etc/passwd" }),
        `${DEEP}.template`,
        `${DEEP}.template: must be one of default, alpaca, chatml, gemma, llama2, llama3, ` +
        "mistral, qwen, vicuna, zephyr, got /etc/passwd",
      ],
      [
        method({ seq_len: 512 }),
        `${DEEP}.seq_len`,
        `${DEEP}.seq_len: must be at most 256, the positions of tiny, got 512`,
      ],
      [
        { ...method({ rank: 4 }), hyperparameters: { rank: 8 } },
        "hyperparameters",
        `hyperparameters: differs from ${DEEP}: keep only that, the other is deprecated`,
      ],
    ];
    for (const [body, param, message] of cases) {
      const answer = await post("/v1/fine_tuning/jobs", { model: "tiny", training_file, ...body });
      assertEquals([answer.status, answer.body.error.message], [400, message]);
      assertEquals(answer.body.error.param, param);
      assertEquals(answer.body.error.type, "invalid_request_error");
      assertEquals(answer.body.error.code !== null, true);
    }
    assertEquals(services.store.jobs.list({ kind: "fine_tuning", limit: 9 }).data, []);
  });
});

Deno.test("fine-tuning: refused requests say which field", async () => {
  const broken = await Deno.makeTempDir();
  const models: ModelRecord[] = [
    { name: "ft:tiny::adapter", kind: "result", createdAt: 0, path: "/", adapter: "/adapter" },
    { name: "broken", kind: "base", createdAt: 0, path: broken },
    { name: "tied", kind: "base", createdAt: 0, path: await tiedModel() },
  ];
  const missing = "file-AAAAAAAAAAAAAAAAAAAAAAAA";
  await withJobsApi({ models }, async ({ file, post }) => {
    const text = file("pretrain");
    const cases: [Record<string, unknown>, number, string, RegExp][] = [
      [{ model: undefined }, 400, "model", /^model: /],
      [{ model: "nobody" }, 404, "model", /`nobody` does not exist/],
      [{ model: "../tiny" }, 404, "model", /does not exist/],
      [{ model: "ft:tiny::adapter" }, 400, "model", /is an adapter.*merge it with its model first/],
      [{ model: "broken" }, 400, "model", /broken\/config.json: cannot be read/],
      [
        { model: "tied", hyperparameters: { seq_len: 64, offload_embedding: true } },
        400,
        "hyperparameters.offload_embedding",
        /^hyperparameters.offload_embedding: this model's embedding is its head as well.*embedding4bit/,
      ],
      [{ training_file: undefined }, 400, "training_file", /^training_file: /],
      [{ training_file: missing }, 404, "training_file", /^No such file: file-A/],
      [{ validation_file: missing }, 404, "validation_file", /^No such file: file-A/],
      [
        { training_file: text },
        400,
        "training_file",
        /has the purpose "pretrain", this job needs files with the purpose "fine-tune"/,
      ],
      [{ suffix: "a/b" }, 400, "suffix", /^suffix: must be letters, digits, - and _/],
      [{ suffix: "a".repeat(65) }, 400, "suffix", /^suffix: /],
      [{ seed: -1 }, 400, "seed", /^seed: /],
      [{ metadata: { key: 4 } }, 400, "metadata.key", /^metadata.key: /],
      [
        { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, ""])) },
        400,
        "metadata",
        /^metadata: must have at most 16 pairs/,
      ],
      [
        { integrations: [{ type: "wandb", wandb: { project: "p" } }] },
        400,
        "integrations",
        /^integrations: must be empty: this server has no integrations/,
      ],
      [
        { method: { type: "dpo" } },
        400,
        "method.type",
        /^method.type: must be "supervised", the only supported method, got "dpo"/,
      ],
    ];
    for (const [change, status, param, message] of cases) {
      const body = { model: "tiny", training_file: file(), hyperparameters: { seq_len: 64 } };
      const answer = await post("/v1/fine_tuning/jobs", { ...body, ...change });
      const { error } = answer.body;
      assertEquals([answer.status, error.param], [status, param], error.message);
      assert(message.test(error.message), error.message);
      assert(!error.message.includes(broken), "tells where things lie");
    }
    const { status, body } = await post("/v1/fine_tuning/jobs", {
      model: "tiny",
      training_file: file(),
      n_epochs: 3,
    });
    assertEquals([status, body.error.message], [400, 'Unrecognized key: "n_epochs"']);
  });
  await Deno.remove(broken);
});

/** A pre-training request for the weights of a model. */
const FROM = { model: undefined, from: "tiny" };

Deno.test("pre-training: refused requests say which field", async () => {
  const config = { model_type: "llama", hidden_size: 64, intermediate_size: 96 };
  const whole = { ...config, num_attention_heads: 4, num_hidden_layers: 2, vocab_size: 300 };
  await withJobsApi({}, async ({ file, post }) => {
    const cases: [Record<string, unknown>, number, string, RegExp][] = [
      [{ model: "llama_9n" }, 400, "model", /one of llama_nano, .*\(did you mean llama_9m\?\)/],
      [{ model: "/etc/passwd" }, 400, "model", /one of llama_nano, .* got \/etc\/passwd/],
      [{ model: 4 }, 400, "model", /must be the name of a preset, or a configuration/],
      [{ from: "tiny" }, 400, "model", /from random weights, from from those of a model/],
      [{ model: undefined }, 400, "model", /is required, or from/],
      [{ ...FROM, from: "nobody" }, 404, "model", /`nobody` does not exist/],
      [{ ...FROM, from: "/etc/passwd" }, 404, "model", /does not exist/],
      [
        { ...FROM, hyperparameters: { seq_len: 1e6 } },
        400,
        "hyperparameters.seq_len",
        /seq_len: 1000000 exceeds the \d+ positions of tiny/,
      ],
      [
        { hyperparameters: { optimizer: "qlora" } },
        400,
        "hyperparameters.optimizer",
        /adapters beside the weights of a model, which `?from`? names/,
      ],
      [{ hyperparameters: { from: "x" } }, 400, "hyperparameters.from", /the server sets it/],
      [{ model: config }, 400, "model", /num_attention_heads/],
      [{ model: { ...whole, num_hidden_layers: 1e6 } }, 400, "model", /must be at most 128/],
      [{ model: { ...whole, vocab_size: 16 } }, 400, "model", /tokenizer bytes has 257 ids/],
      [
        { model: { ...whole, max_position_embeddings: 64 } },
        400,
        "model",
        /seq_len: 256 exceeds the 64 positions of /,
      ],
      [{ training_files: undefined }, 400, "training_files", /is required/],
      [{ training_files: [] }, 400, "training_files", /is required/],
      [{ training_file: "file-x" }, 400, "training_file", /means the same as training_files/],
      [{ training_files: [file()] }, 400, "training_files", /has the purpose "fine-tune"/],
      [{ tokenizer: "nobody" }, 404, "model", /`nobody` does not exist/],
      [{ tokenizer: "/etc/passwd" }, 404, "model", /does not exist/],
      [{ hyperparameters: { n_epochs: 3 } }, 400, "hyperparameters.n_epochs", /unknown/],
      [
        { hyperparameters: { warmup_steps: 9, steps: 5 } },
        400,
        "hyperparameters.warmup_steps",
        /must be at most the run's 5 steps, got 9/,
      ],
      [
        { hyperparameters: { tokenizer: "/etc/passwd" } },
        400,
        "hyperparameters.tokenizer",
        /the server sets it/,
      ],
    ];
    for (const [change, status, param, message] of cases) {
      const body = { model: "llama_nano", training_files: [file("pretrain")], ...change };
      const answer = await post("/v1/pretraining/jobs", body);
      const { error } = answer.body;
      assertEquals([answer.status, error.param], [status, param], error.message);
      assert(message.test(error.message), error.message);
    }
  });
});

Deno.test("plans of absurd numbers are answered like any other", async () => {
  await withJobsApi({}, async ({ post }) => {
    for (const name of ["batch_size", "weight_group_size", "proj_group_size", "lora_rank"]) {
      const optimizer = name === "lora_rank" ? { optimizer: "lora" } : undefined;
      const { status, body } = await post("/v1/fine_tuning/plan", {
        model: "tiny",
        hyperparameters: { seq_len: 64, [name]: 2 ** 52, ...optimizer },
      });
      assertEquals(status, 200, JSON.stringify(body));
    }
  });
});

Deno.test("where the disk keeps nothing, what is refused does not happen, and what happens is not refused", async () => {
  await withJobsApi({}, async ({ file, post, get, services }) => {
    const jobs = "/v1/fine_tuning/jobs", training_file = file();
    const request = { model: "tiny", training_file, hyperparameters: { seq_len: 64 } };
    const { body: { id } } = await post(jobs, request), { sync } = services.store;
    services.store.sync = () => Promise.reject(new DiskError("the disk is read-only"));
    await assertRejects(() => post(jobs, request), DiskError);
    for (
      const [action, status] of [["pause", "paused"], ["resume", "queued"], ["cancel", "cancelled"]]
    ) {
      const answer = await post(`${jobs}/${id}/${action}`, {});
      assertEquals([answer.status, answer.body.status], [200, status]);
    }
    services.store.sync = sync;
    const { body: { data } } = await get(jobs);
    assertEquals(data.map((job: { status: string }) => job.status), ["cancelled", "cancelled"]);
  });
});

/** Its embedding is its head. */
async function tiedModel(): Promise<string> {
  const folder = await Deno.makeTempDir();
  await writeChatModel(folder, { config: { tieWordEmbeddings: true } });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  return folder;
}
