import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { OutOfMemoryError } from "../../src/gpu/errors.ts";
import type { DoneEvent } from "../../src/train/events.ts";
import { PRESETS } from "../../src/model/config.ts";
import { planMemory } from "../../src/train/plan.ts";
import { type MemoryInput, memoryOptions } from "../../src/train/memory_options.ts";
import { shapeWarnings, trainingShape } from "../../src/train/method.ts";
import { isLowRank, WEIGHT_METHODS } from "../../src/train/method_fields.ts";
import { methodOf } from "../../src/train/methods.ts";
import { assertFits, DoesNotFitError } from "../../src/train/does_not_fit.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { tryMemory } from "../../src/train/try_memory.ts";
import { gpuTest } from "../support.ts";
import { limitAddressSpace } from "../support_memory.ts";
import { methodSizes, runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

const SETTINGS: Record<string, Record<string, unknown>> = {
  "Q-GaLore": {},
  "Q-GaLore, checkpointing in INT8, two micro-batches": {
    activationCheckpointing: true,
    activationQuant: true,
    gradientAccumulation: 2,
  },
  "GaLore in float32": { optimizer: "galore_adamw", dtype: "float32", batchSize: 5, rank: 8 },
  "full-rank AdamW, 8 bits throughout": {
    optimizer: "adamw8bit",
    embeddingOptimizer: "adamw8bit",
    rank: undefined,
    seqLen: 33,
  },
};

/** Options of `memory` for a run of {@link withWorkshop}. */
const sizes = (change: Record<string, unknown>): MemoryInput => ({
  model: "./config.json",
  batchSize: 3,
  seqLen: 24,
  ...methodSizes(change),
  ...change,
});

for (const [name, change] of Object.entries(SETTINGS)) {
  const config = { ...TINY, tieWordEmbeddings: name === "GaLore in float32" };
  trainingTest(
    `${name}: planned bytes are allocated bytes`,
    () =>
      withWorkshop(async ({ options }) => {
        const { events, account } = await runTraining(options("run", { steps: 3, ...change }));
        const plan = events.find((event) => event.type === "plan")!;
        const { summary } = events.at(-1) as DoneEvent;
        assertEquals(plan.planned_peak_bytes, account.peak);
        for (const event of events) {
          if (event.type !== "step") continue;
          assertEquals(event.gpu_bytes, account.peak, "nothing is allocated or freed meanwhile");
        }
        assertEquals(account.live, 0, "the end of the run gives it back");
        assertEquals(summary.gpu_peak_bytes, account.peak);
        const total = Object.values(plan.by_purpose).reduce((sum, bytes) => sum + bytes, 0);
        assertEquals(total, account.peak);
      }, config),
  );
}

trainingTest(
  "what samples take is in the plan, and is given back",
  () =>
    withWorkshop(async ({ options }) => {
      const change = { steps: 2, samplePrompt: ["First"], sampleTokens: 8, evalEvery: 1 };
      const { events, account } = await runTraining(options("run", change));
      const plain = await runTraining(options("plain", { steps: 2 }));
      const plan = events.find((event) => event.type === "plan")!;
      assertEquals(plan.planned_peak_bytes, account.peak);
      assertEquals(account.live, plain.account.live);
    }),
);

trainingTest(
  "a run that cannot fit is refused before it allocates, with what would fit",
  () =>
    withWorkshop(async ({ options }) => {
      const error = await assertRejects(
        () => runTraining(options("run", { batchSize: 64, gpuMemory: 4 / 1024 })),
        DoesNotFitError,
        "GPU memory",
      );
      const [{ options: smaller, bytes }] = error.alternatives;
      assertEquals(Object.keys(smaller), [
        "activationCheckpointing", // activationQuant would save less than a hundredth
        "embeddingQuant",
        "batchSize",
      ]);
      const { account } = await runTraining(options("run", { ...smaller, steps: 1 }));
      assertEquals(account.peak, bytes);
      assertEquals(account.peak <= 4 * 2 ** 20, true, `${account.peak} bytes`);
    }),
);

const TRIALS: Record<string, Record<string, unknown>> = {
  "low rank, accumulated": { gradientAccumulation: 3 },
  "full rank": { optimizer: "muon" },
  adapters: { optimizer: "qlora" },
  "embedding in host memory, head in 4 bits": {
    finetune: true,
    offloadEmbedding: true,
    embedding4bit: true,
  },
};

for (const [name, change] of Object.entries(TRIALS)) {
  gpuTest(`a trial allocates what is planned, and takes a step: ${name}`, async (gpu) => {
    const seen: string[] = [];
    using memory = gpu.account.watch();
    const { gpuPeakBytes, plan, seconds } = await tryMemory(gpu, TINY, sizes(change), {
      onProgress: (what) => seen.push(what),
    });
    assertEquals([gpuPeakBytes, memory.live], [plan.plannedPeakBytes, 0]);
    const { optimizer } = memoryOptions.parse(sizes(change));
    assertEquals(seconds.refreshingStep !== undefined, isLowRank(methodOf(optimizer)));
    assertEquals(seen.at(-1), "a step through one layer");
  });
}

/** Linux's way to take memory away from a software adapter. */
const canLimit = Deno.build.os === "linux";

trainingTest(
  "memory that the driver refuses ends a run with what fits; the device stays",
  () =>
    withWorkshop(async ({ options }) => {
      using gpu = await Gpu.open();
      if (!canLimit || !gpu.capabilities.software) return;
      const large = options("run", { batchSize: 8192, seqLen: 64, steps: 1, evalShare: 0 });
      let error: DoesNotFitError;
      {
        await using _limit = await limitAddressSpace(1 << 30);
        error = await assertRejects(() => Trainer.pretrain(gpu, large), DoesNotFitError);
        const tried = () => tryMemory(gpu, TINY, sizes({ batchSize: 8192, seqLen: 64 }));
        await assertRejects(tried, DoesNotFitError, "and refused more");
      }
      assertMatch(
        error.message,
        /^this run needs \d\.\d+ GiB of GPU memory; the driver gave [\d.]+ MiB and refused more$/,
      );
      assertEquals(gpu.account.live, 0);
      const [{ options: smaller, bytes }] = error.alternatives;
      assertEquals(bytes < 2 ** 29, true, "half a GiB is left to the driver");
      using trainer = await Trainer.pretrain(gpu, { ...large, ...smaller });
      assertEquals(trainer.plan.plannedPeakBytes, bytes);
      assertEquals(gpu.account.live, bytes);
    }),
);

trainingTest(
  "a device that is lost before the first step ends a run with what is smaller",
  () =>
    withWorkshop(async ({ options }) => {
      using gpu = await Gpu.open();
      const recipe = await pretrainRecipe(options("run", {}));
      const start = async () => {
        gpu.device.destroy();
        await gpu.device.lost;
      };
      const opening = () => Trainer.open(gpu, { ...recipe, start });
      const error = await assertRejects(opening, DoesNotFitError, "the device was lost");
      assertEquals(gpu.account.live, 0);
      assertEquals(error.alternatives, [], "half of what it needs is less than drivers take");
    }),
);

Deno.test("the gradient of no projected matrix of LLaMA-7B has memory of its own", () => {
  const size = { model: "llama_7b", batchSize: 16, seqLen: 256, activationCheckpointing: true };
  const options = memoryOptions.parse({ ...size, rank: 1024 }), config = PRESETS.llama_7b;
  const plan = planMemory(config, trainingShape(options, config), CONSUMER_CARD);
  // A block of 2,048 rows of the head's, where the 11008 x 4096 of a feed-forward matrix took 180 MB.
  assertEquals(plan.byPurpose.gradients, 4 * 2048 * 4096);
});

Deno.test("the methods that are said to need least memory do, with gradients accumulated and without", () => {
  for (const model of ["llama_60m", "llama_1b", "llama_7b"] as const) {
    for (const finetune of [false, true]) {
      const smallest = (gradientAccumulation: number) => {
        const peaks = WEIGHT_METHODS.map((optimizer) => {
          const size = { model, seqLen: 256, activationCheckpointing: true, finetune };
          const options = memoryOptions.parse({ ...size, optimizer, gradientAccumulation });
          const config = PRESETS[model];
          return planMemory(config, trainingShape(options, config), CONSUMER_CARD).plannedPeakBytes;
        });
        return WEIGHT_METHODS[peaks.indexOf(Math.min(...peaks))];
      };
      assertEquals([smallest(1), smallest(4)], ["q_apollo_mini", "q_galore_adamw8bit"], model);
    }
  }
});

Deno.test("a rank above a matrix's smaller side is noted for GaLore and APOLLO", () => {
  const config = PRESETS.llama_60m;
  for (const optimizer of ["galore_adamw", "apollo"] as const) {
    const warnings = (rank: number) => {
      const options = memoryOptions.parse({ model: "llama_60m", optimizer, rank });
      return shapeWarnings(config, trainingShape(options, config));
    };
    assertEquals(warnings(512), []);
    assertEquals(warnings(600), [
      "rank 600 is larger than every projection allows: using 512 there",
    ]);
  }
});

Deno.test("a tensor larger than any buffer is refused with what makes it smaller", () => {
  const options = memoryOptions.parse({ model: "llama_nano", batchSize: 64 });
  const run = { config: TINY, options, shape: trainingShape(options, TINY) };
  const limits = { ...CONSUMER_CARD.limits, maxBufferSize: 1 << 20 };
  const error = assertThrows(
    () => assertFits(run, { ...CONSUMER_CARD, limits }, Infinity),
    OutOfMemoryError,
    "needs one buffer of",
  );
  assertEquals(error.hint, "lower batchSize or seqLen, or choose a smaller model");
});
