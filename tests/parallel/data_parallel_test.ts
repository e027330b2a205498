/** Ranks that share the steps of a run, against one process that accumulates. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { join } from "@std/path";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { PRESETS } from "../../src/model/config.ts";
import { readCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import { buildTraining } from "../../src/train/build.ts";
import { bytesPerRefresh, bytesPerStep } from "../../src/train/exchange.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { runTraining, saveBase, TINY, withWorkshop } from "../train/support.ts";
import { mpiTest } from "./support.ts";
import { trainInRanks } from "./support_runs.ts";

/** What a checkpoint holds, and what its state says of the training. */
async function checkpoint(output: string, step: number) {
  const folder = join(output, `checkpoint-${step}`);
  const { state } = JSON.parse(await Deno.readTextFile(join(folder, "manifest.json")));
  const entries = await Deno.readFile(join(folder, "entries.bin"));
  const { lazy, data, tokens, loss } = state;
  return { entries, lazy, data, tokens, loss };
}

mpiTest("2 ranks give the bits of one process that accumulates their batches", async () => {
  await withWorkshop(async ({ options, folder }) => {
    const base = join(folder, "base");
    await Deno.mkdir(base);
    await saveBase(base, TINY);
    const from = { from: base, model: undefined, tokenizer: "bytes" };
    // Of what is summed while the backward pass goes on each gradient is, by itself.
    const within = { leastBytes: 64 };
    const runs = [
      // The subspaces that rank 0 refreshes are given to the other.
      { name: "q_galore", change: { optimizer: "q_galore_adamw8bit", maxGradNorm: 1 } },
      // Both refresh them from the sum.
      { name: "fira", change: { optimizer: "galore_adamw", fira: true } },
      // Each batch has a mask of its own; restarts merge into matrices that nothing else trains.
      {
        name: "relora",
        change: { ...from, optimizer: "relora", loraDropout: 0.1, jaggedRestartSteps: 2 },
      },
    ].map(({ name, change }) => ({
      name,
      given: { ...change, steps: 4, saveEvery: 2, evalEvery: 2 },
    }));
    const pathOf = (name: string) => join(folder, name);
    const [{ given }] = runs, resume = pathOf("one-q_galore/checkpoint-2");
    const { code, stderr, reports } = await trainInRanks(2, [
      ...runs.flatMap(({ name, given }) => [
        { options: options(`two-${name}`, given), ...(name === "relora" ? undefined : within) },
        { options: options(`one-${name}`, { ...given, gradientAccumulation: 2 }), alone: true },
      ]),
      // A run of one process goes on in two.
      { options: options("resumed", { ...given, resume }) },
      // Where one is asked to stop, both do, after the same step.
      { options: options("stopped", { ...given, steps: 1000 }), stops: 1 },
      // However rank 0 leaves a run, the other does as well.
      { options: options("left", given), leaves: true },
      { options: options("broken", given), breaks: true },
      // What is no longer the same is not saved.
      { options: options("drifted", given), drifts: 1 },
    ]);
    const [leads, follows] = reports,
      [stopped, left, broken, drifted] = leads.slice(runs.length + 1);
    assert(drifted?.error, `${stderr}\n${leads.map(({ error }) => error)}`);
    assertEquals(code, 1);
    assertStringIncludes(
      drifted.error,
      "after step 2 the weights or the optimizer's states of rank 1",
    );
    assertEquals(drifted.events.at(-1), { type: "failed", step: 2, saved: {} });
    for (const [index, { name }] of runs.entries()) {
      const one = await checkpoint(pathOf(`one-${name}`), 4);
      assertEquals(await checkpoint(pathOf(`two-${name}`), 4), one, name);
      const leader = leads[index], follower = follows[index];
      assertEquals(follower.events, []);
      // Before the first step, and at two evaluations, each of which comes with a checkpoint.
      assertEquals(leader.checksums.length, 3, name);
      assertEquals(follower.checksums, leader.checksums);
      for (const [first, second] of leader.checksums) assertEquals(second, first, name);
      const plan = leader.events.find((event) => event.type === "plan")!;
      assertEquals(plan.ranks, 2);
      for (const { sums } of [leader, follower]) {
        assertEquals(sums.reduce((a, b) => a + b), 4 * plan.exchanged_bytes!, name);
        assertEquals(sums.length > 4, name !== "relora", name);
      }
    }
    assertEquals(
      await checkpoint(pathOf("resumed"), 4),
      await checkpoint(pathOf("one-q_galore"), 4),
    );
    const done = stopped.events.at(-1)!, others = follows.slice(runs.length + 1);
    assert(done.type === "done" && done.interrupted && done.step < 1000);
    assertEquals(done.saved.checkpoint_step, done.step);
    assertEquals(others.map(({ step }) => step), [done.step, 0, 0, 2]);
    assertEquals(left.events.map(({ type }) => type), ["plan"]);
    assertEquals(others[1].error, undefined);
    assertEquals(broken.events.at(-1)!.type, "failed");
    assertStringIncludes(broken.error!, "metrics.jsonl");
    assertEquals(others[2].error, "rank 0, which leads the run, has failed");
  });
});

mpiTest(
  "a rank that is killed ends the others, and one process goes on from the last checkpoint",
  async () => {
    await withWorkshop(async ({ options, folder }) => {
      const change = { optimizer: "adamw", saveEvery: 1, evalShare: 0 };
      const { code, reports, stderr } = await trainInRanks(2, [
        { options: options("killed", { ...change, steps: 100_000 }), dies: 1 },
      ]);
      assert(code !== 0);
      assertEquals(reports, [[], []]);
      assertStringIncludes(stderr, "process rank 1");
      assertStringIncludes(stderr, "signal 9");
      const steps = [...Deno.readDirSync(join(folder, "killed"))]
        .flatMap(({ name }) => name.match(/^checkpoint-(\d+)$/)?.slice(1).map(Number) ?? []);
      assert(steps.length > 0);
      for (const step of steps) {
        await (await readCheckpoint(join(folder, "killed", `checkpoint-${step}`))).verify({});
      }
      const last = Math.max(...steps), more = { steps: last + 1, resume: "auto" };
      const { events } = await runTraining(options("killed", { ...change, ...more }));
      assertEquals(
        events.flatMap((event) => event.type === "step" ? [event.step] : []),
        [last + 1],
      );
    });
  },
);

mpiTest("4 ranks give the bits of one process; of several batches each, its losses", async () => {
  await withWorkshop(async ({ options, folder }) => {
    const change = { steps: 3, warmupSteps: 0, evalShare: 0 };
    const galore = { ...change, optimizer: "galore_adamw" };
    const adamw = { ...change, optimizer: "adamw" };
    const { code, stderr, reports: [leads] } = await trainInRanks(4, [
      { options: options("four", galore) },
      { options: options("one", { ...galore, gradientAccumulation: 4 }), alone: true },
      { options: options("halves", { ...galore, communicationDataType: "bfloat16" }) },
      { options: options("four-of-two", { ...adamw, gradientAccumulation: 2 }) },
      { options: options("one-of-eight", { ...adamw, gradientAccumulation: 8 }), alone: true },
    ]);
    assertEquals([code, leads.length], [0, 3], stderr);
    const weights = (name: string) =>
      Deno.readFile(join(folder, name, "model", "model.safetensors"));
    assertEquals(await weights("four"), await weights("one"));
    const losses = async (name: string) =>
      (await Deno.readTextFile(join(folder, name, "metrics.jsonl"))).trim().split("\n")
        .map((line) => (JSON.parse(line) as { loss: number }).loss);
    const [shared, alone, halves, whole] = await Promise.all(
      ["four-of-two", "one-of-eight", "halves", "one"].map(losses),
    );
    assertEquals([shared.length, halves.length], [3, 3]);
    // Each gradient is rounded by up to 2^-9 of it, the losses are not: those of the first step differ
    // by no more than float32's.
    assert(Math.abs(halves[0] - whole[0]) < 1e-4, `${halves}, whole ${whole}`);
    for (const [step, loss] of halves.entries()) {
      assert(Math.abs(loss - whole[step]) < 0.02, `${halves}, whole ${whole}`);
    }
    assertNotEquals(await weights("halves"), await weights("one"));
    const [, { events, sums }] = leads, plan = events.find((event) => event.type === "plan")!;
    assertEquals(sums.reduce((a, b) => a + b), 3 * plan.exchanged_bytes!);
    // Float32 sums in another order: a relative 6e-8 each, over some hundred additions.
    for (const [step, loss] of shared.entries()) {
      assert(Math.abs(loss - alone[step]) < 1e-4, `${shared}, alone ${alone}`);
    }
    // run.json and the model card have what was given, and the processes beside it.
    const run = JSON.parse(await Deno.readTextFile(join(folder, "four-of-two", "run.json")));
    assertEquals([run.options.gradientAccumulation, run.plan.ranks], [2, 4]);
    const card = await Deno.readTextFile(join(folder, "four", "model", "README.md"));
    assertStringIncludes(card, "4, with a GPU each");
    assert(!/gradient.?accumulation/i.test(card), card);
  });
});

mpiTest("ranks with other options or data are refused before the first step", async () => {
  await withWorkshop(async ({ options, folder }) => {
    const other = join(folder, "other.txt");
    await Deno.writeTextFile(other, "Another text, as long as it needs to be. ".repeat(500));
    const given = options("refused", { lr: 0.01 }), data = [other];
    const { code, reports } = await trainInRanks(2, [
      { options: given, ofRank: { 1: { ...given, lr: 0.5, data } } },
    ]);
    const [[{ error }]] = reports;
    assertEquals(code, 1);
    assertEquals(
      error!.split("\n")[0],
      "the processes would not train one model: lr is 0.5 on rank 1, 0.01 on rank 0; data of rank 1 " +
        "is not that of rank 0",
    );
  });
});

mpiTest("a rank that cannot open the run tells the others", async () => {
  await withWorkshop(async ({ options, folder }) => {
    await Deno.writeTextFile(join(folder, "a-file"), "");
    const given = options("unopened"), absent = { ...given, data: [join(folder, "absent.txt")] };
    const { code, reports } = await trainInRanks(2, [
      { options: given, ofRank: { 1: absent }, catches: true },
      { options: given, ofRank: { 0: absent }, catches: true },
      // A file is where rank 0 would write.
      { options: options("a-file"), catches: true },
    ]);
    assertEquals(code, 0);
    const [[ready, absentee, unwritable], [absentees, told, toldToo]] = reports.map((own) =>
      own.map(({ error }) => error!)
    );
    const fault = /absent\.txt.*no such file/;
    for (const error of [absentees, absentee]) assertMatch(error, fault);
    assertMatch(ready, /^rank 1 could not open the run: .*absent\.txt/);
    assertMatch(told, /^rank 0 could not open the run: .*absent\.txt/);
    assertEquals(toldToo, `rank 0 could not open the run: ${unwritable}`);
  });
});

Deno.test("docs/parallel.md has the bytes of the formula", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/parallel.md", import.meta.url));
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  for (
    const [model, rank] of [["llama_60m", 128], ["llama_1b", 512], ["llama_7b", 1024]] as const
  ) {
    const [, ...found] = text.match(new RegExp(`^\\| ${model}, ${rank} .*$`, "m"))![0]
      .split("|").map((cell) => cell.trim()).filter((cell) => cell);
    const of = (optimizer: "q_galore_adamw8bit" | "adamw" | "lora") => {
      const config = PRESETS[model], sizes = optimizer === "q_galore_adamw8bit" ? { rank } : {};
      const given = memoryOptions.parse({ model, optimizer, batchSize: 1, seqLen: 256, ...sizes });
      const shape = trainingShape(given, config);
      const optimizerShape = { ...shape.optimizer, exchange: true };
      return buildTraining(
        new PlanAllocator(),
        config,
        { ...shape, optimizer: optimizerShape },
        CONSUMER_CARD,
      );
    };
    const galore = of("q_galore_adamw8bit"), adamw = of("adamw");
    // Once more, by the shapes alone: two ranks send each float once.
    const { layers, hiddenSize, intermediateSize, vocabSize } = PRESETS[model];
    const whole = 2 * vocabSize * hiddenSize + (2 * layers + 1) * hiddenSize;
    const lowRank = layers * rank * (4 * hiddenSize + 3 * intermediateSize);
    const full = layers * hiddenSize * (4 * hiddenSize + 3 * intermediateSize);
    // Rows are padded to eight numbers.
    const close = (bytes: number, floats: number) =>
      assert(Math.abs(bytes / (4 * floats) - 1) < 2e-3);
    close(bytesPerStep(galore, 2), whole + lowRank);
    close(bytesPerStep(adamw, 2), whole + full);
    assertEquals(found, [
      megabytes(bytesPerStep(galore, 2)),
      megabytes(bytesPerStep(adamw, 2)),
      `${(bytesPerStep(adamw, 2) / bytesPerStep(galore, 2)).toFixed(1)}x`,
      megabytes(bytesPerRefresh(galore, 2)),
      megabytes(bytesPerStep(of("lora"), 2)),
    ]);
  }
});
