/** Ranks that share the optimizer states, against one process that has them all. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { writeHfConfig } from "../../src/formats/hf_config.ts";
import { PRESETS } from "../../src/model/config.ts";
import { spell } from "../../src/options/phrase.ts";
import { FLAGS } from "../../src/options/spelling.ts";
import { dealOut } from "../../src/numbers/deal_out.ts";
import { buildTraining } from "../../src/train/build.ts";
import { bytesPerStep } from "../../src/train/exchange.ts";
import { type MemoryInput, memoryOptions } from "../../src/train/memory_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { METHOD_NAMES } from "../../src/train/methods.ts";
import { planMemory, shapeOfProcess } from "../../src/train/plan.ts";
import { keptGradientNotes } from "../../src/train/kept_gradient_notes.ts";
import { stateTensors } from "../../src/train/state.ts";
import { runTraining, saveBase, TINY, withWorkshop } from "../train/support.ts";
import { mpiTest } from "./support.ts";
import { trainInRanks } from "./support_runs.ts";

/** A checkpoint's tensors, and what its manifest says of them and of the training. */
async function checkpoint(output: string, step: number) {
  const folder = join(output, `checkpoint-${step}`);
  const { state, entries } = JSON.parse(await Deno.readTextFile(join(folder, "manifest.json")));
  const bytes = await Deno.readFile(join(folder, "entries.bin"));
  const { lazy, data, tokens, loss, shape: { optimizer } } = state;
  assertEquals(optimizer.shares, undefined);
  return { bytes, entries, lazy, data, tokens, loss };
}

/** The weights of its model, and all evaluations. */
async function modelOf(output: string) {
  const lines = (await Deno.readTextFile(join(output, "metrics.jsonl"))).trim().split("\n");
  return {
    weights: await Deno.readFile(join(output, "model", "model.safetensors")),
    losses: lines.map((line) => JSON.parse(line).eval_loss),
  };
}

mpiTest("2 ranks that share the states save the checkpoints of one process", async () => {
  await withWorkshop(async ({ options, folder }) => {
    const base = join(folder, "base");
    await Deno.mkdir(base);
    await saveBase(base, TINY);
    const from = { from: base, model: undefined, tokenizer: "bytes" };
    const runs = [
      // Sums go to keepers, and each gives low-rank updates, or weights where these are smaller. So
      // high a rate is worse after four steps than after two: the best model is loaded at the end.
      {
        name: "q_galore",
        shares: { shardStates: true },
        change: { optimizer: "q_galore_adamw8bit", lr: 3, loadBestModelAtEnd: true },
      },
      // All have the sums, which are clipped by the norm of all. Restarts merge where a matrix is.
      {
        name: "relora",
        shares: { shardWeights: true },
        change: { ...from, optimizer: "relora", maxGradNorm: 0.5, jaggedRestartSteps: 2 },
      },
    ].map(({ change, ...run }) => ({
      ...run,
      given: { ...change, steps: 4, saveEvery: 2, evalEvery: 2 },
    }));
    // One process would add these in another order: they are compared with ranks that share nothing.
    const tied = join(folder, "tied");
    await Deno.mkdir(tied);
    await writeHfConfig(tied, { ...TINY, tieWordEmbeddings: true }, "float32");
    const model = join(tied, "config.json");
    const pairs = [
      // Only a keeper has a subspace, and the others hear how it has turned.
      {
        name: "tied",
        shares: { shardStates: true },
        change: { optimizer: "galore_adamw", fira: true, stableSpam: true, model },
      },
      // Kept until the end of a step, which others exchange as they go.
      {
        name: "of-two",
        shares: { shardWeights: true },
        change: { optimizer: "galore_adamw", gradientAccumulation: 2 },
      },
    ].map(({ change, ...run }) => ({ ...run, given: { ...change, steps: 3, evalShare: 0 } }));
    const pathOf = (name: string) => join(folder, name), [{ given }] = runs;
    const resume = pathOf("one-q_galore/checkpoint-2");
    const { code, stderr, reports } = await trainInRanks(2, [
      ...runs.flatMap(({ name, given, shares }) => [
        { options: options(`two-${name}`, { ...given, ...shares }) },
        { options: options(`one-${name}`, { ...given, gradientAccumulation: 2 }), alone: true },
      ]),
      ...pairs.flatMap(({ name, given, shares }) => [
        { options: options(`two-${name}`, { ...given, ...shares }) },
        { options: options(`whole-${name}`, given) },
      ]),
      // What one process has saved is shared from there on.
      { options: options("two-weights", { ...given, shardWeights: true, resume }) },
    ]);
    assertEquals(code, 0, stderr);
    const [leads, follows] = reports;
    for (const [index, { name }] of runs.entries()) {
      const one = await checkpoint(pathOf(`one-${name}`), 4);
      assertEquals(await checkpoint(pathOf(`two-${name}`), 4), one, name);
      const plan = leads[index].events.find((event) => event.type === "plan")!;
      for (const { memory, error } of [leads[index], follows[index]]) {
        assertEquals(error, undefined, name);
        assertEquals(memory!.peak, memory!.planned, name);
      }
      const sent = [leads, follows].flatMap((rank) => rank[index].sums).reduce((a, b) => a + b);
      assertEquals(Math.round(sent / 4 / 2), plan.exchanged_bytes!, name);
    }
    for (const { name } of pairs) {
      const whole = await checkpoint(pathOf(`whole-${name}`), 3);
      assertEquals(await checkpoint(pathOf(`two-${name}`), 3), whole, name);
    }
    const done = leads[0].events.at(-1)!;
    assert(done.type === "done" && done.summary.best_step! < 4, JSON.stringify(done));
    for (const { name } of runs) {
      assertEquals(
        await modelOf(pathOf(`two-${name}`)),
        await modelOf(pathOf(`one-${name}`)),
        name,
      );
    }
    assertEquals(
      await checkpoint(pathOf("two-weights"), 4),
      await checkpoint(pathOf("one-q_galore"), 4),
    );
    // One process goes on by itself.
    const { events } = await runTraining(options("two-q_galore", {
      ...given,
      shardStates: true,
      gradientAccumulation: 2,
      steps: 5,
      resume: "auto",
    }));
    const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
    assert(
      warnings.some((text) => text.includes("one process has nothing to share")),
      `${warnings}`,
    );
    assertEquals(events.flatMap((event) => event.type === "step" ? [event.step] : []), [5]);
  });
});

Deno.test("states are dealt out by their bytes, the most to the first", () => {
  assertEquals(dealOut([1, 5, 4, 3, 0], 2), [1, 1, 0, 0, 1]);
  for (const count of [1, 2, 3, 8]) {
    const bytes = Array.from({ length: 40 }, (_, index) => (index * 7919) % 101);
    const loads = Array<number>(count).fill(0);
    for (const [index, keeper] of dealOut(bytes, count).entries()) loads[keeper] += bytes[index];
    assertEquals(loads, loads.toSorted((a, b) => b - a));
    // No more apart than the largest of them, by which a load can pass another.
    assert(loads[0] - loads.at(-1)! <= 100, `${loads}`);
  }
});

Deno.test("a plan of ranks is that of the largest, and the states are all somewhere", () => {
  const config = PRESETS.llama_60m, ranks = 4;
  const given = { model: "llama_60m", rank: 128, batchSize: 1, ranks } as const;
  const parse = (change = {}) =>
    trainingShape(memoryOptions.parse({ ...given, ...change }), config);
  const whole = planMemory(config, parse()),
    shared = planMemory(config, parse({ shardStates: true }));
  const one = planMemory(config, parse({ ranks: 1 }));
  assert(whole.byPurpose.gradients > one.byPurpose.gradients);
  // Those of a layer at a time, unless a rank sums up batches by itself.
  assert(shared.byPurpose.gradients < 0.6 * whole.byPurpose.gradients);
  const summed = planMemory(config, parse({ shardStates: true, gradientAccumulation: 2 }));
  assertEquals(summed.byPurpose.gradients, whole.byPurpose.gradients);
  // That of the head is whole, with the norm's before it; beside it the update of a matrix.
  const { vocabSize, hiddenSize, intermediateSize } = config;
  const [vocabulary, matrix] = [vocabSize, intermediateSize].map((rows) => 4 * rows * hiddenSize);
  assertEquals(shared.byPurpose.gradients, vocabulary + 4 * hiddenSize + matrix);
  const shape = parse({ shardStates: true });
  const trainings = Array.from({ length: ranks }, (_, own) => {
    const of = shapeOfProcess(shape, own);
    return { own, of, training: buildTraining(new PlanAllocator(), config, of, CONSUMER_CARD) };
  });
  const kept = trainings.map(({ of }) => planMemory(config, of).byPurpose.optimizer_state);
  assertEquals(kept.reduce((a, b) => a + b), whole.byPurpose.optimizer_state);
  assertEquals(shared.byPurpose.optimizer_state, Math.max(...kept));
  // With the most states; what else differs between them is the weights, where these are shared.
  for (const change of [{}, { fira: true, optimizer: "galore_adamw" }, { optimizer: "apollo" }]) {
    const shape = parse({ ...change, shardStates: true });
    const peaks = Array.from(
      { length: ranks },
      (_, own) => planMemory(config, shapeOfProcess(shape, own)).plannedPeakBytes,
    );
    const plan = planMemory(config, shape);
    assertEquals([plan.plannedPeakBytes, plan.own], [Math.max(...peaks), 0]);
  }
  assertThrows(
    () => buildTraining(new PlanAllocator(), config, shape, CONSUMER_CARD),
    Error,
    "which",
  );
  const names = ({ training }: typeof trainings[number]) =>
    stateTensors(training).map(({ name }) => name);
  const all = stateTensors(buildTraining(new PlanAllocator(), config, parse(), CONSUMER_CARD));
  for (const each of trainings) {
    assertEquals(names(each), all.map(({ name }) => name));
    assert(bytesPerStep(each.training, ranks, each.own) > 0);
  }
});

Deno.test("every method but of factors shares its weights, whatever their format", () => {
  const config = PRESETS.llama_60m;
  for (const optimizer of METHOD_NAMES.filter((name) => name !== "low_rank")) {
    const weights = (shardWeights: boolean) => {
      const given = {
        model: "llama_60m",
        optimizer,
        batchSize: 1,
        ranks: 4,
        shardWeights,
      } as const;
      const { byPurpose } = planMemory(config, trainingShape(memoryOptions.parse(given), config));
      return byPurpose.weights + byPurpose.quantisation_constants;
    };
    assert(weights(true) < weights(false), optimizer);
  }
});

Deno.test("a run that shares and keeps whole gradients says so, and what they take", () => {
  const config = PRESETS.llama_7b, model = "llama_7b", ranks = 2, rank = 1024;
  const sizes = { model, ranks, rank, batchSize: 1, activationCheckpointing: true } as const;
  const noted = (given: MemoryInput) => {
    const options = memoryOptions.parse<MemoryInput>({ ...sizes, shardWeights: true, ...given });
    const shape = trainingShape(options, config), { gradientAccumulation } = options;
    const all = { ...options, gradientAccumulation: ranks * gradientAccumulation };
    const gibibytes = (planMemory(config, shape).plannedPeakBytes / 2 ** 30).toFixed(1);
    return [gibibytes, ...keptGradientNotes(all, shape, ranks).map((note) => spell(note, FLAGS))];
  };
  const keeps = "each process keeps all gradients until the end of a step";
  assertEquals(noted({}), ["6.6"]);
  // As docs/parallel.md says.
  assertEquals(noted({ finetune: true, maxGradNorm: 0 }), ["5.9"]);
  assertEquals(noted({ finetune: true }), [
    "11.8",
    `--shard-weights: ${keeps}, to be clipped by the norm of all; --max-grad-norm 0 would take less ` +
    "memory",
  ]);
  const [, both] = noted({
    shardWeights: false,
    shardStates: true,
    maxGradNorm: 1,
    gradientAccumulation: 3,
  });
  assertEquals(
    both,
    `--shard-states: ${keeps}, to be clipped by the norm of all, and since each process sums up 3 ` +
      "batches; --max-grad-norm 0 and --gradient-accumulation 1 would take less memory",
  );
});

Deno.test("docs/parallel.md has the plans and bytes of shared states", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/parallel.md", import.meta.url));
  for (
    const [model, optimizer, rank] of [
      ["llama_1b", "q_galore_adamw8bit", 512],
      ["llama_1b", "galore_adamw", 512],
      ["llama_1b", "adamw", undefined],
      ["llama_7b", "q_galore_adamw8bit", 1024],
      ["llama_7b", "adamw", undefined],
    ] as const
  ) {
    const config = PRESETS[model];
    type Shared = "nothing" | "states" | "weights";
    const shapeOf = (ranks: number, shared: Shared) => {
      const sizes = { model, optimizer, batchSize: 1, activationCheckpointing: true };
      const shards = { shardStates: shared === "states", shardWeights: shared === "weights" };
      return trainingShape(
        memoryOptions.parse({ ...sizes, ...(rank && { rank }), ranks, ...shards }),
        config,
      );
    };
    const gibibytes = (ranks: number, shared: Shared) =>
      (planMemory(config, shapeOf(ranks, shared)).plannedPeakBytes / 2 ** 30).toFixed(1);
    const megabytes = (ranks: number, shared: Shared) => {
      const built = shapeOfProcess(shapeOf(ranks, shared), 0);
      const training = buildTraining(new PlanAllocator(), config, built, CONSUMER_CARD);
      const each = Array.from({ length: ranks }, (_, own) => bytesPerStep(training, ranks, own));
      return (each.reduce((a, b) => a + b) / ranks / 1e6).toFixed(0);
    };
    const memory = [
      gibibytes(1, "nothing"),
      gibibytes(2, "nothing"),
      ...[2, 4, 8].map((ranks) => gibibytes(ranks, "states")),
      ...[2, 4, 8].map((ranks) => gibibytes(ranks, "weights")),
    ];
    const sent = [
      megabytes(2, "nothing"),
      ...[2, 4].map((ranks) => megabytes(ranks, "states")),
      ...[2, 4].map((ranks) => megabytes(ranks, "weights")),
    ];
    const rows = [...text.matchAll(new RegExp(`^\\| ${model} \`${optimizer}\` .*$`, "gm"))];
    const found = rows.map(([row]) => row.split("|").slice(2, -1).map((cell) => cell.trim()));
    assertEquals(found, [memory, sent], `${model} ${optimizer}`);
  }
});
