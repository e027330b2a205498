/** Uploads token ids and labels to the device. */
import type { Gpu } from "../gpu/gpu.ts";
import { ShapeError } from "../numbers/shape_error.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { bytesOf } from "../numbers/layout.ts";
import { packTensor } from "../numbers/plain.ts";
import { ranges } from "../kernels/ranges.ts";
import { sortTokens } from "../kernels/misc/embedding_backward.ts";
import type { Activations, BackwardActivations } from "./activations.ts";
import type { LlamaConfig } from "./config.ts";
import type { HeadWorkspace } from "./head_workspace.ts";
import type { HostMatrix } from "./host_matrix.ts";
import type { Llama } from "./llama.ts";
import type { Batch } from "./batch.ts";

/** The tokens of a pass. */
export interface Inputs extends Pick<Batch, "inputs" | "firstKeys"> {
  /** Tokens of the sequence already in a KV cache. */
  readonly offset?: number;
}

/**
 * Writes ids and first keys, and the embedded tokens if the embedding is in host memory; throws on an
 * id outside the vocabulary.
 */
export function uploadInputs(
  gpu: Gpu,
  { config, parameters }: Pick<Llama, "config" | "parameters">,
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
  const { host } = parameters.embedding;
  if (host) uploadEmbedded(gpu, activations, { host, inputs, scale: config.embeddingScale });
}

/** Rows that are decoded at a time: a few MiB with their decoded values. */
const EMBEDDED_ROWS = 256;

/** Writes scale · weight[inputs] (N, C) to where the embedding kernel would. */
function uploadEmbedded(
  gpu: Gpu,
  { residual: [out] }: Activations,
  { host, inputs, scale }: { host: HostMatrix; inputs: Uint32Array; scale: number },
): void {
  const factor = Math.fround(scale);
  for (const { start, end } of ranges(inputs.length, EMBEDDED_ROWS)) {
    const values = host.rows(inputs.subarray(start, end));
    if (factor !== 1) values.forEach((value, at) => values[at] = factor * value);
    const rows = { ...out, shape: [end - start, out.shape[1]] };
    gpu.write(out, packTensor(rows, values), bytesOf(out.dtype, start * out.stride));
  }
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
