/** `--rank auto`, from the first gradients to a run that is resumed. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { OutOfMemoryError } from "../../src/gpu/errors.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { uploadRope } from "../../src/model/llama.ts";
import type { Parameter } from "../../src/model/parameters.ts";
import { formatBytes } from "../../src/text.ts";
import { buildTraining } from "../../src/train/build.ts";
import { newestCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import type { RankAdviceEvent, StepEvent, TrainingEvent } from "../../src/train/events.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { planMemory } from "../../src/train/plan.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import { type AdviceOptions, adviseRanks } from "../../src/train/choose_ranks.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import { forwardAndBack } from "../../src/model/pass.ts";
import { svd } from "../oracles/svd.ts";
import { download, sharedGpu } from "../support.ts";
import { runFinetuning, runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

const AUTO = { rank: "auto", energyShare: 0.95 };

function adviceOf(events: readonly TrainingEvent[]): RankAdviceEvent | undefined {
  return events.find((event) => event.type === "rank_advice");
}

/** Energy curves of the gradients of successive batches by SVD, by name. */
async function exactCurves(gpu: Gpu, recipe: Recipe, count: number) {
  using scope = new Scope(gpu);
  const training = buildTraining(scope, recipe.config, recipe.shape, gpu.capabilities);
  uploadRope(gpu, training.model);
  await recipe.start(gpu, training);
  const kept = new Map<Parameter, Tensor>();
  const sink = {
    target(parameter: Parameter) {
      const { name, shape } = parameter, purpose = "workspace";
      const gradient = kept.get(parameter) ??
        scope.tensor({ name, shape, dtype: "float32", purpose });
      kept.set(parameter, gradient);
      return { gradient, accumulate: false };
    },
    consume() {},
  };
  const curves = new Map<string, number[][]>();
  const { batches } = await recipe.openData();
  for (let step = 0; step < count; step++) {
    const batch = (await batches.next())!;
    const loss = { out: training.losses, index: 0, accumulate: false };
    forwardAndBack(new KernelPass(gpu), training, batch, { sink, loss, gradScale: 1 });
    for (const [{ name, kind, shape: [m, n] }, gradient] of kept) {
      if (kind !== "projection") continue;
      const values = await download(gpu, gradient);
      const squares = svd(values, m, n).values.map((value) => value * value);
      const total = squares.reduce((a, b) => a + b, 0);
      let sum = 0;
      const curve = Array.from(squares, (square) => (sum += square) / total);
      curves.set(name, [...curves.get(name) ?? [], curve.slice(0, Math.min(m, n))]);
    }
  }
  await batches.close();
  return curves;
}

trainingTest(
  "ranks are those that an SVD of the first gradients gives",
  () =>
    withWorkshop(async ({ options }) => {
      const recipe = await pretrainRecipe(
        options("run", { ...AUTO, optimizer: "galore_adamw", dtype: "float32" }),
      );
      const gpu = await sharedGpu();
      const exact = await exactCurves(gpu, recipe, 3);
      const before = gpu.account.live;
      for (const share of [0.6, 0.9]) {
        const { event } = await adviseRanks(gpu, recipe, { share, limit: Infinity, batches: 3 });
        assertEquals(event.matrices.length, 7 * TINY.layers);
        for (const { name, shape, rank, energy } of event.matrices) {
          const curves = exact.get(name)!;
          const mean = curves[0].map((_, i) => curves.reduce((sum, c) => sum + c[i], 0) / 3);
          const least = 1 + mean.findIndex((energy) => energy >= share);
          const rounded = Math.min(Math.max(8, Math.ceil(least / 8) * 8), ...shape);
          // A float32 sum on the other side of the line is a step of 8; none falls there here.
          assertEquals(rank, rounded, `${name}, ${share}: ${rank}, ${mean}`);
          assert(Math.abs(energy - mean[rank - 1]) < 1e-5, `${name}: ${energy}, ${mean}`);
        }
      }
      assertEquals(gpu.account.live, before, "everything is released");
    }),
);

trainingTest(
  "advice is the same twice, in small groups, and within the memory it plans",
  () =>
    withWorkshop(async ({ options }) => {
      const recipe = await pretrainRecipe(options("run", { ...AUTO, gradientAccumulation: 2 }));
      const gpu = await sharedGpu();
      const advise = async (change: Partial<AdviceOptions> = {}) => {
        using account = gpu.account.watch();
        const advice = await adviseRanks(gpu, recipe, { share: 0.8, limit: Infinity, ...change });
        assertEquals([account.peak, account.live], [advice.plannedPeakBytes, 0]);
        return advice;
      };
      const { event, plannedPeakBytes } = await advise();
      assertEquals((await advise()).event, event);
      const run = planMemory(recipe.config, recipe.shape, gpu.capabilities).plannedPeakBytes;
      assert(plannedPeakBytes <= run, `${plannedPeakBytes} bytes, the run ${run}`);

      // With less memory fewer spectra are held at a time, and batches pass through the model
      // more often.
      const slot = 4 * (40 * 40 + 8), least = plannedPeakBytes - 13 * slot;
      const tight = await advise({ limit: least + 3 * slot });
      assertEquals(tight.plannedPeakBytes, least + 3 * slot);
      assertEquals(tight.event, event);
      await assertRejects(
        () => advise({ limit: least - 1 }),
        OutOfMemoryError,
        `rank: "auto" needs ${formatBytes(least, 4)} of GPU memory to measure the first gradients`,
      );

      // Not all directions, but the leading sixteen of forty: what the share needs is among them.
      const some = await advise({ directions: 16, share: 0.5 });
      const all = await advise({ share: 0.5 });
      assertEquals(
        some.event.matrices.map(({ rank }) => rank),
        all.event.matrices.map(({ rank }) => Math.min(rank, 16)),
      );
    }),
);

trainingTest(
  "a run takes the ranks that it was advised, plans with them and resumes with them",
  () =>
    withWorkshop(async ({ options, folder }) => {
      const { events, account } = await runTraining(options("whole", AUTO));
      const [plan, advice] = events;
      assert(plan.type === "plan" && advice.type === "rank_advice");
      assertEquals(account.peak, plan.planned_peak_bytes);
      const { optimizer_state, projections } = plan.by_purpose;
      assertEquals(advice.bytes.advised, optimizer_state + projections);
      assert(new Set(advice.matrices.map(({ rank }) => rank)).size > 1, "ranks differ");
      assert(advice.matrices.every(({ energy }) => energy >= 0.95 - 1e-4));
      const checkpoint = (await newestCheckpoint(join(folder, "whole"))).checkpoint!;
      for (const { name, shape, rank } of advice.matrices) {
        // int4 rows of the smaller side, which is 24 or 40: no padding.
        assertEquals(checkpoint.bytes(`${name}.projection`), rank * Math.min(...shape) / 2, name);
      }
      const start = await runTraining(options("parts", AUTO), { until: 3 });
      assertEquals(adviceOf(start.events), advice);
      // Another share would mean other ranks: too late to change.
      const resumed = await runTraining(
        options("parts", { ...AUTO, energyShare: 0.2, resume: "auto" }),
      );
      assertEquals(adviceOf(resumed.events), undefined);
      const again = resumed.events.find((event) => event.type === "plan")!;
      assertEquals(resumed.account.peak, again.planned_peak_bytes);
      const bytes = (name: string) => Deno.readFile(join(folder, name, "model/model.safetensors"));
      assertEquals(await bytes("parts"), await bytes("whole"));

      await assertRejects(
        () => runTraining(options("parts", { rank: 16, resume: "auto" })),
        UserError,
        'rank was "auto", is 16',
      );
      const fixed = await runTraining(options("fixed", { rank: 16, steps: 1, warmupSteps: 0 }));
      assertEquals(adviceOf(fixed.events), undefined);
      // Choosing ranks does not consume the run's data: compare the loss before the first update.
      const first = (of: readonly TrainingEvent[]) =>
        (of.find((event) => event.type === "step") as StepEvent).loss;
      assertEquals(first(events), first(fixed.events));
      await assertRejects(
        () => runTraining(options("fixed", { ...AUTO, steps: 1, warmupSteps: 0, resume: "auto" })),
        UserError,
        'rank was 16, is "auto"',
      );
    }),
);

trainingTest(
  "fine-tuning a tied model, its embedding trained as well",
  () =>
    withWorkshop(async ({ folder }) => {
      const model = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));
      const data = join(folder, "train.jsonl");
      const lines = ["red", "green", "blue", "black", "white"].flatMap((word, i) =>
        [1, 2, 3, 4].map((times) =>
          JSON.stringify({ prompt: `${times + i} x ${word}: `, completion: word.repeat(times) })
        )
      );
      await Deno.writeTextFile(data, lines.join("\n"));
      const { events, account } = await runFinetuning(finetuneOptions.parse({
        ...{ model, tokenizer: "bytes", data: [data], evalShare: 0, output: join(folder, "run") },
        ...{ batchSize: 2, seqLen: 64, steps: 2, warmupSteps: 0, gradientAccumulation: 2 },
        ...{ trainEmbeddings: true, rank: "auto" },
      }));
      const plan = events.find((event) => event.type === "plan")!;
      assertEquals(account.peak, plan.planned_peak_bytes);
      const advice = adviceOf(events)!;
      assertEquals(advice.share, 0.9);
      assert(advice.matrices.every(({ rank, shape }) => rank <= Math.min(...shape)));
    }),
);
