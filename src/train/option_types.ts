/**
 * Options as types, for editors. Written by `deno task options` from the schemas of the options:
 * change those, not this file.
 *
 * @module
 */

import type { Data } from "../data/data.ts";
import type { PresetName } from "../model/config.ts";
import type { Given } from "../options/schema.ts";
import type { MethodName } from "./methods.ts";

/** What decides the memory of a training run, as `memoryOptions.parse` returns it. */
export interface MemoryOptions {
  /** A preset, a config.json, or the folder of a model. */
  readonly model?: PresetName | (string & Record<never, never>);
  /**
   * Format of activations and unquantised weights; float32 is exact and takes twice the memory.
   * @default bfloat16
   */
  readonly dtype: "bfloat16" | "float32";
  /**
   * Store one activation per layer and recompute the rest: less memory, a third more arithmetic.
   * @default false
   */
  readonly activationCheckpointing: boolean;
  /**
   * Store the activations that `activationCheckpointing` keeps in INT8, for recomputing only: about
   * half of their memory.
   * @default false
   */
  readonly activationQuant: boolean;
  /**
   * Sequences per batch.
   * @default 16
   */
  readonly batchSize: number;
  /**
   * Batches per optimizer step; gradients are summed, in the low-rank space if the method has one.
   * @default 1
   */
  readonly gradientAccumulation: number;
  /**
   * Sum the gradients of `gradientAccumulation` batches in INT8, rounded stochastically, where they
   * are not low-rank: a quarter of that memory.
   * @default false
   */
  readonly accumulatorQuant: boolean;
  /**
   * Tokens per sequence.
   * @default 256
   */
  readonly seqLen: number;
  /**
   * Training method: gradients projected to a low rank (Q-GaLore, GaLore, GaLore 8-bit); gradients
   * of full rank (AdamW, AdamW 8-bit, APOLLO, APOLLO-Mini, Q-APOLLO, Q-APOLLO-Mini, SCALE, SCALE
   * 8-bit, Muon, Muon 8-bit); adapters beside frozen weights (LoRA, QLoRA, ReLoRA); low-rank
   * factors in place of weights (Low-rank factorisation).
   * @default q_galore_adamw8bit
   */
  readonly optimizer: MethodName;
  /**
   * Rank of the low-rank gradient space, of that in which APOLLO measures, or of factors in place
   * of matrices; lower for smaller ones.
   * @default a quarter of the model's width; 1 with apollo_mini, q_apollo_mini
   */
  readonly rank?: number | "auto";
  /**
   * Store attention and feed-forward projections in INT8.
   * @default on with q_galore_adamw8bit, q_apollo, q_apollo_mini
   */
  readonly weightQuant: boolean;
  /**
   * Store GaLore's projection matrices in INT4.
   * @default on with q_galore_adamw8bit
   */
  readonly projQuant: boolean;
  /**
   * Update rule of embedding and head, where they are trained: adamw has two float32 moments per
   * weight; adam_factored one in 8 bits, and second moments of rows and columns (Adafactor);
   * adamw8bit two in 8 bits, which raises the loss with a large vocabulary.
   * @default adam_factored with q_galore_adamw8bit, q_apollo, q_apollo_mini; adamw with
   * galore_adamw, galore_adamw8bit, adamw, adamw8bit, apollo, apollo_mini, muon, muon8bit, lora,
   * qlora, relora, low_rank
   */
  readonly embeddingOptimizer?: "adamw" | "adamw8bit" | "adam_factored";
  /** @deprecated Former name of `embeddingOptimizer: "adamw8bit"`. */
  readonly embeddingAdam8bit?: boolean;
  /**
   * Clip gradients to this norm, 0: not at all. By the norm of all together where adapters alone
   * are trained, or several batches make a step; otherwise each matrix by its own, as updates are
   * fused into the backward pass. Norms of projected matrices are those of the low-rank gradient.
   * @default 1 in fine-tuning, otherwise 0
   */
  readonly maxGradNorm: number;
  /**
   * Update each weight as soon as the backward pass has its gradient, so that one gradient exists
   * at a time; otherwise all are kept and applied at the end of a step, and `maxGradNorm` clips by
   * their common norm.
   * @default true
   */
  readonly layerwise: boolean;
  /**
   * Apply what the projection leaves of a gradient, too, scaled as the low-rank part is (Fira).
   * Gradients are formed whole, and accumulated so.
   * @default false
   */
  readonly fira: boolean;
  /**
   * Scale spikes in gradients of attention and feed-forward matrices down to the usual largest
   * element, and their norms to the usual (Stable-SPAM), which steadies 8- and 4-bit moments; the
   * learning rate is not warmed up again after a reset, as it is in SPAM.
   * @default false
   */
  readonly stableSpam: boolean;
  /**
   * 4-bit moments, but for embedding and head: half of the memory of 8-bit moments, and updates
   * that are less exact.
   * @default false
   */
  readonly adam4bit: boolean;
  /**
   * Weights per quantisation group, sharing a scale and a zero point.
   * @default 256
   */
  readonly weightGroupSize: number;
  /**
   * The same for projection matrices.
   * @default 256
   */
  readonly projGroupSize: number;
  /**
   * Rows of a preset's embedding and head: tokens of its vocabulary, or more.
   * @default the preset's, 32000 but for llama_nano
   */
  readonly vocabSize?: number;
  /**
   * Store the embedding and head in INT8.
   * @default on with q_galore_adamw8bit, q_apollo, q_apollo_mini, where they are not trained
   */
  readonly embeddingQuant: boolean;
  /**
   * Store the embedding and head in 4 bits (NF4), where they are not trained; the saved model has
   * them as they were.
   * @default false
   */
  readonly embedding4bit: boolean;
  /**
   * Keep the embedding in host memory, if it is frozen and not tied to the head; only the rows of a
   * batch go to the device. Host memory grows by what the device saves (in INT8 a byte per weight),
   * and samples are read token by token.
   * @default false
   */
  readonly offloadEmbedding: boolean;
  /**
   * Plan fine-tuning instead of pre-training.
   * @default on with lora and qlora
   */
  readonly finetune: boolean;
  /**
   * Train embedding and head too; needs gradients and moments for the whole vocabulary. Adapters
   * save them whole (peft's modules_to_save).
   * @default false
   */
  readonly trainEmbeddings: boolean;
  /**
   * Rank of the adapters.
   * @default 8; from random weights a quarter of the model's width
   */
  readonly loraRank?: number;
  /**
   * Alpha; updates are scaled by alpha / rank.
   * @default twice `loraRank`
   */
  readonly loraAlpha?: number;
  /**
   * Scale updates by alpha / √rank instead (rsLoRA), so that high ranks are not scaled down;
   * `loraAlpha` then means more.
   * @default false
   */
  readonly useRslora: boolean;
  /**
   * Train the lengths of the rows of adapted projections as well (DoRA): closer to training all
   * weights at a low rank, for about half as much time again.
   * @default false
   */
  readonly useDora: boolean;
  /**
   * Dropout rate of the adapters' inputs.
   * @default 0
   */
  readonly loraDropout: number;
  /**
   * Modules to adapt: all projections, or some of q_proj, k_proj, v_proj, o_proj, gate_proj,
   * up_proj, down_proj, embed_tokens, lm_head.
   * @default all
   */
  readonly loraTarget: (
    | "all"
    | "q_proj"
    | "k_proj"
    | "v_proj"
    | "o_proj"
    | "gate_proj"
    | "up_proj"
    | "down_proj"
    | "embed_tokens"
    | "lm_head"
  )[];
  /**
   * Pre-trained model whose weights are trained further: a folder in Hugging Face's layout, a .gguf
   * file, or hf:org/name.
   */
  readonly from?: string;
  /**
   * Plan what one of so many processes needs, each with `batchSize` sequences of its own; the plan
   * is that of the process that needs the most.
   * @default 1
   */
  readonly ranks: number;
  /**
   * Where an MPI launcher started several processes: each keeps the optimizer states of its share
   * of the parameters alone, updates these, and gives the updates to the others (ZeRO); the weights
   * are the same bits as without it.
   * @default false
   */
  readonly shardStates: boolean;
  /**
   * Each process keeps only its share of the layers' matrices as well, and they are gathered when a
   * layer runs (FSDP); implies `shardStates: true`.
   * @default false
   */
  readonly shardWeights: boolean;
  /**
   * Show what fits a card of that many GiB: the largest batches by method, rank and `seqLen`, and
   * what they need to save memory; options that are given are kept, `batchSize` as the least.
   */
  readonly fit?: number;
  /**
   * Show every method beside what papers report, for `model` or, if that is left out, at the sizes
   * of the GaLore paper, at its ranks and 1 x 256 tokens unless others are given.
   * @default false
   */
  readonly table: boolean;
  /** Draw `table: true` in this folder, a chart a model as SVG and PNG. */
  readonly plot?: string;
  /**
   * Allocate everything on this machine's GPU and run steps through one layer.
   * @default false
   */
  readonly allocate: boolean;
}

/** What decides the memory of a training run, as a program gives it. */
export interface MemoryInput extends Given<Omit<MemoryOptions, "optimizer">> {
  /**
   * Training method: gradients projected to a low rank (Q-GaLore, GaLore, GaLore 8-bit); gradients
   * of full rank (AdamW, AdamW 8-bit, APOLLO, APOLLO-Mini, Q-APOLLO, Q-APOLLO-Mini, SCALE, SCALE
   * 8-bit, Muon, Muon 8-bit); adapters beside frozen weights (LoRA, QLoRA, ReLoRA); low-rank
   * factors in place of weights (Low-rank factorisation).
   * @default q_galore_adamw8bit
   */
  readonly optimizer?: MethodName | "galore_adamw_8bit";
}

/** Options of a pre-training run, as `pretrainOptions.parse` returns them. */
export interface PretrainOptions {
  /**
   * The model to train from random weights, unless `from` is given: a preset, a config.json in
   * Hugging Face's format, or a folder containing one.
   */
  readonly model?: PresetName | (string & Record<never, never>);
  /**
   * Format of activations and unquantised weights; float32 is exact and takes twice the memory.
   * @default bfloat16
   */
  readonly dtype: "bfloat16" | "float32";
  /**
   * Store one activation per layer and recompute the rest: less memory, a third more arithmetic.
   * @default false
   */
  readonly activationCheckpointing: boolean;
  /**
   * Store the activations that `activationCheckpointing` keeps in INT8, for recomputing only: about
   * half of their memory.
   * @default false
   */
  readonly activationQuant: boolean;
  /**
   * Sequences per batch.
   * @default 16
   */
  readonly batchSize: number;
  /**
   * Batches per optimizer step; gradients are summed, in the low-rank space if the method has one.
   * @default 1
   */
  readonly gradientAccumulation: number;
  /**
   * Sum the gradients of `gradientAccumulation` batches in INT8, rounded stochastically, where they
   * are not low-rank: a quarter of that memory.
   * @default false
   */
  readonly accumulatorQuant: boolean;
  /**
   * Tokens per sequence.
   * @default 256
   */
  readonly seqLen: number;
  /**
   * Training method: gradients projected to a low rank (Q-GaLore, GaLore, GaLore 8-bit); gradients
   * of full rank (AdamW, AdamW 8-bit, APOLLO, APOLLO-Mini, Q-APOLLO, Q-APOLLO-Mini, SCALE, SCALE
   * 8-bit, Muon, Muon 8-bit); adapters beside frozen weights (LoRA, QLoRA, ReLoRA); low-rank
   * factors in place of weights (Low-rank factorisation).
   * @default q_galore_adamw8bit
   */
  readonly optimizer: MethodName;
  /**
   * Rank of the low-rank gradient space, of that in which APOLLO measures, or of factors in place
   * of matrices; lower for smaller ones; auto: with GaLore for each matrix the lowest rank that
   * keeps `energyShare` of its first gradients.
   * @default a quarter of the model's width; 1 with apollo_mini, q_apollo_mini
   */
  readonly rank?: number | "auto";
  /**
   * Store attention and feed-forward projections in INT8.
   * @default on with q_galore_adamw8bit, q_apollo, q_apollo_mini
   */
  readonly weightQuant: boolean;
  /**
   * Store GaLore's projection matrices in INT4.
   * @default on with q_galore_adamw8bit
   */
  readonly projQuant: boolean;
  /**
   * Update rule of embedding and head, where they are trained: adamw has two float32 moments per
   * weight; adam_factored one in 8 bits, and second moments of rows and columns (Adafactor);
   * adamw8bit two in 8 bits, which raises the loss with a large vocabulary.
   * @default adam_factored with q_galore_adamw8bit, q_apollo, q_apollo_mini; adamw with
   * galore_adamw, galore_adamw8bit, adamw, adamw8bit, apollo, apollo_mini, muon, muon8bit, lora,
   * qlora, relora, low_rank
   */
  readonly embeddingOptimizer?: "adamw" | "adamw8bit" | "adam_factored";
  /** @deprecated Former name of `embeddingOptimizer: "adamw8bit"`. */
  readonly embeddingAdam8bit?: boolean;
  /**
   * Clip gradients to this norm, 0: not at all. By the norm of all together where adapters alone
   * are trained, or several batches make a step; otherwise each matrix by its own, as updates are
   * fused into the backward pass. Norms of projected matrices are those of the low-rank gradient.
   * @default 1 in fine-tuning, otherwise 0
   */
  readonly maxGradNorm: number;
  /**
   * Update each weight as soon as the backward pass has its gradient, so that one gradient exists
   * at a time; otherwise all are kept and applied at the end of a step, and `maxGradNorm` clips by
   * their common norm.
   * @default true
   */
  readonly layerwise: boolean;
  /**
   * Apply what the projection leaves of a gradient, too, scaled as the low-rank part is (Fira).
   * Gradients are formed whole, and accumulated so.
   * @default false
   */
  readonly fira: boolean;
  /**
   * Scale spikes in gradients of attention and feed-forward matrices down to the usual largest
   * element, and their norms to the usual (Stable-SPAM), which steadies 8- and 4-bit moments; the
   * learning rate is not warmed up again after a reset, as it is in SPAM.
   * @default false
   */
  readonly stableSpam: boolean;
  /**
   * 4-bit moments, but for embedding and head: half of the memory of 8-bit moments, and updates
   * that are less exact.
   * @default false
   */
  readonly adam4bit: boolean;
  /**
   * Weights per quantisation group, sharing a scale and a zero point.
   * @default 256
   */
  readonly weightGroupSize: number;
  /**
   * The same for projection matrices.
   * @default 256
   */
  readonly projGroupSize: number;
  /**
   * Pre-trained model whose weights are trained further: a folder in Hugging Face's layout, a .gguf
   * file, or hf:org/name.
   */
  readonly from?: string;
  /**
   * Rows of a preset's embedding and head: tokens of its vocabulary, or more.
   * @default the tokenizer's
   */
  readonly vocabSize?: number;
  /**
   * Scale RoPE so that sequences of `seqLen` fit, though the model has fewer positions; saved with
   * the model.
   */
  readonly ropeScaling?: "linear" | "dynamic" | "yarn" | "llama3";
  /**
   * Share of a gradient's energy that `rank: "auto"` keeps.
   * @default 0.9
   */
  readonly energyShare: number;
  /**
   * Training text: text, JSON Lines, CSV, Parquet or Arrow files, also compressed; folders,
   * patterns (data/*.jsonl.zst), - for standard input, or hf:…
   */
  readonly data: Data;
  /** Evaluation text; nothing is then held out. */
  readonly evalData?: Data;
  /**
   * Share of `data` held out for evaluation, without `evalData`.
   * @default 0.01
   */
  readonly evalShare: number;
  /**
   * `bytes`, a tokenizer.json, a folder containing one, or hf:…
   * @default bytes; with `from`, the model's own
   */
  readonly tokenizer?: "bytes" | (string & Record<never, never>);
  /**
   * Field of a JSON record or Parquet row that contains the text.
   * @default text
   */
  readonly textField: string;
  /**
   * Packed: documents back to back, no padding; padded: one document per sequence.
   * @default packed
   */
  readonly packing: "packed" | "padded";
  /**
   * Sequences in the shuffle buffer, behind the mix of documents over all files; 0 keeps the order
   * of the files.
   * @default 1000
   */
  readonly shuffleBuffer: number;
  /**
   * Scale of the low-rank update (alpha in the GaLore paper).
   * @default 0.25
   */
  readonly galoreScale: number;
  /**
   * Scale of APOLLO's update, which is multiplied by its root.
   * @default 1 with apollo, q_apollo; 128 with apollo_mini, q_apollo_mini
   */
  readonly apolloScale: number;
  /**
   * Steps between refreshes of a matrix's subspace, until it settles; between APOLLO's projections.
   * @default 200
   */
  readonly updateProjGap: number;
  /**
   * Mean similarity of successive subspaces at which a subspace counts as settled.
   * @default 0.4
   */
  readonly cosThreshold: number;
  /**
   * Factor by which a settled subspace's refresh interval grows; 1: fixed interval.
   * @default 2
   */
  readonly gammaProj: number;
  /**
   * Number of similarities in that mean.
   * @default 5
   */
  readonly queueSize: number;
  /**
   * Round updated weights stochastically, so that small updates are not lost.
   * @default on with INT8 weights and, with `from`, bfloat16 ones
   */
  readonly stochasticRound: boolean;
  /**
   * Peak learning rate.
   * @default 0.01 with q_galore_adamw8bit, galore_adamw, galore_adamw8bit, apollo, q_apollo; 0.001
   * with adamw, adamw8bit, scale, scale8bit, muon, muon8bit; 0.003 with apollo_mini, q_apollo_mini;
   * 0.002 with lora, relora, low_rank; with `from`, 0.001 with q_galore_adamw8bit, galore_adamw,
   * galore_adamw8bit, apollo, q_apollo; 0.0001 with adamw, adamw8bit, scale, scale8bit, muon,
   * muon8bit, lora, qlora, relora; 0.0003 with apollo_mini, q_apollo_mini
   */
  readonly lr: number;
  /**
   * Adam's decay rate of the first moment.
   * @default 0.9
   */
  readonly beta1: number;
  /**
   * Adam's decay rate of the second moment.
   * @default 0.999
   */
  readonly beta2: number;
  /**
   * Added to Adam's denominator.
   * @default 1e-8
   */
  readonly adamEps: number;
  /**
   * Steps after which Adam's moments of attention and feed-forward matrices are reset; 0: never.
   * @default 1000 with `stableSpam`, otherwise 0
   */
  readonly momentumReset: number;
  /**
   * Decoupled weight decay, multiplied by the learning rate.
   * @default 0
   */
  readonly weightDecay: number;
  /**
   * Train embedding and head too; needs gradients and moments for the whole vocabulary. Adapters
   * save them whole (peft's modules_to_save).
   * @default false
   */
  readonly trainEmbeddings: boolean;
  /**
   * Store the embedding and head in INT8.
   * @default on with q_galore_adamw8bit, q_apollo, q_apollo_mini, where they are not trained
   */
  readonly embeddingQuant: boolean;
  /**
   * Store the embedding and head in 4 bits (NF4), where they are not trained; the saved model has
   * them as they were.
   * @default false
   */
  readonly embedding4bit: boolean;
  /**
   * Keep the embedding in host memory, if it is frozen and not tied to the head; only the rows of a
   * batch go to the device. Host memory grows by what the device saves (in INT8 a byte per weight),
   * and samples are read token by token.
   * @default false
   */
  readonly offloadEmbedding: boolean;
  /**
   * Rank of the adapters.
   * @default 8; from random weights a quarter of the model's width
   */
  readonly loraRank?: number;
  /**
   * Alpha; updates are scaled by alpha / rank.
   * @default twice `loraRank`
   */
  readonly loraAlpha?: number;
  /**
   * Scale updates by alpha / √rank instead (rsLoRA), so that high ranks are not scaled down;
   * `loraAlpha` then means more.
   * @default false
   */
  readonly useRslora: boolean;
  /**
   * Train the lengths of the rows of adapted projections as well (DoRA): closer to training all
   * weights at a low rank, for about half as much time again.
   * @default false
   */
  readonly useDora: boolean;
  /**
   * Dropout rate of the adapters' inputs.
   * @default 0
   */
  readonly loraDropout: number;
  /**
   * Modules to adapt: all projections, or some of q_proj, k_proj, v_proj, o_proj, gate_proj,
   * up_proj, down_proj, embed_tokens, lm_head.
   * @default all
   */
  readonly loraTarget: (
    | "all"
    | "q_proj"
    | "k_proj"
    | "v_proj"
    | "o_proj"
    | "gate_proj"
    | "up_proj"
    | "down_proj"
    | "embed_tokens"
    | "lm_head"
  )[];
  /**
   * Learning rate of the adapters' matrices B, as a multiple of that of A (LoRA+); usually 4 to 16,
   * with half of the usual `lr`.
   * @default 1
   */
  readonly loraplusLrRatio: number;
  /**
   * With `loraplusLrRatio`: peak learning rate of an adapter on the embedding.
   * @default 1e-6
   */
  readonly loraplusLrEmbedding?: number;
  /**
   * Steps after which adapters are merged into the weights and begin anew.
   * @default a quarter of the run's, at most 5000, and no less than its warm-up
   */
  readonly jaggedRestartSteps?: number;
  /**
   * Steps of linear warm-up from 0 after each restart.
   * @default a tenth of `jaggedRestartSteps`, from 2 to 100; none where that is below 4
   */
  readonly jaggedRestartWarmupSteps?: number;
  /**
   * Total optimizer steps.
   * @default 10000
   */
  readonly steps: number;
  /**
   * Steps of linear warm-up from 0.
   * @default a tenth of `steps`
   */
  readonly warmupSteps: number;
  /**
   * Shape of the learning rate's decay after warm-up.
   * @default cosine
   */
  readonly scheduler: "cosine" | "linear" | "constant";
  /**
   * Final learning rate as a fraction of `lr`.
   * @default 0.1
   */
  readonly minLrRatio: number;
  /**
   * Seed for initialisation, data order and stochastic rounding.
   * @default 42
   */
  readonly seed: number;
  /** Folder for metrics, checkpoints and the trained model. */
  readonly output: string;
  /**
   * Steps between evaluations; 0: only at the end.
   * @default 1000
   */
  readonly evalEvery: number;
  /**
   * Steps between checkpoints; 0: only at the end.
   * @default 1000
   */
  readonly saveEvery: number;
  /**
   * Minutes after which a checkpoint is saved whatever `saveEvery` says, rarer where saving takes
   * more than a twentieth of the time; 0: only by steps.
   * @default 1 for checkpoints up to 100 MB, up to 10 for large ones
   */
  readonly saveMinutes?: number;
  /** Prompt for the model to continue or answer at each evaluation, to see its progress. */
  readonly samplePrompt?: string[];
  /**
   * Maximum tokens per sample.
   * @default 48
   */
  readonly sampleTokens: number;
  /**
   * Number of newest checkpoints to keep; with `loadBestModelAtEnd`, the best is kept as well.
   * @default 2
   */
  readonly keepCheckpoints: number;
  /**
   * Save the model of the evaluation with the lowest loss instead of the last step's; each new best
   * is saved as a checkpoint.
   * @default false
   */
  readonly loadBestModelAtEnd: boolean;
  /**
   * Stop after this many successive evaluations without a lower loss.
   * @default never
   */
  readonly earlyStoppingPatience?: number;
  /**
   * Amount by which an evaluation's loss must be lower to count.
   * @default 0
   */
  readonly earlyStoppingThreshold: number;
  /**
   * GPU memory the run may use, in GiB; a run that needs more is refused before it starts.
   * @default free memory on a software adapter, otherwise no limit
   */
  readonly gpuMemory?: number;
  /**
   * Before the first run on a graphics card, time the variants of its kernels for some seconds;
   * otherwise they are chosen by the shapes of the model.
   * @default true
   */
  readonly tune: boolean;
  /**
   * If `output` already contains a run or a model, delete its checkpoints, replace its model and
   * start over.
   * @default false
   */
  readonly overwriteOutput: boolean;
  /**
   * Continue from this checkpoint, or from the newest complete one of this run's folder; auto or
   * latest: of `output`, if any.
   */
  readonly resume?: "auto" | (string & Record<never, never>);
  /**
   * Where an MPI launcher started several processes: each keeps the optimizer states of its share
   * of the parameters alone, updates these, and gives the updates to the others (ZeRO); the weights
   * are the same bits as without it.
   * @default false
   */
  readonly shardStates: boolean;
  /**
   * Each process keeps only its share of the layers' matrices as well, and they are gathered when a
   * layer runs (FSDP); implies `shardStates: true`.
   * @default false
   */
  readonly shardWeights: boolean;
  /**
   * Format in which gradients travel, or what local steps have changed; they are added in float32;
   * bfloat16 halves the bytes and rounds each process's part and the sum.
   * @default float32
   */
  readonly communicationDataType: "float32" | "bfloat16";
  /**
   * Steps that each process takes by itself before all meet in an outer step (DiLoCo's H), for slow
   * networks: weights are exchanged once in so many steps instead of gradients in each.
   * @default none: gradients are exchanged in every step
   */
  readonly localSteps?: number;
  /**
   * Learning rate of the outer step of `localSteps`.
   * @default 0.7
   */
  readonly outerLr: number;
  /**
   * Nesterov momentum of the outer step of `localSteps`.
   * @default 0.9
   */
  readonly outerMomentum: number;
}

/** Options of a pre-training run, as a program gives them. */
export interface PretrainInput
  extends Given<Omit<PretrainOptions, "optimizer">, "data" | "output"> {
  /**
   * Training method: gradients projected to a low rank (Q-GaLore, GaLore, GaLore 8-bit); gradients
   * of full rank (AdamW, AdamW 8-bit, APOLLO, APOLLO-Mini, Q-APOLLO, Q-APOLLO-Mini, SCALE, SCALE
   * 8-bit, Muon, Muon 8-bit); adapters beside frozen weights (LoRA, QLoRA, ReLoRA); low-rank
   * factors in place of weights (Low-rank factorisation).
   * @default q_galore_adamw8bit
   */
  readonly optimizer?: MethodName | "galore_adamw_8bit";
}

/** Options of a fine-tuning run, as `finetuneOptions.parse` returns them. */
export interface FinetuneOptions {
  /** Pre-trained model: a folder in Hugging Face's layout, a .gguf file, or hf:org/name. */
  readonly model: string;
  /**
   * Format of activations and unquantised weights; float32 is exact and takes twice the memory.
   * @default bfloat16
   */
  readonly dtype: "bfloat16" | "float32";
  /**
   * Store one activation per layer and recompute the rest: less memory, a third more arithmetic.
   * @default false
   */
  readonly activationCheckpointing: boolean;
  /**
   * Store the activations that `activationCheckpointing` keeps in INT8, for recomputing only: about
   * half of their memory.
   * @default false
   */
  readonly activationQuant: boolean;
  /**
   * Sequences per batch.
   * @default 4
   */
  readonly batchSize: number;
  /**
   * Batches per optimizer step; gradients are summed, in the low-rank space if the method has one.
   * @default 1
   */
  readonly gradientAccumulation: number;
  /**
   * Sum the gradients of `gradientAccumulation` batches in INT8, rounded stochastically, where they
   * are not low-rank: a quarter of that memory.
   * @default false
   */
  readonly accumulatorQuant: boolean;
  /**
   * Tokens per sequence; longer examples are truncated.
   * @default 512
   */
  readonly seqLen: number;
  /**
   * Training method: gradients projected to a low rank (Q-GaLore, GaLore, GaLore 8-bit); gradients
   * of full rank (AdamW, AdamW 8-bit, APOLLO, APOLLO-Mini, Q-APOLLO, Q-APOLLO-Mini, SCALE, SCALE
   * 8-bit, Muon, Muon 8-bit); adapters beside frozen weights (LoRA, QLoRA, ReLoRA).
   * @default q_galore_adamw8bit
   */
  readonly optimizer: MethodName;
  /**
   * Rank of the low-rank gradient space, of that in which APOLLO measures, or of factors in place
   * of matrices; lower for smaller ones; auto: with GaLore for each matrix the lowest rank that
   * keeps `energyShare` of its first gradients.
   * @default a quarter of the model's width; 1 with apollo_mini, q_apollo_mini
   */
  readonly rank?: number | "auto";
  /**
   * Store attention and feed-forward projections in INT8.
   * @default on with q_galore_adamw8bit, q_apollo, q_apollo_mini
   */
  readonly weightQuant: boolean;
  /**
   * Store GaLore's projection matrices in INT4.
   * @default on with q_galore_adamw8bit
   */
  readonly projQuant: boolean;
  /**
   * Update rule of embedding and head, where they are trained: adamw has two float32 moments per
   * weight; adam_factored one in 8 bits, and second moments of rows and columns (Adafactor);
   * adamw8bit two in 8 bits, which raises the loss with a large vocabulary.
   * @default adam_factored with q_galore_adamw8bit, q_apollo, q_apollo_mini; adamw with
   * galore_adamw, galore_adamw8bit, adamw, adamw8bit, apollo, apollo_mini, muon, muon8bit, lora,
   * qlora, relora, low_rank
   */
  readonly embeddingOptimizer?: "adamw" | "adamw8bit" | "adam_factored";
  /** @deprecated Former name of `embeddingOptimizer: "adamw8bit"`. */
  readonly embeddingAdam8bit?: boolean;
  /**
   * Clip gradients to this norm, 0: not at all. By the norm of all together where adapters alone
   * are trained, or several batches make a step; otherwise each matrix by its own, as updates are
   * fused into the backward pass. Norms of projected matrices are those of the low-rank gradient.
   * @default 1 in fine-tuning, otherwise 0
   */
  readonly maxGradNorm: number;
  /**
   * Update each weight as soon as the backward pass has its gradient, so that one gradient exists
   * at a time; otherwise all are kept and applied at the end of a step, and `maxGradNorm` clips by
   * their common norm.
   * @default true
   */
  readonly layerwise: boolean;
  /**
   * Apply what the projection leaves of a gradient, too, scaled as the low-rank part is (Fira).
   * Gradients are formed whole, and accumulated so.
   * @default false
   */
  readonly fira: boolean;
  /**
   * Scale spikes in gradients of attention and feed-forward matrices down to the usual largest
   * element, and their norms to the usual (Stable-SPAM), which steadies 8- and 4-bit moments; the
   * learning rate is not warmed up again after a reset, as it is in SPAM.
   * @default false
   */
  readonly stableSpam: boolean;
  /**
   * 4-bit moments, but for embedding and head: half of the memory of 8-bit moments, and updates
   * that are less exact.
   * @default false
   */
  readonly adam4bit: boolean;
  /**
   * Weights per quantisation group, sharing a scale and a zero point.
   * @default 256
   */
  readonly weightGroupSize: number;
  /**
   * The same for projection matrices.
   * @default 256
   */
  readonly projGroupSize: number;
  /**
   * Folder of an adapter in peft's layout to train further, with its own modules, ranks and alphas.
   */
  readonly adapter?: string;
  /**
   * Scale RoPE so that sequences of `seqLen` fit, though the model has fewer positions; saved with
   * the model.
   */
  readonly ropeScaling?: "linear" | "dynamic" | "yarn" | "llama3";
  /**
   * Training examples (Alpaca, ShareGPT, messages, prompt and completion): JSON, JSON Lines, CSV,
   * Parquet or Arrow files, also compressed; folders, patterns (data/*.jsonl), - for standard
   * input, or hf:…; .txt files continue pre-training.
   */
  readonly data?: Data;
  /** Datasets by their names in the dataset_info.json of `datasetDir`. */
  readonly dataset?: string[];
  /**
   * Folder containing dataset_info.json.
   * @default data
   */
  readonly datasetDir: string;
  /** Evaluation examples; nothing is then held out. */
  readonly evalData?: Data;
  /** Evaluation datasets by name. */
  readonly evalDataset?: string[];
  /**
   * Share of the examples held out for evaluation if no evaluation data is given; 1 or more: their
   * number; 0: none.
   * @default 0.05
   */
  readonly evalShare: number;
  /** Use only the first n examples. */
  readonly maxSamples?: number;
  /**
   * Format of the examples.
   * @default auto
   */
  readonly dataFormat: "auto" | "alpaca" | "sharegpt" | "openai" | "prompt_completion" | "text";
  /**
   * Chat template: the tokenizer's own, or one of alpaca, chatml, gemma, llama2, llama3, mistral,
   * qwen, vicuna, zephyr.
   * @default default
   */
  readonly template:
    | "default"
    | "alpaca"
    | "chatml"
    | "gemma"
    | "llama2"
    | "llama3"
    | "mistral"
    | "qwen"
    | "vicuna"
    | "zephyr"
    | (string & Record<never, never>);
  /**
   * Leave out examples that cannot be trained on as they are, instead of refusing the data.
   * @default false
   */
  readonly skipUnusable: boolean;
  /** System prompt for conversations that have none. */
  readonly defaultSystem?: string;
  /**
   * Train on all tokens, not only the assistant's.
   * @default false
   */
  readonly trainOnPrompt: boolean;
  /**
   * Pack several examples into a sequence; they do not attend to each other.
   * @default true
   */
  readonly packing: boolean;
  /** Tokenizer to use instead of the model's. */
  readonly tokenizer?: string;
  /**
   * Special tokens to add to the tokenizer, such as a template's marks; embedding and head get a
   * row for each, which starts at the mean of the others, and are trained.
   */
  readonly addTokens?: string[];
  /**
   * Field of a JSON record or Parquet row that contains the text.
   * @default text
   */
  readonly textField: string;
  /** Print the first n examples with their trained tokens marked, then exit. */
  readonly preview?: number;
  /**
   * Scale of the low-rank update (alpha in the GaLore paper).
   * @default 0.25
   */
  readonly galoreScale: number;
  /**
   * Scale of APOLLO's update, which is multiplied by its root.
   * @default 1 with apollo, q_apollo; 128 with apollo_mini, q_apollo_mini
   */
  readonly apolloScale: number;
  /**
   * Steps between refreshes of a matrix's subspace, until it settles; between APOLLO's projections.
   * @default 200
   */
  readonly updateProjGap: number;
  /**
   * Mean similarity of successive subspaces at which a subspace counts as settled.
   * @default 0.4
   */
  readonly cosThreshold: number;
  /**
   * Factor by which a settled subspace's refresh interval grows; 1: fixed interval.
   * @default 2
   */
  readonly gammaProj: number;
  /**
   * Number of similarities in that mean.
   * @default 5
   */
  readonly queueSize: number;
  /**
   * Round updated weights stochastically, so that small updates are not lost.
   * @default on with INT8 or bfloat16 weights
   */
  readonly stochasticRound: boolean;
  /**
   * Peak learning rate.
   * @default 0.0001 with q_galore_adamw8bit, galore_adamw, galore_adamw8bit, apollo, apollo_mini,
   * q_apollo, q_apollo_mini; 0.00002 with adamw, adamw8bit, scale, scale8bit, muon, muon8bit;
   * 0.0002 with lora, qlora, relora
   */
  readonly lr: number;
  /**
   * Adam's decay rate of the first moment.
   * @default 0.9
   */
  readonly beta1: number;
  /**
   * Adam's decay rate of the second moment.
   * @default 0.999
   */
  readonly beta2: number;
  /**
   * Added to Adam's denominator.
   * @default 1e-8
   */
  readonly adamEps: number;
  /**
   * Steps after which Adam's moments of attention and feed-forward matrices are reset; 0: never.
   * @default 1000 with `stableSpam`, otherwise 0
   */
  readonly momentumReset: number;
  /**
   * Decoupled weight decay, multiplied by the learning rate.
   * @default 0
   */
  readonly weightDecay: number;
  /**
   * Share of a gradient's energy that `rank: "auto"` keeps.
   * @default 0.9
   */
  readonly energyShare: number;
  /**
   * Train embedding and head too; needs gradients and moments for the whole vocabulary. Adapters
   * save them whole (peft's modules_to_save).
   * @default false
   */
  readonly trainEmbeddings: boolean;
  /**
   * Store the embedding and head in INT8.
   * @default on with q_galore_adamw8bit, q_apollo, q_apollo_mini, where they are not trained
   */
  readonly embeddingQuant: boolean;
  /**
   * Store the embedding and head in 4 bits (NF4), where they are not trained; the saved model has
   * them as they were.
   * @default false
   */
  readonly embedding4bit: boolean;
  /**
   * Keep the embedding in host memory, if it is frozen and not tied to the head; only the rows of a
   * batch go to the device. Host memory grows by what the device saves (in INT8 a byte per weight),
   * and samples are read token by token.
   * @default false
   */
  readonly offloadEmbedding: boolean;
  /**
   * Noise on the embedded tokens while training (NEFTune): uniform up to alpha / √(length · width),
   * usually with an alpha of 5 to 15.
   * @default 0
   */
  readonly neftuneNoiseAlpha: number;
  /**
   * Rank of the adapters.
   * @default 8
   */
  readonly loraRank: number;
  /**
   * Alpha; updates are scaled by alpha / rank.
   * @default twice `loraRank`
   */
  readonly loraAlpha: number;
  /**
   * Scale updates by alpha / √rank instead (rsLoRA), so that high ranks are not scaled down;
   * `loraAlpha` then means more.
   * @default false
   */
  readonly useRslora: boolean;
  /**
   * Train the lengths of the rows of adapted projections as well (DoRA): closer to training all
   * weights at a low rank, for about half as much time again.
   * @default false
   */
  readonly useDora: boolean;
  /**
   * Dropout rate of the adapters' inputs.
   * @default 0
   */
  readonly loraDropout: number;
  /**
   * Modules to adapt: all projections, or some of q_proj, k_proj, v_proj, o_proj, gate_proj,
   * up_proj, down_proj, embed_tokens, lm_head.
   * @default all
   */
  readonly loraTarget: (
    | "all"
    | "q_proj"
    | "k_proj"
    | "v_proj"
    | "o_proj"
    | "gate_proj"
    | "up_proj"
    | "down_proj"
    | "embed_tokens"
    | "lm_head"
  )[];
  /**
   * Learning rate of the adapters' matrices B, as a multiple of that of A (LoRA+); usually 4 to 16,
   * with half of the usual `lr`.
   * @default 1
   */
  readonly loraplusLrRatio: number;
  /**
   * With `loraplusLrRatio`: peak learning rate of an adapter on the embedding.
   * @default 1e-6
   */
  readonly loraplusLrEmbedding?: number;
  /**
   * Steps after which adapters are merged into the weights and begin anew.
   * @default a quarter of the run's, at most 5000, and no less than its warm-up
   */
  readonly jaggedRestartSteps?: number;
  /**
   * Steps of linear warm-up from 0 after each restart.
   * @default a tenth of `jaggedRestartSteps`, from 2 to 100; none where that is below 4
   */
  readonly jaggedRestartWarmupSteps?: number;
  /**
   * Passes over the examples.
   * @default 3; over a small set up to 25, in smaller batches, for 100 steps
   */
  readonly epochs?: number;
  /** Total optimizer steps, overriding `epochs`. */
  readonly steps?: number;
  /**
   * Share of the steps over which the learning rate rises.
   * @default 0.03
   */
  readonly warmupRatio: number;
  /**
   * Warm-up in steps.
   * @default `warmupRatio` of the steps
   */
  readonly warmupSteps?: number;
  /**
   * Shape of the learning rate's decay after warm-up.
   * @default cosine
   */
  readonly scheduler: "cosine" | "linear" | "constant";
  /**
   * Final learning rate as a fraction of `lr`.
   * @default 0.1
   */
  readonly minLrRatio: number;
  /**
   * Seed for initialisation, data order and stochastic rounding.
   * @default 42
   */
  readonly seed: number;
  /** Folder for metrics, checkpoints and the trained model. */
  readonly output: string;
  /**
   * Steps between evaluations; epoch: after each pass over the examples; 0: only before the first
   * step and after the last.
   * @default 0
   */
  readonly evalEvery: number | "epoch";
  /**
   * Steps between checkpoints; epoch: after each pass over the examples; 0: only at the end.
   * @default 500
   */
  readonly saveEvery: number | "epoch";
  /**
   * Minutes after which a checkpoint is saved whatever `saveEvery` says, rarer where saving takes
   * more than a twentieth of the time; 0: only by steps.
   * @default 1 for checkpoints up to 100 MB, up to 10 for large ones
   */
  readonly saveMinutes?: number;
  /** Prompt for the model to continue or answer at each evaluation, to see its progress. */
  readonly samplePrompt?: string[];
  /**
   * Maximum tokens per sample.
   * @default 48
   */
  readonly sampleTokens: number;
  /**
   * Number of newest checkpoints to keep; with `loadBestModelAtEnd`, the best is kept as well.
   * @default 2
   */
  readonly keepCheckpoints: number;
  /**
   * Save the model of the evaluation with the lowest loss instead of the last step's; each new best
   * is saved as a checkpoint.
   * @default false
   */
  readonly loadBestModelAtEnd: boolean;
  /**
   * Stop after this many successive evaluations without a lower loss.
   * @default never
   */
  readonly earlyStoppingPatience?: number;
  /**
   * Amount by which an evaluation's loss must be lower to count.
   * @default 0
   */
  readonly earlyStoppingThreshold: number;
  /**
   * GPU memory the run may use, in GiB; a run that needs more is refused before it starts.
   * @default free memory on a software adapter, otherwise no limit
   */
  readonly gpuMemory?: number;
  /**
   * Before the first run on a graphics card, time the variants of its kernels for some seconds;
   * otherwise they are chosen by the shapes of the model.
   * @default true
   */
  readonly tune: boolean;
  /**
   * If `output` already contains a run or a model, delete its checkpoints, replace its model and
   * start over.
   * @default false
   */
  readonly overwriteOutput: boolean;
  /**
   * Continue from this checkpoint, or from the newest complete one of this run's folder; auto or
   * latest: of `output`, if any.
   */
  readonly resume?: "auto" | (string & Record<never, never>);
  /**
   * Where an MPI launcher started several processes: each keeps the optimizer states of its share
   * of the parameters alone, updates these, and gives the updates to the others (ZeRO); the weights
   * are the same bits as without it.
   * @default false
   */
  readonly shardStates: boolean;
  /**
   * Each process keeps only its share of the layers' matrices as well, and they are gathered when a
   * layer runs (FSDP); implies `shardStates: true`.
   * @default false
   */
  readonly shardWeights: boolean;
  /**
   * Format in which gradients travel, or what local steps have changed; they are added in float32;
   * bfloat16 halves the bytes and rounds each process's part and the sum.
   * @default float32
   */
  readonly communicationDataType: "float32" | "bfloat16";
  /**
   * Steps that each process takes by itself before all meet in an outer step (DiLoCo's H), for slow
   * networks: weights are exchanged once in so many steps instead of gradients in each.
   * @default none: gradients are exchanged in every step
   */
  readonly localSteps?: number;
  /**
   * Learning rate of the outer step of `localSteps`.
   * @default 0.7
   */
  readonly outerLr: number;
  /**
   * Nesterov momentum of the outer step of `localSteps`.
   * @default 0.9
   */
  readonly outerMomentum: number;
}

/** Options of a fine-tuning run, as a program gives them. */
export interface FinetuneInput
  extends Given<Omit<FinetuneOptions, "optimizer">, "model" | "output"> {
  /**
   * Training method: gradients projected to a low rank (Q-GaLore, GaLore, GaLore 8-bit); gradients
   * of full rank (AdamW, AdamW 8-bit, APOLLO, APOLLO-Mini, Q-APOLLO, Q-APOLLO-Mini, SCALE, SCALE
   * 8-bit, Muon, Muon 8-bit); adapters beside frozen weights (LoRA, QLoRA, ReLoRA).
   * @default q_galore_adamw8bit
   */
  readonly optimizer?: MethodName | "galore_adamw_8bit";
}
