/** Ranks that share the optimizer states, against one process that has them all. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { writeHfConfig } from "../../src/formats/hf_config.ts";
import { PRESETS } from "../../src/model/config.ts";
import { dealOut } from "../../src/optim/shares.ts";
import { buildTraining } from "../../src/train/build.ts";
import { bytesPerStep } from "../../src/train/exchange.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { planMemory } from "../../src/train/plan.ts";
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

mpiTest("2 ranks that share the states save the checkpoints of one process", async () => {
  await withWorkshop(async ({ options, folder }) => {
    const base = join(folder, "base");
    await Deno.mkdir(base);
    await saveBase(base, TINY);
    const from = { from: base, model: undefined, tokenizer: "bytes" };
    const runs = [
      // Sums go to keepers, and each gives low-rank updates, or weights where these are smaller.
      { name: "q_galore", change: { optimizer: "q_galore_adamw8bit" } },
      // Only a keeper has a subspace, and the others hear how it has turned. So high a rate is worse
      // after four steps than after two: the best model is loaded at the end.
      {
        name: "fira",
        change: {
          ...{ optimizer: "galore_adamw", fira: true, stableSpam: true },
          ...{ lr: 3, loadBestModelAtEnd: true },
        },
      },
      // All have the sums, which are clipped by the norm of all.
      {
        name: "relora",
        change: { ...from, optimizer: "relora", maxGradNorm: 0.5, jaggedRestartSteps: 2 },
      },
    ].map(({ name, change }) => ({
      name,
      given: { ...change, steps: 4, saveEvery: 2, evalEvery: 2 },
    }));
    // One process would add these in another order: they are compared with ranks that share nothing.
    const tied = join(folder, "tied");
    await Deno.mkdir(tied);
    await writeHfConfig(tied, { ...TINY, tieWordEmbeddings: true }, "float32");
    const pairs = [
      { name: "tied", change: { optimizer: "adamw", model: join(tied, "config.json") } },
      // Kept until the end of a step, which others exchange as they go.
      { name: "of-two", change: { optimizer: "galore_adamw", gradientAccumulation: 2 } },
    ].map(({ name, change }) => ({ name, given: { ...change, steps: 2, evalShare: 0 } }));
    const pathOf = (name: string) => join(folder, name);
    const [{ given }, , { given: clipped }] = runs, shardStates = true;
    const { code, stderr, reports } = await trainInRanks(2, [
      ...runs.flatMap(({ name, given }) => [
        { options: options(`two-${name}`, { ...given, shardStates }) },
        { options: options(`one-${name}`, { ...given, gradientAccumulation: 2 }), alone: true },
      ]),
      ...pairs.flatMap(({ name, given }) => [
        { options: options(`two-${name}`, { ...given, shardStates }) },
        { options: options(`whole-${name}`, given) },
      ]),
      // What one process has saved is shared from there on, and the other way round.
      {
        options: options("shared", {
          ...given,
          shardStates,
          resume: pathOf("one-q_galore/checkpoint-2"),
        }),
      },
      { options: options("whole", { ...clipped, resume: pathOf("two-relora/checkpoint-2") }) },
    ]);
    assertEquals(code, 0, stderr);
    const [leads, follows] = reports;
    for (const [index, { name }] of runs.entries()) {
      const one = await checkpoint(pathOf(`one-${name}`), 4);
      assertEquals(await checkpoint(pathOf(`two-${name}`), 4), one, name);
      const own = [leads[index], follows[index]];
      const plan = leads[index].events.find((event) => event.type === "plan")!;
      for (const [rank, { memory, sums, error }] of own.entries()) {
        assertEquals(error, undefined, name);
        assertEquals(memory!.peak, memory!.planned, `${name}, rank ${rank}`);
        if (rank > 0) continue;
        // And in two refreshes the similarities of 14 subspaces, in rows of eight.
        const more = name === "fira" ? 2 * 4 * 16 : 0;
        assertEquals(sums.reduce((a, b) => a + b), 4 * plan.exchanged_bytes! + more, name);
      }
      assert(own[1].memory!.planned <= own[0].memory!.planned, name);
    }
    const resumed = [["shared", "q_galore"], ["whole", "relora"]];
    for (const [name, as] of resumed) {
      assertEquals(await checkpoint(pathOf(name), 4), await checkpoint(pathOf(`one-${as}`), 4));
    }
    for (const { name } of pairs) {
      const whole = await checkpoint(pathOf(`whole-${name}`), 2);
      assertEquals(await checkpoint(pathOf(`two-${name}`), 2), whole, name);
    }
    const best = leads[1].events.at(-1)!;
    assert(best.type === "done" && best.summary.best_step! < 4, JSON.stringify(best));
    // One process goes on by itself.
    const { events } = await runTraining(options("two-q_galore", {
      ...given,
      shardStates,
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
  const shape = parse({ shardStates: true }), { optimizer } = shape;
  const trainings = Array.from({ length: ranks }, (_, own) => {
    const of = { ...shape, optimizer: { ...optimizer, shares: { count: ranks, own } } };
    return { own, of, training: buildTraining(new PlanAllocator(), config, of, CONSUMER_CARD) };
  });
  const kept = trainings.map(({ of }) => planMemory(config, of).byPurpose.optimizer_state);
  assertEquals(kept.reduce((a, b) => a + b), whole.byPurpose.optimizer_state);
  assertEquals(shared.byPurpose.optimizer_state, Math.max(...kept));
  const names = ({ training }: typeof trainings[number]) =>
    stateTensors(training).map(({ name }) => name);
  const all = stateTensors(buildTraining(new PlanAllocator(), config, parse(), CONSUMER_CARD));
  for (const each of trainings) {
    assertEquals(names(each), all.map(({ name }) => name));
    assert(bytesPerStep(each.training, ranks, each.own) > 0);
  }
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
    const shapeOf = (ranks: number, shardStates: boolean) => {
      const sizes = { model, optimizer, batchSize: 1, activationCheckpointing: true };
      return trainingShape(
        memoryOptions.parse({ ...sizes, ...(rank && { rank }), ranks, shardStates }),
        config,
      );
    };
    const gibibytes = (ranks: number, shares: boolean) =>
      (planMemory(config, shapeOf(ranks, shares)).plannedPeakBytes / 2 ** 30).toFixed(1);
    const megabytes = (ranks: number, shares: boolean) => {
      const shape = shapeOf(ranks, shares), { optimizer } = shape;
      const of = shares ? { ...optimizer, shares: { count: ranks, own: 0 } } : optimizer;
      const built = { ...shape, optimizer: of };
      const training = buildTraining(new PlanAllocator(), config, built, CONSUMER_CARD);
      const each = Array.from({ length: ranks }, (_, own) => bytesPerStep(training, ranks, own));
      return (each.reduce((a, b) => a + b) / ranks / 1e6).toFixed(0);
    };
    const expected = [
      gibibytes(1, false),
      gibibytes(2, false),
      ...[2, 4, 8].map((ranks) => gibibytes(ranks, true)),
      megabytes(2, false),
      ...[2, 4].map((ranks) => megabytes(ranks, true)),
    ];
    const row = text.match(new RegExp(`^\\| ${model} \`${optimizer}\` .*$`, "m"))![0];
    const [, ...found] = row.split("|").map((cell) => cell.trim()).filter((cell) => cell);
    assertEquals(found, expected, `${model} ${optimizer}`);
  }
});
