/** Forward and backward pass of one batch with everything read back, for checking a model. */
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import { unpackTensor } from "../numbers/plain.ts";
import { createActivations, createBackwardActivations, type Keep } from "../model/activations.ts";
import { IGNORED } from "../model/batch.ts";
import type { GradientSink } from "../model/gradients.ts";
import { headLogits } from "../model/head.ts";
import { createHeadWorkspace } from "../model/head_workspace.ts";
import { createLlama, uploadRope } from "../model/llama.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { begin, finish } from "../model/pass.ts";
import type { RunnableModel } from "./runnable_model.ts";

/** The result of {@link LlamaForCausalLM.lossAndGradients}. */
export interface LossAndGradients {
  /** (B, T, V) */
  readonly logits: Float32Array;
  /** Mean over the labels that are not ignored, in nats. */
  readonly loss: number;
  /**
   * Gradients of the trainable parameters, by Hugging Face name and in their shapes; a tied head's
   * is part of the embedding's.
   */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** Options of {@link LlamaForCausalLM.lossAndGradients}. */
export interface LossAndGradientsOptions {
  /** Sequences, B. */
  readonly batch: number;
  /** Tokens of a sequence, T. */
  readonly length: number;
  /** What the forward pass keeps for the backward pass; default everything. */
  readonly keep?: Exclude<Keep, "nothing">;
  /**
   * Rows of embedding and head whose gradients are computed at a time, as training does where a whole
   * one takes much memory: a multiple of 64. All by default.
   */
  readonly blockRows?: number;
  /** Dropout of the adapters' inputs, as in training; none by default. */
  readonly dropout?: { readonly share: number; readonly seed: number; readonly step: number };
}

/**
 * Logits, loss and every gradient of one batch. `labels` are as in Hugging Face: the label of a
 * position is its own token, shifted by one here; -100 is ignored.
 */
export async function lossAndGradients(
  { gpu, config, parameters, dtype }: RunnableModel,
  inputIds: ArrayLike<number>,
  labels: ArrayLike<number>,
  { batch, length, keep = "everything", blockRows, dropout }: LossAndGradientsOptions,
): Promise<LossAndGradients> {
  const scope = new Scope(gpu);
  try {
    const tokens = batch * length;
    const head = createHeadWorkspace(scope, config, tokens);
    const model = createLlama(scope, config, parameters, {
      capabilities: gpu.capabilities,
      batch,
      length,
      headRows: tokens,
      backward: true,
      dtype,
      loraDropout: dropout?.share,
    });
    uploadRope(gpu, model);
    if (model.lora) model.lora.key = dropout;
    const use = { batch, length, dtype, keep };
    const activations = createActivations(scope, config, use);
    const gradients = createBackwardActivations(scope, config, {
      ...use,
      keepHeadInput: config.tieWordEmbeddings && !!blockRows,
    });
    const scratch = (name: string, shape: readonly number[]) =>
      scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
    const losses = scratch("losses", [1]);
    const logits = scratch("logits.all", [tokens, config.vocabSize]);
    const sink = collectGradients(scope, parameters, blockRows);

    const inputs = Uint32Array.from(inputIds);
    const targets = shiftLabels(labels, batch, length);
    const count = Math.max(1, targets.filter((target) => target !== IGNORED).length);
    const pass = new KernelPass(gpu), buffers = { model, activations, head, backward: gradients };
    begin(pass, buffers, { inputs, targets });
    headLogits(pass, model, { x: activations.normed, logits });
    const loss = { out: losses, index: 0, accumulate: false };
    finish(pass, buffers, { inputs }, { sink, loss, gradScale: 1 / count });
    pass.submit();

    const read = async (tensor: Tensor) => unpackTensor(tensor, await gpu.read(tensor));
    const byName = new Map<string, Float32Array>();
    for (const [{ name }, gradient] of sink.gradients) byName.set(name, await read(gradient));
    return {
      logits: await read(logits),
      loss: (await read(losses))[0] / count,
      gradients: byName,
    };
  } finally {
    scope.release();
  }
}

/** Targets by position: the next token's label, none at the end of a sequence. */
function shiftLabels(labels: ArrayLike<number>, batch: number, length: number): Int32Array {
  return Int32Array.from(
    { length: batch * length },
    (_, n) => (n % length === length - 1 ? IGNORED : labels[n + 1]),
  );
}

/** A sink that keeps every gradient. */
function collectGradients(
  scope: Scope,
  parameters: LlamaParameters,
  blockRows: number | undefined,
): GradientSink & { readonly gradients: ReadonlyMap<Parameter, Tensor> } {
  const trainable = parameters.all.filter((parameter) => parameter.trainable);
  const gradients = new Map(trainable.map((parameter) => [
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
    blockRows: () => blockRows,
    target(parameter, rows) {
      const gradient = gradients.get(parameter)!, accumulate = false;
      return { gradient: rows ? rowRange(gradient, rows.start, rows.end) : gradient, accumulate };
    },
    consume: () => {},
  };
}
