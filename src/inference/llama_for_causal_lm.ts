/**
 * A causal language model loaded from a Hugging Face folder.
 *
 * @example
 * ```ts
 * import { Gpu, LlamaForCausalLM, loadTokenizer } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const tokenizer = await loadTokenizer("runs/demo/model");
 * using model = await LlamaForCausalLM.fromPretrained("runs/demo/model", { gpu });
 * const prompt = tokenizer.encode("ROMEO:");
 * for await (const id of model.generate(prompt, { maxNewTokens: 64, temperature: 0.8 })) {
 *   console.log(id);
 * }
 * ```
 *
 * @module
 */
import { evaluatePerplexity, type Evaluation, type EvaluationOptions } from "./perplexity.ts";
import { readGeneration } from "../formats/generation.ts";
import type { GenerationConfig } from "../formats/generation_config.ts";
import { openWithAdapter } from "../formats/peft/adapted_model.ts";
import { loadWeights, savedFormat } from "../formats/pretrained.ts";
import { PlanAllocator } from "../gpu/allocator.ts";
import { assertGpu } from "../gpu/assert_gpu.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Scope } from "../gpu/scope.ts";
import type { ActivationType } from "../kernels/format.ts";
import type { Batch } from "../model/batch.ts";
import type { LlamaConfig } from "../model/config.ts";
import {
  createParameters,
  type LlamaParameters,
  type WeightFormat,
  type WeightType,
} from "../model/parameters.ts";
import { generate, type GenerateOptions } from "./generate.ts";
import {
  type LogLikelihood,
  type LogLikelihoodOptions,
  type LogLikelihoodRequest,
  logLikelihoods,
} from "./log_likelihood.ts";
import {
  type LossAndGradients,
  lossAndGradients,
  type LossAndGradientsOptions,
} from "./loss_and_gradients.ts";
import { assertMemory } from "./memory_limit.ts";
import { createForwardBuffers } from "./forward_buffers.ts";

export type { LossAndGradients };

/** Options of {@link LlamaForCausalLM.fromPretrained}. */
export interface FromPretrainedOptions {
  /** The device to load the model onto. */
  readonly gpu: Gpu;
  /** Format of the weights on the device; by default the file's, if supported. */
  readonly weights?: WeightType;
  /** Elements per INT8 group; default 256. */
  readonly weightGroupSize?: number;
  /** Format of activations; default float32, the most accurate. */
  readonly dtype?: ActivationType;
  /** Folder of a LoRA adapter in peft's format to apply to the model. */
  readonly adapter?: string;
  /**
   * Bytes of GPU memory for the model and its use. If exceeded, an {@link OutOfMemoryError} states
   * the requirement before anything is allocated.
   */
  readonly memoryLimit?: number;
  /** Called with the share of the weights that are loaded. */
  readonly onProgress?: (share: number) => void;
}

/** A language model on the device: LLaMA, or a relative of it such as Mistral, Qwen or Gemma. */
export class LlamaForCausalLM {
  private constructor(
    readonly gpu: Gpu,
    readonly config: LlamaConfig,
    readonly parameters: LlamaParameters,
    readonly dtype: ActivationType,
    /** Default sampling, and the tokens that end a text. */
    readonly generation: GenerationConfig,
    private readonly scope: Scope,
    /** As given; see {@link FromPretrainedOptions}. */
    readonly memoryLimit: number | undefined,
    /** What was taken otherwise than the model's config.json says, for the user. */
    readonly warnings: readonly string[],
  ) {}

  /**
   * Loads a Hugging Face folder, a `.gguf` file, `hf:org/name`, or the folder of a run or of one of
   * its checkpoints. Throws {@link UserError}s that name file and value.
   */
  static async fromPretrained(
    directory: string,
    options: FromPretrainedOptions,
  ): Promise<LlamaForCausalLM> {
    const gpu: Gpu = options?.gpu;
    assertGpu(gpu);
    const { weights, weightGroupSize = 256, dtype = "float32" } = options;
    const { memoryLimit } = options;
    using source = await openWithAdapter(directory, options.adapter);
    const { config, warnings, adapter } = source;
    const saved = savedFormat(source.weights);
    const generation = await readGeneration(source.path, config);
    const format: WeightFormat = {
      weights: weights ?? saved,
      groupSize: weightGroupSize,
      embeddings: weights === "bfloat16" || weights === "float32" ? weights : saved,
      trained: "all",
      lora: adapter?.lora,
    };
    if (memoryLimit !== undefined) {
      const plan = new PlanAllocator();
      createParameters(plan, config, format);
      assertMemory("the model's weights", plan.account.peak, memoryLimit, gpu.account.live);
    }
    const scope = new Scope(gpu);
    try {
      const parameters = createParameters(scope, config, format);
      await loadWeights(gpu, parameters, source.weights, { onProgress: options.onProgress });
      await adapter?.load(gpu, parameters);
      return new LlamaForCausalLM(
        gpu,
        config,
        parameters,
        dtype,
        generation,
        scope,
        memoryLimit,
        warnings,
      );
    } catch (error) {
      scope.release();
      throw error;
    }
  }

  /**
   * Yields new token ids, following the prompt. Throws a {@link UserError} if it is empty, or prompt
   * and new tokens exceed the model's positions.
   */
  generate(prompt: ArrayLike<number>, options: GenerateOptions): AsyncGenerator<number> {
    return generate(this, prompt, options);
  }

  /** Loss and perplexity over batches of (batch, length) inputs and targets. */
  async evaluate(
    batches: AsyncIterable<Batch>,
    { batch, length, ...options }: { batch: number; length: number } & EvaluationOptions,
  ): Promise<Evaluation> {
    const scope = new Scope(this.gpu);
    try {
      const { model, ...buffers } = createForwardBuffers(scope, this, { batch, length });
      const losses = scope.tensor({
        name: "losses",
        shape: [1],
        dtype: "float32",
        purpose: "workspace",
      });
      const all = { ...buffers, losses, index: 0 };
      return await evaluatePerplexity(this.gpu, model, all, batches, options);
    } finally {
      scope.release();
    }
  }

  /**
   * Logits, loss and gradients of one batch, read back in full: for checking a model, not for
   * training. `labels` are as in Hugging Face: the label of a position is its own token, shifted by
   * one here; -100 is ignored.
   */
  lossAndGradients(
    inputIds: ArrayLike<number>,
    labels: ArrayLike<number>,
    options: LossAndGradientsOptions,
  ): Promise<LossAndGradients> {
    return lossAndGradients(this, inputIds, labels, options);
  }

  /** Log-likelihoods of continuations after their contexts, in the order of the requests. */
  logLikelihoods(
    requests: readonly LogLikelihoodRequest[],
    options: LogLikelihoodOptions,
  ): Promise<LogLikelihood[]> {
    return logLikelihoods(this, requests, options);
  }

  /** Releases the memory of the weights; the model cannot be used any more. */
  release(): void {
    this.scope.release();
  }

  /** {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }
}
