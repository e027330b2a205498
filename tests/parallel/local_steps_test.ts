/** Ranks that train by themselves and meet in outer steps, against a float64 loop over their weights. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { type Checkpoint, readCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import { runTraining, withWorkshop } from "../train/support.ts";
import { mpiTest } from "./support.ts";
import { trainInRanks } from "./support_runs.ts";

/** The weights in a checkpoint of float32 AdamW, of a rank or as the ranks last met: by name. */
async function weights(checkpoint: Checkpoint, { before = "", after = "" } = {}) {
  const names = checkpoint.names.filter((name) => name.endsWith(".outer.met"))
    .map((name) => name.slice(0, -".outer.met".length));
  const entries = names.map(async (name) => {
    const { buffer } = await checkpoint.read(`${before}${name}${after}`);
    return [name, Float64Array.from(new Float32Array(buffer))] as const;
  });
  return new Map(await Promise.all(entries));
}

/** Algorithm 1 of arXiv 2311.08105, with PyTorch's Nesterov momentum, on one number after another. */
function outerStep(
  met: Float64Array,
  ranks: readonly Float64Array[],
  momentum: Float64Array,
  { lr, mu }: { readonly lr: number; readonly mu: number },
): Float64Array {
  return met.map((old, i) => {
    const delta = ranks.reduce((sum, rank) => sum + (old - rank[i]), 0) / ranks.length;
    momentum[i] = mu * momentum[i] + delta;
    return old - lr * (delta + mu * momentum[i]);
  });
}

mpiTest("2 ranks take the outer steps of a float64 loop, and go on bit for bit", async () => {
  await withWorkshop(async ({ options, folder }) => {
    const path = (name: string, step: number) => join(folder, name, `checkpoint-${step}`);
    const plain = {
      optimizer: "adamw",
      dtype: "float32",
      scheduler: "constant",
      warmupSteps: 0,
      lr: 0.01,
      evalShare: 0,
      keepCheckpoints: 9,
    };
    const outer = { outerLr: 0.6, outerMomentum: 0.8 };
    const run = { ...plain, ...outer, localSteps: 2, steps: 4, saveEvery: 1 };
    // The same steps, but ranks do not meet after them.
    const apart = { ...run, localSteps: 100 };
    const quantised = { steps: 5, localSteps: 2, saveEvery: 3, evalEvery: 1 };
    const methods = ["q_galore_adamw8bit", "galore_adamw", "lora"];
    const wire: Readonly<Record<string, string>> = { lora: "bfloat16" };
    const { code, stderr, reports: [leads, follows] } = await trainInRanks(2, [
      { options: options("run", run) },
      { options: options("apart", apart) },
      { options: options("apart-2", { ...apart, steps: 5, resume: path("run", 2) }) },
      // From the middle of a round.
      { options: options("resumed", { ...run, resume: path("run", 3) }) },
      ...methods.map((optimizer) => ({
        options: options(optimizer, {
          ...quantised,
          optimizer,
          communicationDataType: wire[optimizer],
        }),
      })),
      { options: options("galore-2", { ...quantised, resume: path(methods[0], 3) }) },
    ]);
    assertEquals([code, leads.length], [0, 5 + methods.length], stderr);

    // One outer step after two steps, another after two more.
    const first = await readCheckpoint(path("apart", 2)), met = await weights(first, MET);
    const momentum = new Map(
      [...met].map(([name, { length }]) => [name, new Float64Array(length)]),
    );
    const rates = { lr: outer.outerLr, mu: outer.outerMomentum };
    for (
      const [before, after, from] of [
        [first, "run", met],
        [await readCheckpoint(path("apart-2", 4)), "run", undefined],
      ] as const
    ) {
      const step = from ? 2 : 4, start = from ?? await weights(before, MET);
      const ranks = [await weights(before), await weights(before, RANK_1)];
      const now = await readCheckpoint(path(after, step));
      const [mine, theirs, kept] = [
        await weights(now),
        await weights(now, RANK_1),
        await weights(now, MET),
      ];
      assertEquals(theirs, mine);
      assertEquals(kept, mine);
      let apartness = 0;
      for (const [name, old] of start) {
        const own = ranks.map((rank) => rank.get(name)!);
        const expected = outerStep(old, own, momentum.get(name)!, rates);
        for (const [i, value] of expected.entries()) {
          // Five float32 roundings of numbers below 2.
          assert(Math.abs(value - mine.get(name)![i]) < 3e-7, `${name}[${i}], step ${step}`);
          apartness = Math.max(apartness, Math.abs(own[0][i] - own[1][i]));
        }
      }
      assert(apartness > 1e-3, "the ranks have trained on the same");
    }

    const entries = (name: string, step: number) =>
      Deno.readFile(join(path(name, step), "entries.bin"));
    assertEquals(await entries("resumed", 4), await entries("run", 4));
    assertEquals(await entries("galore-2", 5), await entries(methods[0], 5));
    for (const [index, optimizer] of methods.entries()) {
      const leader = leads[4 + index], follower = follows[4 + index];
      // Before the first step, and after each of three meetings.
      assert(leader.checksums.length >= 4);
      for (const [first, second] of leader.checksums) assertEquals(second, first, optimizer);
      const evaluated = leader.events.flatMap((event) => event.type === "eval" ? [event.step] : []);
      assertEquals(evaluated, [2, 4, 5], optimizer);
      const plan = leader.events.find((event) => event.type === "plan")!;
      assertEquals(plan.local_steps, 2);
      // Of each number half in either direction, and twice; the other half rounded up.
      const bytes = wire[optimizer] ? 2 : 4;
      assert(Math.abs(plan.exchanged_bytes! - bytes * plan.trained_parameters / 2) <= bytes);
      for (const { sums } of [leader, follower]) {
        assertEquals(sums.reduce((a, b) => a + b), 3 * 2 * plan.exchanged_bytes!, optimizer);
      }
    }

    // One process goes on with what two have saved, and says what becomes of the other's.
    const alone = options("run", { ...run, steps: 6, resume: path("run", 4) });
    const { events } = await runTraining(alone);
    const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
    assertStringIncludes(
      warnings.join("\n"),
      "step 4 was trained by 2 at a time, and the next is by 1",
    );
    assert(events.at(-1)?.type === "done");
  });
});

const MET = { after: ".outer.met" }, RANK_1 = { before: "rank1." };
