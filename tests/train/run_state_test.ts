/** Checkpoints of other versions, and what identifies another run. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { FLAGS } from "../../src/options/spelling.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { readCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import type { DoneEvent } from "../../src/train/events.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import { resumedRecipe } from "../../src/train/resumed_recipe.ts";
import { assertSameRun, identityOf } from "../../src/train/run_identity.ts";
import { readRunState } from "../../src/train/run_state.ts";
import type { LoraModules } from "../../src/model/lora_shape.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

/**
 * Step 3 of 6 of the workshop's run, written by the first version, whose record of a run had sizes
 * and rates in one and its optimizer as bits. The losses of its steps 4 to 6, undisturbed:
 */
const FIRST = new URL("../fixtures/checkpoints/first/", import.meta.url);
const LOSSES = [5.021887037489149, 4.713412390814887, 4.703524271647136];

trainingTest(
  "a checkpoint of the first version goes on as it would have",
  () =>
    withWorkshop(async ({ options }) => {
      const run = options("run");
      const checkpoint = join(run.output, "checkpoint-3");
      await Deno.mkdir(checkpoint, { recursive: true });
      for (const file of ["manifest.json", "entries.bin"]) {
        await Deno.copyFile(new URL(file, FIRST), join(checkpoint, file));
      }
      // Before there was a choice, embedding and head had float32 moments.
      await assertRejects(
        () => runTraining({ ...run, embeddingOptimizer: "adam_factored", resume: "auto" }),
        UserError,
        'embeddingOptimizer was "adamw", is "adam_factored"',
      );
      const { events } = await runTraining({ ...run, resume: "auto" });
      const { summary } = events.at(-1) as DoneEvent;
      assertEquals(summary.embedding_optimizer, "adamw");
      const steps = events.filter((event) => event.type === "step");
      assertEquals(steps.map(({ step }) => step), [4, 5, 6]);
      for (const [i, { loss }] of steps.entries()) {
        // The same bits on the adapter that it was written on; bfloat16 on any other.
        assert(Math.abs(loss - LOSSES[i]) < 0.02, `step ${i + 4}: ${loss}, was ${LOSSES[i]}`);
      }
      const state = readRunState(await readCheckpoint(checkpoint));
      assertEquals(state.shape.optimizer, {
        rules: { matrices: "adam8bit", embeddings: "adam", others: "adam8bit" },
        projection: { rank: 16, ranks: undefined, quantised: true, groupSize: 256 },
        gradientAccumulation: 1,
      });
    }),
);

trainingTest(
  "a run keeps the update rule of embedding and head that it began with",
  () =>
    withWorkshop(async ({ folder, options }) => {
      const begun = {
        embeddingOptimizer: "adam_factored",
        optimizer: "adamw",
        steps: 4,
        saveEvery: 2,
      };
      await runTraining(options("whole", begun));
      await runTraining(options("stopped", begun), { until: 2 });
      const { embeddingOptimizer: _, ...open } = begun;
      const { events } = await runTraining(options("stopped", { ...open, resume: "auto" }));
      const notes = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
      assertEquals(notes, [
        "embedding and head keep the moments of the checkpoint: " +
        'embeddingOptimizer: "adam_factored", where a new run has adamw',
      ]);
      const { summary } = events.at(-1) as DoneEvent;
      assertEquals(summary.embedding_optimizer, "adam_factored");
      const [whole, resumed] = await Promise.all(
        ["whole", "stopped"].map((run) =>
          Deno.readFile(join(folder, run, "model", "model.safetensors"))
        ),
      );
      assertEquals(resumed, whole);
      const card = await Deno.readTextFile(join(folder, "stopped", "model", "README.md"));
      assertStringIncludes(card, "embedding_optimizer: adam_factored");
      await assertRejects(
        () =>
          runTraining(
            options("stopped", { ...begun, embeddingOptimizer: "adamw", resume: "auto" }),
          ),
        UserError,
        'embeddingOptimizer was "adam_factored", is "adamw"',
      );
    }),
);

trainingTest(
  "a run that clips by the common norm goes on so, or says that it does not",
  () =>
    withWorkshop(async ({ folder, options }) => {
      const begun = { optimizer: "adamw", steps: 4, saveEvery: 2, maxGradNorm: 0.1 };
      const waiting = { ...begun, layerwise: false };
      await runTraining(options("whole", waiting));
      await runTraining(options("stopped", waiting), { until: 2 });
      const resumed = async (change: Record<string, unknown>, until?: number) => {
        const own = options("stopped", { ...change, resume: "auto" });
        const { events } = await runTraining(own, { until });
        return events.flatMap((event) => event.type === "warning" ? [event.message] : []).join();
      };
      assertStringIncludes(await resumed(begun, 3), "as in the checkpoint: layerwise: false");
      const other = await resumed({ ...begun, layerwise: true }, 3);
      assertStringIncludes(other, "other options: layerwise was false, is true");
      await runTraining(options("again", waiting), { until: 2 });
      await runTraining(options("again", { ...begun, resume: "auto" }));
      const bytes = (run: string) => Deno.readFile(join(folder, run, "model/model.safetensors"));
      assertEquals(await bytes("again"), await bytes("whole"));
    }),
);

trainingTest(
  "what is compared of two runs, each difference by its name",
  () =>
    withWorkshop(async ({ options }) => {
      const identity = async (change: Record<string, unknown>) =>
        identityOf(await pretrainRecipe(options("run", change)));
      const run = await identity({});
      const same = (change: Record<string, unknown>) =>
        identity(change).then((now) => assertSameRun("here", run, now));
      // Memory, speed and rates may change.
      await same({ activationCheckpointing: true, gradientAccumulation: 4, lr: 1, beta1: 0.5 });
      await same({ activationCheckpointing: true, activationQuant: true });
      for (
        const [change, message] of [
          [{ rank: 8 }, "run: rank was 16, is 8"],
          [{ seed: 7 }, "seed was 42, is 7"],
          [{ optimizer: "galore_adamw8bit" }, "projQuant was true, is false"],
          [{ momentumReset: 7 }, "run: momentumReset was 0, is 7"],
          [{ optimizer: "adamw8bit" }, "; rank was 16, is not set"],
          [
            { embeddingOptimizer: "adamw8bit" },
            'run: embeddingOptimizer was "adam_factored", is "adamw8bit"',
          ],
        ] as const
      ) {
        await assertRejects(() => same(change), UserError, message);
      }
      assertStringIncludes(
        explain(await assertRejects(() => same({ rank: 8, seqLen: 16 }), UserError), FLAGS),
        "; --rank was 16, is 8",
      );
      // A value that is left open is the checkpoint's, whatever is usual now.
      const steadied = await pretrainRecipe(options("run", { stableSpam: true }));
      const saved = {
        ...steadied,
        rates: { ...steadied.rates, momentumReset: 7 },
      };
      const { recipe, notes } = resumedRecipe(steadied, saved);
      assertEquals([recipe.rates.momentumReset, notes.length], [7, 1]);
      assertSameRun("here", identityOf(saved), identityOf(recipe));
      const narrow = { ...run, shape: { ...run.shape, embeddings: "nf4" as const } };
      assertEquals(
        assertThrows(() => assertSameRun("here", narrow, run), UserError).message,
        "checkpoint here belongs to a different run: the format of embedding and head " +
          '(embeddingQuant, embedding4bit) was "nf4", is "bfloat16"',
      );
      assertThrows(
        () => assertSameRun("here", run, { ...run, objective: "mine" }),
        UserError,
        'objective was "cross_entropy", is "mine"',
      );
    }),
);

Deno.test("a state that is none is refused by what is wrong with it", () => {
  const path = "runs/x/checkpoint-3";
  for (
    const [state, message] of [
      [null, "checkpoint runs/x/checkpoint-3: invalid state"],
      [{ step: "three" }, "step"],
      [{ step: 3, tokens: 1, loss: 1, lazy: { a: { interval: -1 } } }, "lazy.a.interval"],
    ] as const
  ) {
    assertThrows(() => readRunState({ path, state }), UserError, message);
  }
});

Deno.test("a continued rsLoRA adapter is the same run as when its alpha had √r in it", () => {
  const given = { model: "-", data: ["-"], output: "-", optimizer: "lora" } as const;
  const shape = trainingShape(finetuneOptions.parse(given), TINY);
  const run = (lora: LoraModules) => ({
    config: TINY,
    shape: { ...shape, lora: { ...lora, dropout: 0 } },
    rates: { seed: 1 },
    objective: "cross_entropy",
  });
  const module = "model.layers.0.self_attn.q_proj";
  const before = run({ modules: { [module]: { rank: 4, alpha: 32 } } });
  const now = (alpha: number) =>
    run({ modules: { [module]: { rank: 4, alpha } }, rankStabilised: true });
  assertSameRun("checkpoint-1", before, now(16));
  assertThrows(() => assertSameRun("checkpoint-1", before, now(8)), UserError, "different run");
});
