/** Jobs that ask for several processes: their plans, and every refusal. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { UserError } from "../../../src/options/user_error.ts";
import { trainingTask } from "../../../src/server/jobs/run_options.ts";
import { ownPlaces } from "../../../src/server/jobs/slots.ts";
import { memoryOptions } from "../../../src/train/memory_options.ts";
import { trainingShape } from "../../../src/train/method.ts";
import { readModelConfig } from "../../../src/formats/pretrained_model.ts";
import { planMemory } from "../../../src/train/plan.ts";
import { withJobsApi } from "./support.ts";

const own = ownPlaces(2, "test adapter");
const SIZES = { seq_len: 64, batch_size: 2, rank: 16 };

Deno.test("a job of two processes is planned as `memory` plans one of them, and shown with both", async () => {
  await withJobsApi({ own }, async ({ post, get, file, services }) => {
    const { path } = await services.models.get("tiny"), config = await readModelConfig(path);
    const planned = (more: Record<string, unknown>) => {
      const options = memoryOptions.parse({
        model: path,
        seqLen: 64,
        batchSize: 2,
        rank: 16,
        ...more,
      });
      return planMemory(config, trainingShape(options, config), services.device.capabilities)
        .plannedPeakBytes;
    };
    const disk: number[] = [];
    for (
      const [hyperparameters, more] of [
        [{ ranks: 2 }, { ranks: 2 }],
        [{ ranks: 2, shard_states: true }, { ranks: 2, shardStates: true }],
        // Each trains by itself.
        [{ ranks: 2, local_steps: 5 }, {}],
      ] as const
    ) {
      const { body } = await post("/v1/pretraining/plan", {
        from: "tiny",
        hyperparameters: { ...SIZES, ...hyperparameters },
      });
      assertEquals(body.planned_peak_bytes, planned(more), JSON.stringify(body));
      assertEquals(body.hyperparameters.ranks, 2);
      // Of states that are shared a checkpoint has all; of processes by themselves those of each.
      disk.push(body.checkpoint_bytes);
      const [{ change, bytes }] = body.largest_batches;
      const { body: largest } = await post("/v1/pretraining/plan", {
        from: "tiny",
        hyperparameters: { ...SIZES, ...hyperparameters, ...change },
      });
      assertEquals([largest.fits, largest.planned_peak_bytes], [true, bytes]);
    }
    assert(disk[0] === disk[1] && disk[2] > 2 * disk[0], `${disk}`);
    const { status, body } = await post("/v1/fine_tuning/jobs", {
      model: "tiny",
      training_file: file(),
      method: { type: "supervised", supervised: { hyperparameters: { ...SIZES, ranks: 2 } } },
    });
    assertEquals(status, 200, JSON.stringify(body));
    assertEquals(body.method.supervised.hyperparameters.ranks, 2);
    const job = services.store.jobs.get(body.id)!;
    const storage = { filePath: () => "/file", jobFolder: () => "/job" };
    const places = { ...services, storage, file: (id: string) => ({ id, filename: "x.jsonl" }) };
    const { ranks, options } = await trainingTask(job, places);
    assertEquals([ranks, "ranks" in options], [2, false]);
    const [first, second] = own;
    const runsOn = { ...first, others: [second] };
    services.store.jobs.update(job.id, { status: "running", runsOn });
    const shown = await get(`/v1/fine_tuning/jobs/${job.id}`);
    assertEquals(shown.body.runs_on, runsOn);
  });
});

Deno.test("processes for which there is no room, no launcher or no use are refused", async () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ ranks: 0 }, "hyperparameters.ranks: must be at least 1, got 0"],
    [
      { ranks: 3 },
      "hyperparameters.ranks: must be at most 2, got 3: no machine has more workers",
    ],
    [
      { shard_states: true },
      "hyperparameters.shard_states: needs ranks above 1: one process has nothing to share",
    ],
    [
      { communication_data_type: "bfloat16" },
      "hyperparameters.communication_data_type: needs ranks above 1: one process sends nothing",
    ],
    [
      { local_steps: 4, ranks: 1 },
      "hyperparameters.local_steps: needs ranks above 1: one process meets no other",
    ],
    [
      { ranks: 2, accumulator_quant: true, optimizer: "adamw", gradient_accumulation: 2 },
      "hyperparameters.accumulator_quant: goes with one process: with ranks: 2 gradients are summed in " +
      "float32",
    ],
  ];
  const create = (hyperparameters: Record<string, unknown>, training_file: string) => ({
    model: "llama_nano",
    training_file,
    hyperparameters: { steps: 1, ...hyperparameters },
  });
  await withJobsApi({ own }, async ({ post, file }) => {
    for (const [hyperparameters, message] of cases) {
      const job = create(hyperparameters, file("pretrain"));
      const { status, body: { error } } = await post("/v1/pretraining/jobs", job);
      assertEquals([status, error.message], [400, message]);
    }
  });
  const findLauncher = () => {
    throw new UserError("there is no launcher: install one");
  };
  await withJobsApi({ own, findLauncher }, async ({ post, file }) => {
    const job = create({ ranks: 2 }, file("pretrain"));
    const { status, body: { error } } = await post("/v1/pretraining/jobs", job);
    assertEquals([status, error.param], [400, "hyperparameters.ranks"]);
    assertEquals(
      error.message,
      "hyperparameters.ranks: must be at most 1, got 2: there is no launcher: install one",
    );
    assertEquals((await post("/v1/pretraining/jobs", create({}, file("pretrain")))).status, 200);
  });
  // A machine elsewhere can.
  const pool = { workers: () => [], mostRanks: 4 };
  await withJobsApi({ own, findLauncher, pool }, async ({ post, file }) => {
    const answers = [];
    for (const ranks of [4, 5]) {
      const { status, body } = await post(
        "/v1/pretraining/jobs",
        create({ ranks }, file("pretrain")),
      );
      answers.push([status, body.error?.message]);
    }
    assertEquals(answers, [[200, undefined], [
      400,
      "hyperparameters.ranks: must be at most 4, got 5: no machine has more workers",
    ]]);
  });
});

Deno.test("what does not fit in each process is refused with what would", async () => {
  const options = { gpuMemory: 1 / 8 };
  await withJobsApi({ own, options, software: true }, async ({ post, file }) => {
    const hyperparameters = { ...SIZES, seq_len: 256, batch_size: 64, ranks: 2 };
    const job = { from: "tiny", training_file: file("pretrain"), hyperparameters };
    const { status, body: { error } } = await post("/v1/pretraining/jobs", job);
    assertEquals([status, error.code], [400, "insufficient_gpu_memory"]);
    assertStringIncludes(error.message, "these settings fit: ");
    const { body: { alternatives: [{ change, bytes }], limit } } = await post(
      "/v1/pretraining/plan",
      { from: "tiny", hyperparameters },
    );
    // Two workers share the adapter.
    assertEquals(limit, 2 ** 26);
    assert(bytes <= limit);
    const { body } = await post("/v1/pretraining/plan", {
      from: "tiny",
      hyperparameters: { ...hyperparameters, ...change },
    });
    assertEquals([body.fits, body.planned_peak_bytes], [true, bytes]);
  });
});
