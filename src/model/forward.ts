/**
 * The decoder, forward.
 *
 *   x (N, C) → RMSNorm → q (N, H·D), k, v (N, K·D) → RoPE → attention (N, H·D) → + x → middle (N, C)
 *     → RMSNorm → gate, up (N, F) → silu(gate)·up → down (N, C) → + middle → next x
 */
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import { attention } from "../kernels/attention.ts";
import { embedding } from "../kernels/embedding.ts";
import { matmul } from "../kernels/matmul.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { rope } from "../kernels/rope.ts";
import { swiglu } from "../kernels/swiglu.ts";
import type { Activations, LayerActivations } from "./activations.ts";
import type { Llama } from "./llama.ts";
import type { Parameter } from "./parameters.ts";

/** Keys and values of the tokens so far, a pair a layer: (capacity, K·D). Batch of one. */
export interface KeyValueCache {
  readonly layers: readonly { readonly key: Tensor; readonly value: Tensor }[];
  readonly capacity: number;
  /** Tokens already in the cache. */
  length: number;
}

/** Embeds `activations.tokens` and runs every layer; leaves the last output in `residual[L]`. */
export function forward(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  cache?: KeyValueCache,
): void {
  embedding(pass, {
    tokens: activations.tokens,
    weight: model.parameters.embedding.weight,
    out: activations.residual[0],
  });
  for (let layer = 0; layer < model.config.layers; layer++) {
    forwardToGate(pass, model, activations, layer, cache);
    const { gate, up, middle } = activations.layers[layer];
    swiglu(pass, { gate, up, h: activations.hidden });
    project(pass, model, {
      x: activations.hidden,
      weight: model.parameters.layers[layer].down,
      out: activations.residual[layer + 1],
      residual: middle,
    });
  }
  if (cache) cache.length += activations.length;
}

/** A layer up to gate and up: also what the backward pass runs again when they were not kept. */
export function forwardToGate(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  layer: number,
  cache?: KeyValueCache,
): void {
  const { config, parameters } = model;
  const weights = parameters.layers[layer];
  const saved = activations.layers[layer];
  const x = activations.residual[layer];
  const { normed, length } = activations;
  const { headSize } = config;

  rmsNorm(pass, {
    x,
    weight: weights.inputNorm.weight,
    y: normed,
    rstd: saved.inputRstd,
    eps: config.rmsNormEps,
  });
  project(pass, model, { x: normed, weight: weights.query, out: saved.query });
  project(pass, model, { x: normed, weight: weights.key, out: saved.key });
  project(pass, model, { x: normed, weight: weights.value, out: saved.value });
  const positionOffset = cache?.length ?? 0;
  rope(pass, { x: saved.query, table: model.rope, headSize, length, positionOffset });
  rope(pass, { x: saved.key, table: model.rope, headSize, length, positionOffset });
  attend(pass, model, activations, saved, layer, cache);
  project(pass, model, {
    x: saved.attention,
    weight: weights.output,
    out: saved.middle,
    residual: x,
  });
  rmsNorm(pass, {
    x: saved.middle,
    weight: weights.postAttentionNorm.weight,
    y: normed,
    rstd: saved.middleRstd,
    eps: config.rmsNormEps,
  });
  project(pass, model, { x: normed, weight: weights.gate, out: saved.gate });
  project(pass, model, { x: normed, weight: weights.up, out: saved.up });
}

function attend(
  pass: KernelPass,
  { config, attention: workspace }: Llama,
  { batch, length }: Activations,
  saved: LayerActivations,
  layer: number,
  cache: KeyValueCache | undefined,
): void {
  let { key, value } = saved;
  let keyLength = length, keyCapacity = length;
  if (cache) {
    const own = cache.layers[layer];
    keyLength = cache.length + length;
    keyCapacity = cache.capacity;
    pass.copy(key, rowRange(own.key, cache.length, keyLength));
    pass.copy(value, rowRange(own.value, cache.length, keyLength));
    ({ key, value } = own);
  }
  attention(pass, {
    q: saved.query,
    k: key,
    v: value,
    out: saved.attention,
    logsumexp: saved.logsumexp,
    batch,
    queryLength: length,
    keyLength,
    keyCapacity,
    heads: config.heads,
    keyValueHeads: config.keyValueHeads,
    headSize: config.headSize,
    workspace,
  });
}

/** out = x · weightᵀ (+ residual) */
function project(
  pass: KernelPass,
  model: Llama,
  io: { x: Tensor; weight: Parameter; out: Tensor; residual?: Tensor },
): void {
  matmul(pass, model.matmul, {
    layout: "NT",
    a: io.x,
    b: io.weight.weight,
    c: io.out,
    residual: io.residual,
  });
}
