/** What a run does not wait for: reads of figures, compilers, bind groups. Counts, not times. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ENTRIES_FILE } from "../../src/formats/checkpoint/manifest.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import type { ProgressEvent, StepEvent } from "../../src/train/events.ts";
import type { PretrainOptions } from "../../src/train/options.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { trainingTest, withWorkshop } from "./support.ts";

/** What of WebGPU is counted. */
type Call = "mapAsync" | "createComputePipeline" | "createBindGroup";

/** A step's event, and what had been done when it came. */
interface Seen {
  readonly event: StepEvent;
  /** Steps that the GPU had been given. */
  readonly given: number;
  readonly calls: Readonly<Record<Call, number>>;
}

/** Trains, counting calls of WebGPU since the start. */
async function watched(options: PretrainOptions) {
  const calls: Record<Call, number> = { mapAsync: 0, createComputePipeline: 0, createBindGroup: 0 };
  const undo: (() => void)[] = [];
  const count = (prototype: object, name: Call) => {
    const methods = prototype as Record<Call, (...given: unknown[]) => unknown>;
    const original = methods[name];
    methods[name] = function (...given) {
      calls[name]++;
      return original.apply(this, given);
    };
    undo.push(() => methods[name] = original);
  };
  count(GPUBuffer.prototype, "mapAsync");
  count(GPUDevice.prototype, "createComputePipeline");
  count(GPUDevice.prototype, "createBindGroup");
  const gpu = await Gpu.open(), steps: Seen[] = [], progress: ProgressEvent[] = [];
  try {
    const trainer = await Trainer.pretrain(gpu, options), opened = { ...calls };
    for await (const event of trainer.run({ onProgress: (each) => progress.push(each) })) {
      if (event.type === "step") steps.push({ event, given: trainer.step, calls: { ...calls } });
    }
    return { steps, progress, opened };
  } finally {
    gpu.close();
    for (const each of undo) each();
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

const refreshing = (steps: readonly Seen[]) =>
  steps.filter(({ event }) => event.refreshed).map(({ event }) => event.step);

/** Any similarity lets the interval double at once; nothing is evaluated or saved on the way. */
const DOUBLING = { queueSize: 1, cosThreshold: 0, evalShare: 0, saveEvery: 0, saveMinutes: 0 };

trainingTest(
  "the GPU has the next step before the figures of a refresh come, in one map with its similarities",
  () =>
    withWorkshop(async ({ options }) => {
      const { steps } = await watched(options("run", { ...DOUBLING, updateProjGap: 2, steps: 10 }));
      // Steps count from 1, the rule's from 0: 0, 2, then 4 and 8 as the interval grows from 2 to 16.
      assertEquals(refreshing(steps), [1, 3, 5, 9]);
      for (const at of [1, 3, 5, 9]) {
        assertEquals(steps[at - 1].event.step, at);
        assertEquals(steps[at - 1].given, at + 1);
      }
      // Between two refreshes at most a map a step: on a slow machine each is read by itself.
      for (const [from, to] of [[1, 3], [3, 5], [5, 9]]) {
        const maps = steps[to - 1].calls.mapAsync - steps[from - 1].calls.mapAsync;
        assert(maps >= 1 && maps <= to - from, `${maps} maps from step ${from} to ${to}`);
      }
    }),
);

trainingTest(
  "a step whose refreshes hang on a similarity is given after it has come",
  () =>
    withWorkshop(async ({ options }) => {
      const { steps } = await watched(options("run", { ...DOUBLING, updateProjGap: 1, steps: 10 }));
      // From 0: 0, 1, then 2, 4 and 8 as the interval grows from 1 to 16.
      assertEquals(refreshing(steps), [1, 2, 3, 5, 9]);
      // Of an interval of 1, every step may be due.
      assertEquals([steps[0].given, steps[1].given], [1, 2]);
    }),
);

trainingTest(
  "no step waits for a compiler, and bind groups are made once",
  () =>
    withWorkshop(async ({ options, folder }) => {
      const { steps, progress, opened } = await watched(
        options("run", { updateProjGap: 2, evalEvery: 2, saveEvery: 0, steps: 8 }),
      );
      const compiling = progress.filter(({ phase }) => phase === "compiling kernels");
      const begun = progress.findIndex(({ phase }) => phase === "training");
      assert(compiling.length > 0 && progress.indexOf(compiling.at(-1)!) < begun);
      const [first, last] = [steps[0].calls, steps.at(-1)!.calls];
      assertEquals(compiling[0].done, 0);
      assertEquals(
        compiling[0].total,
        first.createComputePipeline - opened.createComputePipeline,
      );
      // A refresh from a known subspace, and evaluations, come after the first step.
      assertEquals(last.createComputePipeline, first.createComputePipeline);
      assertEquals(last.createBindGroup, steps[4].calls.createBindGroup);
      // The first step may be a slow one: two layers there and back, and seven matrices in each.
      const firstStep = progress.filter(({ step, part }) => step === 1 && part);
      assertEquals(firstStep.map(({ done }) => done), upTo(18));
      assertEquals(firstStep.at(-1)!.total, 18);
      const refreshes = firstStep.filter(({ part }) => part === "refresh");
      assertEquals(refreshes.map(({ subspace }) => subspace), upTo(14));
      assertEquals(refreshes.map(({ layer }) => layer), [...Array(7).fill(1), ...Array(7).fill(2)]);
      const entries = join(folder, "run", "checkpoint-8", ENTRIES_FILE);
      const saved = progress.filter(({ phase }) => phase === "saving a checkpoint").at(-1)!;
      assertEquals([saved.done, saved.total], [saved.total, (await Deno.stat(entries)).size]);
    }),
);
