/**
 * The fields that option schemas are made of: those that several commands share. Which command takes
 * which is in options.ts and finetune_options.ts.
 */
import { z } from "../packages/zod.ts";
import { type Data, dataFault } from "../data/data.ts";
import { LORA_TARGETS } from "../model/description.ts";
import { option, phrase } from "../options/phrase.ts";
import { described, orLive, section } from "../options/schema.ts";
import {
  apolloScalesText,
  EMBEDDING_OPTIMIZERS,
  embeddingsText,
  hasInt4Projection,
  hasInt8Weights,
  onWith,
  optimizerField,
  PRETRAIN_METHODS,
  ranksText,
  ratesText,
} from "./method_fields.ts";
import { PRESET_NAMES } from "./presets.ts";
import { STRETCHES } from "./stretch_rope.ts";

export const SCHEDULERS = ["cosine", "linear", "constant"] as const;
export const DTYPES = ["bfloat16", "float32"] as const;
export const WEIGHT_FORMATS = ["int8", "nf4", "bfloat16", "float32"] as const;
export const PACKINGS = ["packed", "padded"] as const;

/** The interval of Stable-SPAM's authors, in its constructor and their scripts; SPAM's was 500. */
export const MOMENTUM_RESET = 1000;

/** LLaMA-Factory's default. */
export const USUAL_LORA_RANK = 8;

/**
 * By default four cycles, of at most the 5,000 steps with 100 of warm-up that ReLoRA's own code is run
 * with; axolotl has no defaults.
 */
export const MOST_RESTART_STEPS = 5000, MOST_RESTART_WARMUP = 100;

/** transformers' default. */
export const FINETUNE_GRAD_NORM = 1;

export const count = () => z.number().int().min(1);
export const orNever = () => z.number().int().min(0);
export const share = () => z.number().min(0).max(1);
export const strings = () => z.array(z.string().min(1)).min(1);

/** Data as paths, which is all that front ends can give, or in memory. */
export const inMemoryToo = <Field extends z.ZodType>(field: Field) =>
  orLive<Field, Data>(field, dataFault);

export const trainedModel = z.string().min(1).describe(
  "a preset, a config.json in Hugging Face's format, or a folder containing one",
).meta({ value: "preset|config.json|dir", choices: PRESET_NAMES });

export const baseModel = z.string().min(1).describe(
  "pre-trained model: a folder in Hugging Face's layout, a .gguf file, or hf:org/name",
).meta({ value: "dir|x.gguf|hf:org/name" });

export const vocabSize = count().optional().describe(
  "rows of a preset's embedding and head: tokens of its vocabulary, or more",
).meta({ value: "V" });

/** What a pre-training run starts from: one of the two. */
export const startFields = section("Model", {
  model: trainedModel.optional().meta(described(
    phrase`the model to train from random weights, unless ${option("from")} is given: a preset, a
      config.json in Hugging Face's format, or a folder containing one`,
  )),
  from: baseModel.optional().describe(
    "pre-trained model whose weights are trained further: a folder in Hugging Face's layout, a " +
      ".gguf file, or hf:org/name",
  ),
  vocabSize: vocabSize.meta({ value: "V", derived: "the tokenizer's" }),
});

export const ropeScaling = z.enum(STRETCHES).meta(described(
  phrase`scale RoPE so that sequences of ${option("seqLen")} fit, though the model has fewer
    positions; saved with the model`,
));

const dtype = z.enum(DTYPES).default("bfloat16").describe(
  "format of activations and unquantised weights; float32 is exact and takes twice the memory",
);

const seqLen = count().default(256).describe("tokens per sequence").meta({ value: "T" });
const batchSize = count().default(16).describe("sequences per batch")
  .meta({ value: "B" });

export const textField = z.string().min(1).default("text").describe(
  "field of a JSON record or Parquet row that contains the text",
).meta({ value: "name" });

const rankOrAuto = z.union([count(), z.literal("auto")], {
  error: "must be a whole number of at least 1, or auto",
}).optional();

/** The rank options of a run, which has data to choose ranks from; `memory` has none. */
export const rankFields = section("Optimizer", {
  rank: rankOrAuto.meta(described(
    phrase`rank of the low-rank gradient space, of that in which APOLLO measures, or of factors in place of
      matrices; lower for smaller ones; auto: with GaLore for each matrix the lowest rank that keeps ${
      option("energyShare")
    } of its first gradients`,
  )).meta({ value: "R|auto", derived: ranksText() }),
  energyShare: share().default(0.9).meta(described(
    phrase`share of a gradient's energy that ${option("rank", "auto")} keeps`,
  )),
});

/** Its default depends on the run. */
const maxGradNorm = z.number().min(0).optional().describe(
  "clip gradients to this norm, 0: not at all. By the norm of all together where adapters alone are " +
    "trained, or several batches make a step; otherwise each matrix by its own, as updates are fused " +
    "into the backward pass. Norms of projected matrices are those of the low-rank gradient",
).meta({ derived: `${FINETUNE_GRAD_NORM} in fine-tuning, otherwise 0` });

/** Everything that determines the memory of a training run; `memory` accepts only these. */
export const memoryFields = {
  ...section("Model", {
    model: trainedModel,
    dtype,
    activationCheckpointing: z.boolean().default(false).describe(
      "store one activation per layer and recompute the rest: less memory, a third more arithmetic",
    ),
    activationQuant: z.boolean().default(false).meta(described(
      phrase`store the activations that ${option("activationCheckpointing")} keeps in INT8, for
        recomputing only: about half of their memory`,
    )),
  }),
  ...section("Batch", {
    batchSize,
    gradientAccumulation: count().default(1).describe(
      "batches per optimizer step; gradients are summed, in the low-rank space if the method has one",
    ).meta({ value: "A" }),
    accumulatorQuant: z.boolean().default(false).meta(described(
      phrase`sum the gradients of ${option("gradientAccumulation")} batches in INT8, rounded
        stochastically, where they are not low-rank: a quarter of that memory`,
    )),
    seqLen,
  }),
  ...section("Optimizer", {
    optimizer: optimizerField(PRETRAIN_METHODS),
    rank: rankOrAuto.describe(
      "rank of the low-rank gradient space, of that in which APOLLO measures, or of factors in " +
        "place of matrices; lower for smaller ones",
    ).meta({ value: "R", derived: ranksText() }),
    weightQuant: z.boolean().optional().describe(
      "store attention and feed-forward projections in INT8",
    ).meta({ derived: onWith(hasInt8Weights) }),
    projQuant: z.boolean().optional().describe("store GaLore's projection matrices in INT4")
      .meta({ derived: onWith(hasInt4Projection) }),
    embeddingOptimizer: z.enum(EMBEDDING_OPTIMIZERS).optional().describe(
      "update rule of embedding and head, where they are trained: adamw has two float32 moments " +
        "per weight; adam_factored one in 8 bits, and second moments of rows and columns " +
        "(Adafactor); adamw8bit two in 8 bits, which raises the loss with a large vocabulary",
    ).meta({ derived: embeddingsText() }),
    embeddingAdam8bit: z.boolean().optional().meta({
      ...described(phrase`former name of ${option("embeddingOptimizer", "adamw8bit")}`),
      deprecated: true,
    }),
    maxGradNorm,
    layerwise: z.boolean().default(true).meta(described(
      phrase`update each weight as soon as the backward pass has its gradient, so that one gradient
        exists at a time; otherwise all are kept and applied at the end of a step, and ${
        option("maxGradNorm")
      } clips by their common norm`,
    )),
    fira: z.boolean().default(false).describe(
      "apply what the projection leaves of a gradient, too, scaled as the low-rank part is (Fira). " +
        "Gradients are formed whole, and accumulated so",
    ),
    stableSpam: z.boolean().default(false).describe(
      "scale spikes in gradients of attention and feed-forward matrices down to the usual largest " +
        "element, and their norms to the usual (Stable-SPAM), which steadies 8- and 4-bit moments; " +
        "the learning rate is not warmed up again after a reset, as it is in SPAM",
    ),
    adam4bit: z.boolean().default(false).describe(
      "4-bit moments, but for embedding and head: half of the memory of 8-bit moments, and updates " +
        "that are less exact",
    ),
    weightGroupSize: count().multipleOf(8).default(256).describe(
      "weights per quantisation group, sharing a scale and a zero point",
    ),
    projGroupSize: count().multipleOf(8).default(256).describe(
      "the same for projection matrices",
    ),
  }),
};

export const optimizerFields = section("Optimizer", {
  galoreScale: z.number().positive().default(0.25).describe(
    "scale of the low-rank update (alpha in the GaLore paper)",
  ),
  apolloScale: z.number().positive().optional().describe(
    "scale of APOLLO's update, which is multiplied by its root",
  ).meta({ derived: apolloScalesText() }),
  updateProjGap: count().default(200).describe(
    "steps between refreshes of a matrix's subspace, until it settles; between APOLLO's projections",
  ),
  cosThreshold: share().default(0.4).describe(
    "mean similarity of successive subspaces at which a subspace counts as settled",
  ),
  gammaProj: z.number().min(1).default(2).describe(
    "factor by which a settled subspace's refresh interval grows; 1: fixed interval",
  ),
  queueSize: count().default(5).describe("number of similarities in that mean"),
  stochasticRound: z.boolean().optional().describe(
    "round updated INT8 weights stochastically, so that small updates are not lost",
  ).meta({ derived: "on with INT8 weights" }),
  lr: z.number().positive().optional().describe("peak learning rate")
    .meta({ derived: ratesText("pretrain") }),
  beta1: share().max(0.9999999).default(0.9).describe("Adam's decay rate of the first moment"),
  beta2: share().max(0.9999999).default(0.999).describe("Adam's decay rate of the second moment"),
  adamEps: z.number().positive().default(1e-8).describe("added to Adam's denominator"),
  momentumReset: orNever().optional().describe(
    "steps after which Adam's moments of attention and feed-forward matrices are reset; 0: never",
  ).meta({ derived: phrase`${MOMENTUM_RESET} with ${option("stableSpam")}, otherwise 0` }),
  weightDecay: z.number().min(0).default(0).describe(
    "decoupled weight decay, multiplied by the learning rate",
  ),
});

export const seed = z.number().int().min(0).max(0xffffffff).default(42).describe(
  "seed for initialisation, data order and stochastic rounding",
);

export const scheduleFields = section("Schedule", {
  warmupSteps: orNever().optional().describe("steps of linear warm-up from 0")
    .meta({ derived: phrase`a tenth of ${option("steps")}` }),
  scheduler: z.enum(SCHEDULERS).default("cosine").describe(
    "shape of the learning rate's decay after warm-up",
  ),
  minLrRatio: share().default(0.1).meta(described(
    phrase`final learning rate as a fraction of ${option("lr")}`,
  )),
  seed,
});

export const runFields = section("Run", {
  output: z.string().min(1).describe("folder for metrics, checkpoints and the trained model")
    .meta({ value: "dir" }),
  evalEvery: orNever().default(1000).describe("steps between evaluations; 0: only at the end"),
  saveEvery: orNever().default(1000).describe("steps between checkpoints; 0: only at the end"),
  saveMinutes: z.number().min(0).optional().meta(described(
    phrase`minutes after which a checkpoint is saved whatever ${option("saveEvery")} says, rarer
      where saving takes more than a twentieth of the time; 0: only by steps`,
  )).meta({ value: "minutes", derived: "1 for checkpoints up to 100 MB, up to 10 for large ones" }),
  samplePrompt: strings().optional().describe(
    "prompt for the model to continue or answer at each evaluation, to see its progress",
  ).meta({ value: "text" }),
  sampleTokens: count().default(48).describe("maximum tokens per sample"),
  keepCheckpoints: count().default(2).meta(described(
    phrase`number of newest checkpoints to keep; with ${
      option("loadBestModelAtEnd")
    }, the best is kept as well`,
  )),
  loadBestModelAtEnd: z.boolean().default(false).describe(
    "save the model of the evaluation with the lowest loss instead of the last step's; each new " +
      "best is saved as a checkpoint",
  ),
  earlyStoppingPatience: count().optional().describe(
    "stop after this many successive evaluations without a lower loss",
  ).meta({ derived: "never" }),
  earlyStoppingThreshold: z.number().min(0).default(0).describe(
    "amount by which an evaluation's loss must be lower to count",
  ),
  gpuMemory: z.number().positive().optional().describe(
    "GPU memory the run may use, in GiB; a run that needs more is refused before it starts",
  ).meta({ value: "GiB", derived: "free memory on a software adapter, otherwise no limit" }),
  tune: z.boolean().default(true).describe(
    "before the first run on a graphics card, time the variants of its kernels for some seconds; " +
      "otherwise they are chosen by the shapes of the model",
  ),
  overwriteOutput: z.boolean().default(false).meta(described(
    phrase`if ${option("output")} already contains a run or a model, delete its checkpoints, replace
      its model and start over`,
  )),
  resume: z.string().min(1).optional().meta(described(
    phrase`continue from this checkpoint, or from the newest complete one of this run's folder; auto
      or latest: of ${option("output")}, if any`,
  )).meta({ value: "dir|auto", proposals: ["auto"] }),
});

/** The adapters of LoRA and QLoRA, with LLaMA-Factory's names and defaults. */
export const loraFields = section("LoRA", {
  loraRank: count().optional().describe("rank of the adapters").meta({
    value: "r",
    derived: `${USUAL_LORA_RANK}; from random weights a quarter of the model's width`,
  }),
  loraAlpha: z.number().positive().optional().describe("alpha; updates are scaled by alpha / rank")
    .meta({ derived: phrase`twice ${option("loraRank")}` }),
  useRslora: z.boolean().default(false).meta(described(
    phrase`scale updates by alpha / √rank instead (rsLoRA), so that high ranks are not scaled down; ${
      option("loraAlpha")
    } then means more`,
  )),
  useDora: z.boolean().default(false).describe(
    "train the lengths of the rows of adapted projections as well (DoRA): closer to training all " +
      "weights at a low rank, for about half as much time again",
  ),
  loraDropout: z.number().min(0).max(0.99).default(0).describe(
    "dropout rate of the adapters' inputs",
  ),
  loraTarget: z.array(z.enum(["all", ...LORA_TARGETS])).min(1).default(["all"]).describe(
    `modules to adapt: all projections, or some of ${LORA_TARGETS.join(", ")}`,
  ).meta({ value: "name" }),
});

/** ReLoRA's restarts, with axolotl's names. */
export const restartFields = section("LoRA", {
  jaggedRestartSteps: count().optional().describe(
    "steps after which adapters are merged into the weights and begin anew",
  ).meta({
    derived: `a quarter of the run's, at most ${MOST_RESTART_STEPS}, and no less than its warm-up`,
  }),
  jaggedRestartWarmupSteps: orNever().optional().describe(
    "steps of linear warm-up from 0 after each restart",
  ).meta({
    derived: phrase`a tenth of ${
      option("jaggedRestartSteps")
    }, from 2 to ${MOST_RESTART_WARMUP}; none
      where that is below 4`,
  }),
});

/** The sizes of adapters beside the weights of a model; from random weights they follow its width. */
export function loraSizes(
  { loraRank = USUAL_LORA_RANK, loraAlpha = 2 * loraRank }: {
    readonly loraRank?: number;
    readonly loraAlpha?: number;
  },
): { readonly loraRank: number; readonly loraAlpha: number } {
  return { loraRank, loraAlpha };
}

/** How adapters are updated, which only runs ask for. */
export const loraRateFields = section("LoRA", {
  loraplusLrRatio: z.number().positive().default(1).meta(described(
    phrase`learning rate of the adapters' matrices B, as a multiple of that of A (LoRA+); usually 4 to
      16, with half of the usual ${option("lr")}`,
  )),
  loraplusLrEmbedding: z.number().positive().optional().meta({
    ...described(
      phrase`with ${option("loraplusLrRatio")}: peak learning rate of an adapter on the embedding`,
    ),
    derived: "1e-6",
  }),
});

export const neftuneNoiseAlpha = z.number().min(0).default(0).describe(
  "noise on the embedded tokens while training (NEFTune): uniform up to alpha / √(length · width), " +
    "usually with an alpha of 5 to 15",
);

export const trainEmbeddings = z.boolean().default(false).describe(
  "train embedding and head too; needs gradients and moments for the whole vocabulary. Adapters " +
    "save them whole (peft's modules_to_save)",
);

/** Fields shared by the commands that work with a trained model. */
export const trainedFields = section("Model", {
  model: z.string().min(1).describe(
    "trained model: a folder in Hugging Face's layout, a .gguf file, or hf:org/name; or the output " +
      "folder of a run, finished or stopped, or one of its checkpoints",
  ).meta({ value: "dir|x.gguf|hf:org/name" }),
  adapter: z.string().min(1).optional().describe(
    "folder of an adapter in peft's layout to apply, or of the run that trains it",
  )
    .meta({ value: "dir" }),
  weights: z.enum(WEIGHT_FORMATS).optional().describe("weight format in GPU memory")
    .meta({ derived: "as in the files" }),
  dtype: z.enum(DTYPES).default("float32").describe("format of activations"),
});

/** Fields of commands that read text; those of training have their own, stricter ones. */
export const textFields = { textField, seqLen, batchSize };
