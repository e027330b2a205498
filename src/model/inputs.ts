/** Token ids and labels on their way to the device. */
import type { Gpu } from "../gpu/gpu.ts";
import { ShapeError } from "../gpu/errors.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { packTensor } from "../kernels/convert.ts";
import { sortTokens } from "../kernels/embedding_backward.ts";
import type { Activations, BackwardActivations } from "./activations.ts";
import type { LlamaConfig } from "./config.ts";
import type { HeadWorkspace } from "./head.ts";

/** Writes the (B·T) input ids; throws on an id that the vocabulary does not have. */
export function uploadTokens(
  gpu: Gpu,
  config: LlamaConfig,
  activations: Activations,
  inputs: Uint32Array,
): void {
  const bad = inputs.findIndex((id) => id >= config.vocabSize);
  if (bad >= 0) {
    throw new ShapeError(
      `token id ${inputs[bad]} at position ${bad} is beyond the vocabulary of ${config.vocabSize}`,
      "does the tokenizer belong to this model?",
    );
  }
  gpu.write(activations.tokens, packTensor(activations.tokens, inputs));
}

/** Writes the (B·T) targets: the id that each position should predict, or -100 for none. */
export function uploadTargets(gpu: Gpu, { labels }: HeadWorkspace, targets: Int32Array): void {
  gpu.write(labels, packTensor(labels, new Uint32Array(targets.buffer, targets.byteOffset)));
}

/** Writes the order in which the embedding's backward pass gathers. */
export function uploadTokenOrder(
  gpu: Gpu,
  backward: BackwardActivations,
  inputs: Uint32Array,
): void {
  const { order, sortedTokens } = sortTokens(inputs);
  const write = (tensor: Tensor, values: Uint32Array) =>
    gpu.write(tensor, packTensor(tensor, values));
  write(backward.order, order);
  write(backward.sortedTokens, sortedTokens);
}
