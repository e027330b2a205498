import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { PRESETS } from "../../src/model/config.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { routeOf } from "../../src/optim/gradient_route.ts";
import { BLOCKS } from "../../src/optim/optimizer_shape.ts";
import { withDefaults } from "../../src/options/schema.ts";
import { ALONE } from "../../src/parallel/ranks.ts";
import { assertFits, DoesNotFitError } from "../../src/train/does_not_fit.ts";
import { atOnce, MOST_SEQUENCES, nearestFits, planFit } from "../../src/train/fit.ts";
import { type PretrainInput, pretrainOptions } from "../../src/train/options.ts";
import type { Recipe } from "../../src/train/recipe.ts";
import { sharedRecipe } from "../../src/train/team.ts";
import { runMemoryOfCard } from "../../src/train/gpu_memory.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { trainingShape } from "../../src/train/method.ts";
import { FINETUNE_METHODS, PRETRAIN_METHODS } from "../../src/train/method_fields.ts";
import { METHOD_NAMES } from "../../src/train/methods.ts";
import { planMemory } from "../../src/train/plan.ts";
import { SAVINGS } from "../../src/train/savings.ts";
import { Sizing } from "../../src/train/sizing.ts";

const config = PRESETS.llama_130m, bytes = 3e9;

function planWith(options: Record<string, unknown>) {
  const parsed = memoryOptions.parseUnknown({ model: "llama_130m", ...options });
  return planMemory(config, trainingShape(parsed, config), CONSUMER_CARD);
}

Deno.test("each fit is the plan of its options, and one sequence more does not fit", () => {
  const fits = planFit(config, { model: "llama_130m", seqLen: 512 }, bytes);
  for (const { options, plan } of fits) {
    assertEquals(planWith(options), plan);
    assertEquals(plan.allocatedBytes <= bytes, true);
    const batchSize = Number(options.batchSize) + 1;
    const more = planWith({ ...options, batchSize });
    assertEquals(more.allocatedBytes > bytes || batchSize > 512, true, JSON.stringify(options));
  }
  const tokens = fits.map(({ options }) => Number(options.batchSize) * Number(options.seqLen));
  assertEquals(tokens, tokens.toSorted((a, b) => b - a));
});

Deno.test("what is given is kept, a batch as the least; what is open is tried", () => {
  const names = (given: Parameters<typeof planFit>[1], of = bytes) =>
    new Set(planFit(config, given, of).map(({ options }) => options.optimizer));
  assertEquals(names({ finetune: true, seqLen: 256 }), new Set(FINETUNE_METHODS));
  const small = planFit(PRESETS.llama_9m, { seqLen: 256 }, bytes);
  assertEquals(new Set(small.map(({ options }) => options.optimizer)), new Set(PRETRAIN_METHODS));
  assertEquals(names({ optimizer: "muon" }), new Set(["muon"]));
  const fits = planFit(config, { batchSize: 64, seqLen: 256, rank: 96 }, bytes);
  assertEquals(fits.every(({ options }) => Number(options.batchSize) >= 64), true);
  assertEquals(new Set(fits.map(({ options }) => options.rank)), new Set([96]));
  assertEquals(planFit(config, {}, 1e8), []);
});

Deno.test("every option that saves memory saves some, in some run", () => {
  const saving = new Set<string>();
  for (const optimizer of METHOD_NAMES) {
    for (const [finetune, ranks] of [[undefined, 1], [undefined, 2], [true, 1]] as const) {
      const gradientAccumulation = finetune ? 1 : 2;
      let options: Record<string, unknown> = { optimizer, finetune, gradientAccumulation, ranks };
      for (const { option, value } of SAVINGS) {
        const more = { ...options, [option]: value };
        try {
          if (planWith(more).plannedPeakBytes >= planWith(options).plannedPeakBytes) continue;
        } catch {
          continue; // the options do not go together
        }
        saving.add(option);
        options = more;
      }
    }
  }
  assertEquals(saving, new Set(SAVINGS.map(({ option }) => option)));
});

Deno.test("what saves less than a hundredth of a run is not advised", () => {
  const few = { ...config, vocabSize: 257 }, frozen = { finetune: true, seqLen: 64 } as const;
  const optimizer = "galore_adamw", model = "llama_130m";
  const options = memoryOptions.parse({ model, ...frozen, optimizer });
  const plan = (offloadEmbedding: boolean) =>
    planMemory(few, trainingShape({ ...options, offloadEmbedding }, few), CONSUMER_CARD);
  assertEquals(plan(true).plannedPeakBytes < plan(false).plannedPeakBytes, true);
  const fits = planFit(few, { ...frozen, optimizer }, 6e8);
  assertEquals(fits.length > 0, true);
  assertEquals(fits.some(({ options }) => "offloadEmbedding" in options), false);
  const many = planFit(config, { ...frozen, optimizer }, 6e8);
  assertEquals(many.some(({ options }) => "offloadEmbedding" in options), true);
});

Deno.test("embedding and head that are trained for another reason are sized as that", () => {
  const given = { model: "-", data: ["-"], output: "-", optimizer: "lora" } as const;
  const added = finetuneOptions.parse({ ...given, addTokens: ["<|x|>"] });
  const plain = finetuneOptions.parse(given), shape = trainingShape(plain, config);
  for (
    const run of [
      { config, options: added, shape: trainingShape(added, config) },
      { config, options: plain, shape: { ...shape, trained: "adapters_and_embeddings" as const } },
    ]
  ) {
    const sizing = new Sizing(run, CONSUMER_CARD);
    assertEquals(sizing.plan(), planMemory(config, run.shape, CONSUMER_CARD));
    assertEquals(sizing.plan({ offloadEmbedding: true }), undefined);
  }
  const frozen = new Sizing({ config, options: plain, shape }, CONSUMER_CARD);
  assertEquals(frozen.plan(), planMemory(config, shape, CONSUMER_CARD));
});

Deno.test("of a card half a GiB is left to the driver, or 3% of a large one", () => {
  assertEquals(runMemoryOfCard(8), 7.5 * 2 ** 30);
  assertEquals(runMemoryOfCard(24), Math.floor(0.97 * 24 * 2 ** 30));
  assertEquals(runMemoryOfCard(0.25), 0);
});

Deno.test("of several lengths each batch is the largest of a plain scan, also below a largest buffer", () => {
  const tiny = { ...PRESETS.llama_9m, layers: 2, vocabSize: 257 }, limit = 3e8;
  let bounded = 0;
  for (const optimizer of ["q_galore_adamw8bit", "galore_adamw", "adamw"] as const) {
    for (const maxBufferSize of [CONSUMER_CARD.limits.maxBufferSize, 16 << 20]) {
      const card = { ...CONSUMER_CARD, limits: { ...CONSUMER_CARD.limits, maxBufferSize } };
      const options = { optimizer, ...optimizer !== "adamw" && { rank: 32 } };
      const sizing = new Sizing({ config: tiny, options }, card);
      // The batch of one length says where to look for that of the next.
      const fits = planFit(tiny, options, limit, card);
      assertEquals(new Set(fits.map(({ options }) => options.seqLen)).size > 1, true);
      for (const { options: { batchSize, ...rest } } of fits) {
        const fitting = Array.from({ length: 2 * Number(batchSize) + 16 }, (_, at) => at + 1)
          .filter((batchSize) => {
            const plan = batchSize <= MOST_SEQUENCES && sizing.plan({ ...rest, batchSize });
            if (!plan || plan.allocatedBytes > limit) return false;
            if (plan.largest.bytes > maxBufferSize) bounded++;
            return plan.largest.bytes <= maxBufferSize;
          });
        assertEquals(
          [fitting.length, fitting.at(-1)],
          [batchSize, batchSize],
          JSON.stringify(rest),
        );
      }
    }
  }
  assertEquals(bounded > 0, true, "the largest buffer bounds none");
});

Deno.test("more sequences never take less, also where gradients' routes change: a search relies on it", () => {
  const sizes = { hiddenSize: 2048, intermediateSize: 4096, heads: 16, keyValueHeads: 16 };
  const wide = { ...PRESETS.llama_9m, ...sizes, headSize: 128, layers: 1, vocabSize: 257 };
  const seqLen = 64, rank = 512, batches = Array.from({ length: 48 }, (_, at) => at + 1);
  const routes = batches.map((batchSize) => {
    const { project, refresh } = routeOf(
      { shape: [2048, 2048], rank },
      batchSize * seqLen,
      BLOCKS.block,
    );
    return `${project} ${refresh}`;
  });
  assertEquals(new Set(routes).size > 1, true, "no route changes");
  for (const optimizer of ["galore_adamw", "q_galore_adamw8bit"] as const) {
    const sizing = new Sizing(
      { config: wide, options: { optimizer, rank, seqLen } },
      CONSUMER_CARD,
    );
    const plans = batches.map((batchSize) => sizing.plan({ batchSize })!);
    for (const bytes of ["plannedPeakBytes", "allocatedBytes"] as const) {
      const all = plans.map((plan) => plan[bytes]);
      assertEquals(all, all.toSorted((a, b) => a - b), `${optimizer} ${bytes}`);
    }
  }
});

Deno.test("a run of several processes is advised with what they can do", () => {
  const model = "llama_130m", ranks = 2, given = { model, output: "run", data: ["x"] } as const;
  const advice = (change: Partial<PretrainInput>, share: number) => {
    const parsed = pretrainOptions.parse<PretrainInput>({ ...given, batchSize: 4, ...change });
    const options = withDefaults(parsed, { gradientAccumulation: 2 * ranks });
    const recipe = { config, options, shape: trainingShape(options, config), warnings: [] };
    const run = sharedRecipe(recipe as unknown as Recipe, { ...ALONE, size: ranks });
    const { allocatedBytes } = planMemory(config, run.shape, CONSUMER_CARD);
    const found = nearestFits({ ...run, ranks }, share * allocatedBytes, CONSUMER_CARD);
    const fits = atOnce(found);
    assert(fits);
    return fits.map(({ options }) => options);
  };
  const [whole] = advice({ optimizer: "adamw" }, 0.8);
  assertEquals(whole, { shardStates: true });
  const [states] = advice({ optimizer: "adamw", shardStates: true }, 0.75);
  assertEquals([states.shardWeights, states.shardStates], [true, undefined]);
  // Sums in INT8 are one process's; each by itself shares nothing; what runs refuse is no advice.
  const names = (change: Partial<PretrainInput>) =>
    new Set(advice({ optimizer: "adamw", ...change }, 0.6).flatMap((each) => Object.keys(each)));
  assertEquals(names({}).has("accumulatorQuant"), false);
  assertEquals(names({}).has("shardWeights"), true);
  assertEquals(names({ samplePrompt: ["x"] }).has("shardWeights"), false);
  assertEquals(names({ samplePrompt: ["x"] }).has("shardStates"), true);
  assertEquals(names({ communicationDataType: "bfloat16" }).has("shardStates"), false);
  assertEquals(names({ localSteps: 4 }).has("shardStates"), false);
  assertEquals(names({ localSteps: 4 }).size > 0, true);
});

Deno.test("where options do not decide the size nothing is tried, which the error says", () => {
  const options = memoryOptions.parse({ model: "llama_130m" });
  const shape = trainingShape(options, config), own = { ...shape, seqLen: shape.seqLen + 8 };
  const error = assertThrows(
    () => assertFits({ config, options, shape: own }, CONSUMER_CARD, 1),
    DoesNotFitError,
  );
  assertEquals(error.alternatives, []);
  assertStringIncludes(String(error.hint), "what would fit could not be looked for");
});
