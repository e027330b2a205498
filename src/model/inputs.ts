/** Uploads token ids and labels to the device. */
import type { Gpu } from "../gpu/gpu.ts";
import { ShapeError } from "../numbers/shape_error.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { packTensor } from "../numbers/plain.ts";
import { sortTokens } from "../kernels/misc/embedding_backward.ts";
import type { Activations, BackwardActivations } from "./activations.ts";
import type { LlamaConfig } from "./config.ts";
import type { HeadWorkspace } from "./head_workspace.ts";
import type { Batch } from "./batch.ts";

/** The tokens of a pass. */
export interface Inputs extends Pick<Batch, "inputs" | "firstKeys"> {
  /** Tokens of the sequence already in a KV cache. */
  readonly offset?: number;
}

/** Writes ids and first keys; throws on an id outside the vocabulary. */
export function uploadInputs(
  gpu: Gpu,
  config: LlamaConfig,
  activations: Activations,
  { inputs, ...seen }: Inputs,
): void {
  const bad = inputs.findIndex((id) => id >= config.vocabSize);
  if (bad >= 0) {
    throw new ShapeError(
      `token id ${inputs[bad]} at position ${bad} is outside the vocabulary of ${config.vocabSize}`,
      "does the tokenizer belong to this model?",
    );
  }
  gpu.write(activations.tokens, packTensor(activations.tokens, inputs));
  uploadFirstKeys(gpu, config, activations, seen);
}

/** Writes the first keys of tokens that are on the device already. */
export function uploadFirstKeys(
  gpu: Gpu,
  config: LlamaConfig,
  activations: Activations,
  { firstKeys, offset = 0 }: Omit<Inputs, "inputs">,
): void {
  const { windowFirstKeys, batch, length } = activations;
  const first = firstKeys ?? new Uint32Array(batch * length);
  gpu.write(activations.firstKeys, packTensor(activations.firstKeys, first));
  if (!windowFirstKeys) return;
  const { size } = config.slidingWindow!;
  const windowed = first.map((key, n) => Math.max(key, offset + n % length - size + 1));
  gpu.write(windowFirstKeys, packTensor(windowFirstKeys, windowed));
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
