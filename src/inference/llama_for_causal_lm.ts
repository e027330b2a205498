/**
 * A causal language model loaded from a Hugging Face folder.
 *
 * @example
 * ```ts
 * const gpu = await Gpu.open();
 * const tokenizer = await loadTokenizer("runs/demo/model");
 * const model = await LlamaForCausalLM.fromPretrained("runs/demo/model", { gpu });
 * const prompt = tokenizer.encode("ROMEO:");
 * for await (const id of model.generate(prompt, { maxNewTokens: 64, temperature: 0.8 })) {
 *   // …
 * }
 * ```
 *
 * @module
 */
import { evaluatePerplexity, type Evaluation, type EvaluationBatch } from "../eval/perplexity.ts";
import { loadWeights, savedFormat } from "../formats/pretrained.ts";
import { openPretrained } from "../formats/pretrained_model.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { unpackTensor } from "../kernels/convert.ts";
import type { ActivationType } from "../kernels/format.ts";
import { machineOf } from "../kernels/machine.ts";
import { matmul } from "../kernels/matmul.ts";
import {
  type Activations,
  createActivations,
  createBackwardActivations,
  type Keep,
} from "../model/activations.ts";
import { backward } from "../model/backward.ts";
import type { LlamaConfig } from "../model/config.ts";
import { forward } from "../model/forward.ts";
import type { GradientSink } from "../model/gradients.ts";
import {
  createHeadWorkspace,
  finalNorm,
  headLossAndGradients,
  type HeadWorkspace,
} from "../model/head.ts";
import { uploadInputs, uploadTargets, uploadTokenOrder } from "../model/inputs.ts";
import { createLlama, type Llama, uploadRope } from "../model/llama.ts";
import {
  createParameters,
  type LlamaParameters,
  type Parameter,
  type WeightType,
} from "../model/parameters.ts";
import { generate, type GenerateOptions } from "./generate.ts";

export interface FromPretrainedOptions {
  readonly gpu: Gpu;
  /** Format of the weights on the device; by default that of the file, if the device has it. */
  readonly weights?: WeightType;
  /** Elements of an INT8 group; default 256. */
  readonly weightGroupSize?: number;
  /** Format of activations; default float32, in which results are exact. */
  readonly dtype?: ActivationType;
}

export interface LossAndGradients {
  /** (B, T, V) */
  readonly logits: Float32Array;
  /** Mean over the labels that count, in nats. */
  readonly loss: number;
  /** Under the Hugging Face name of each parameter, in its shape; a tied head is in the embedding. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

export class LlamaForCausalLM {
  private constructor(
    readonly gpu: Gpu,
    readonly config: LlamaConfig,
    readonly parameters: LlamaParameters,
    readonly dtype: ActivationType,
    private readonly scope: Scope,
  ) {}

  /** Loads a folder with config.json and safetensors. Faults are {@link UserError}s that name it. */
  static async fromPretrained(
    directory: string,
    { gpu, weights, weightGroupSize = 256, dtype = "float32" }: FromPretrainedOptions,
  ): Promise<LlamaForCausalLM> {
    using source = await openPretrained(directory);
    const { config } = source;
    const saved = savedFormat(source.weights);
    const scope = new Scope(gpu);
    const parameters = createParameters(scope, config, {
      weights: weights ?? saved,
      groupSize: weightGroupSize,
      embeddings: weights === "bfloat16" || weights === "float32" ? weights : saved,
      trained: "all",
    });
    await loadWeights(gpu, parameters, source.weights);
    return new LlamaForCausalLM(gpu, config, parameters, dtype, scope);
  }

  /** Yields new token ids one by one, after those of the prompt. */
  generate(prompt: ArrayLike<number>, options: GenerateOptions): AsyncGenerator<number> {
    return generate(this.gpu, this.config, this.parameters, this.dtype, prompt, options);
  }

  /** Loss and perplexity over batches of (batch, length) inputs and targets. */
  async evaluate(
    batches: AsyncIterable<EvaluationBatch>,
    { batch, length }: { batch: number; length: number },
  ): Promise<Evaluation> {
    const scope = new Scope(this.gpu);
    try {
      const run = this.#prepare(scope, batch, length, "nothing");
      return await evaluatePerplexity(this.gpu, run.model, { ...run, index: 0 }, batches);
    } finally {
      scope.release();
    }
  }

  /**
   * Logits, loss and every gradient of one batch, all of them read back: for checking a model, not
   * for training one. `labels` are Hugging Face's: the label of a position is its own token, and
   * the shift by one happens here; -100 is ignored.
   */
  async lossAndGradients(
    inputIds: ArrayLike<number>,
    labels: ArrayLike<number>,
    { batch, length }: { batch: number; length: number },
  ): Promise<LossAndGradients> {
    const { gpu, config, parameters } = this;
    const scope = new Scope(gpu);
    try {
      const run = this.#prepare(scope, batch, length, "everything");
      const { model, activations, head, losses } = run;
      const gradients = createBackwardActivations(scope, config, {
        batch,
        length,
        dtype: this.dtype,
        keep: "everything",
      });
      const inputs = Uint32Array.from(inputIds);
      const targets = shiftLabels(labels, batch, length);
      const count = Math.max(1, targets.filter((target) => target !== -100).length);
      uploadInputs(gpu, config, activations, { inputs });
      uploadTargets(gpu, head, targets);
      uploadTokenOrder(gpu, gradients, inputs);
      const sink = collectGradients(scope, parameters);
      const logits = scope.tensor({
        name: "logits.all",
        shape: [batch * length, config.vocabSize],
        dtype: "float32",
        purpose: "workspace",
      });

      const pass = new KernelPass(gpu);
      forward(pass, model, activations);
      finalNorm(pass, model, activations);
      matmul(pass, model.matmul, {
        layout: "NT",
        a: activations.normed,
        b: parameters.head.weight,
        c: logits,
      });
      const loss = { out: losses, index: 0, accumulate: false };
      headLossAndGradients(pass, model, activations, gradients, head, sink, loss, 1 / count);
      backward(pass, model, activations, gradients, sink);
      pass.submit();

      const read = async (tensor: Tensor) => unpackTensor(tensor, await gpu.read(tensor));
      const byName = new Map<string, Float32Array>();
      for (const [parameter, gradient] of sink.gradients) {
        byName.set(parameter.name, await read(gradient));
      }
      return {
        logits: await read(logits),
        loss: (await read(losses))[0] / count,
        gradients: byName,
      };
    } finally {
      scope.release();
    }
  }

  /** Gives the weights' memory back. */
  release(): void {
    this.scope.release();
  }

  #prepare(scope: Scope, batch: number, length: number, keep: Keep): {
    model: Llama;
    activations: Activations;
    head: HeadWorkspace;
    losses: Tensor;
  } {
    const { gpu, config, parameters, dtype } = this;
    const tokens = batch * length;
    const head = createHeadWorkspace(scope, config, tokens);
    const model = createLlama(scope, config, parameters, {
      machine: machineOf(gpu),
      batch,
      length,
      headRows: keep === "nothing" ? head.chunk : tokens,
      backward: keep !== "nothing",
      dtype,
    });
    uploadRope(gpu, model);
    return {
      model,
      head,
      activations: createActivations(scope, config, { batch, length, dtype, keep }),
      losses: scope.tensor({ name: "losses", shape: [1], dtype: "float32", purpose: "workspace" }),
    };
  }
}

/** Targets by position: the next token's label, none at the end of a sequence. */
function shiftLabels(labels: ArrayLike<number>, batch: number, length: number): Int32Array {
  return Int32Array.from(
    { length: batch * length },
    (_, n) => (n % length === length - 1 ? -100 : labels[n + 1]),
  );
}

/** A sink that keeps every gradient. */
function collectGradients(
  scope: Scope,
  parameters: LlamaParameters,
): GradientSink & { readonly gradients: ReadonlyMap<Parameter, Tensor> } {
  const gradients = new Map(parameters.all.map((parameter) => [
    parameter,
    scope.tensor({
      name: `${parameter.name}.grad`,
      shape: parameter.shape,
      dtype: "float32",
      purpose: "gradients",
    }),
  ]));
  return {
    gradients,
    target: (parameter) => ({ gradient: gradients.get(parameter)!, accumulate: false }),
    consume: () => {},
  };
}
