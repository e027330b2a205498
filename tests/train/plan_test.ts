import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { OutOfMemoryError } from "../../src/gpu/errors.ts";
import type { DoneEvent } from "../../src/train/events.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { assertFits, DoesNotFitError } from "../../src/train/does_not_fit.ts";
import { runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

const SETTINGS: Record<string, Record<string, unknown>> = {
  "Q-GaLore": {},
  "Q-GaLore, checkpointing, two micro-batches": {
    activationCheckpointing: true,
    gradientAccumulation: 2,
  },
  "GaLore in float32": { optimizer: "galore_adamw", dtype: "float32", batchSize: 5, rank: 8 },
  "full-rank AdamW, 8 bits throughout": {
    optimizer: "adamw8bit",
    embeddingAdam8bit: true,
    rank: undefined,
    seqLen: 33,
  },
};

for (const [name, change] of Object.entries(SETTINGS)) {
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
      }, { ...TINY, tieWordEmbeddings: name === "GaLore in float32" }),
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
        "activationCheckpointing",
        "embeddingAdam8bit",
        "batchSize",
      ]);
      const { account } = await runTraining(options("run", { ...smaller, steps: 1 }));
      assertEquals(account.peak, bytes);
      assertEquals(account.peak <= 4 * 2 ** 20, true, `${account.peak} bytes`);
    }),
);

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
