/**
 * The forward pass of the model. Architectural variations come from the configuration: norms of q
 * and k, biases, sliding-window attention, another activation.
 *
 *   x (N, C) → RMSNorm → q (N, H·D), k, v (N, K·D) → RoPE → attention (N, H·D) → + x → middle
 *     → RMSNorm → gate, up (N, F) → act(gate)·up → down (N, C) → + middle → next x
 */
import type { KernelPass } from "../gpu/pass.ts";
import { type Tensor, viewAs } from "../gpu/tensor.ts";
import { rowsOf } from "../numbers/layout.ts";
import { attention } from "../kernels/attention/attention.ts";
import { addNoise } from "../kernels/misc/add_noise.ts";
import { embedding } from "../kernels/misc/embedding.ts";
import { rmsNorm } from "../kernels/norm/rms_norm.ts";
import { rope } from "../kernels/misc/rope.ts";
import { ropeCached } from "../kernels/misc/rope_cached.ts";
import { groupDequantize } from "../kernels/quantise/group_dequantize.ts";
import { groupQuantize } from "../kernels/quantise/group_quantize.ts";
import { glu } from "../kernels/misc/glu.ts";
import type { Activations, LayerActivations } from "./activations.ts";
import { recordNorms } from "./dora.ts";
import { applyLinear } from "./linear.ts";
import type { Llama } from "./llama.ts";
import { applyEmbeddingLora } from "./lora_embedding.ts";
import type { LlamaConfig } from "./config.ts";
import type { Parameter } from "./parameters.ts";

/** Keys and values of the tokens so far, a pair per layer: (capacity, K·D). Batch size 1. */
export interface KeyValueCache {
  readonly layers: readonly { readonly key: Tensor; readonly value: Tensor }[];
  readonly capacity: number;
  /** Tokens already in the cache. */
  length: number;
}

/**
 * Embeds `activations.tokens`, unless {@link uploadInputs} did, and runs every layer; the output is in
 * `residual[L]`. With a cache, what {@link recordNorms} computes must be there already.
 */
export function forward(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  cache?: KeyValueCache,
): void {
  const { embedding: { weight, host, index }, embeddingAdapter: adapter } = model.parameters;
  const { tokens, residual: [out] } = activations, { embeddingScale: scale } = model.config;
  if (!cache) recordNorms(pass, model);
  if (!host) embedding(pass, { tokens, weight, out, scale });
  if (adapter) applyEmbeddingLora(pass, model.lora!, { adapter, tokens, out, scale });
  if (model.noise) addNoise(pass, { y: out, tensor: index, ...model.noise });
  for (let layer = 0; layer < model.config.layers; layer++) {
    model.gather?.(pass, layer);
    keepInput(pass, activations, layer);
    forwardToGate(pass, model, activations, layer, cache);
    const { gate, up, middle } = activations.layers[layer];
    glu(pass, { activation: model.config.activation, gate, up, h: activations.hidden });
    applyLinear(pass, model, {
      x: activations.hidden,
      linear: model.parameters.layers[layer].down,
      out: activations.residual[layer + 1],
      residual: middle,
    });
    pass.passed("forward", layer + 1, model.config.layers);
  }
  if (cache) cache.length += activations.length;
}

/** Keeps the codes of a layer's input, which the output of the next one overwrites. */
function keepInput(pass: KernelPass, { inputs, residual }: Activations, layer: number): void {
  const target = inputs?.[layer];
  if (target) groupQuantize(pass, { source: residual[layer], target });
}

/** Restores a layer's input from its codes; the last layer's is where it was. */
export function restoreInput(
  pass: KernelPass,
  { inputs, residual }: Activations,
  layer: number,
): void {
  const source = inputs?.[layer];
  if (source) groupDequantize(pass, { source, target: residual[layer] });
}

/** A layer up to gate and up, which the backward pass reruns if they were not kept. */
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

  const { query, key, value } = saved;
  normalise(pass, model, { x, norm: weights.inputNorm, y: normed, rstd: saved.inputRstd });
  const { heads } = saved;
  applyLinear(pass, model, { x: normed, linear: weights.query, out: heads?.query ?? query });
  applyLinear(pass, model, { x: normed, linear: weights.key, out: heads?.key ?? key });
  applyLinear(pass, model, { x: normed, linear: weights.value, out: value });
  if (heads) normaliseHeads(pass, model, saved, layer);
  if (cache) {
    const { key: cachedKey, value: cachedValue } = cache.layers[layer];
    const { rope: table } = model, offset = cache.length;
    ropeCached(pass, { query, key, value, cachedKey, cachedValue, table, headSize, offset });
  } else {
    rope(pass, { x: query, table: model.rope, headSize, length });
    rope(pass, { x: key, table: model.rope, headSize, length });
  }
  attend(pass, model, activations, saved, layer, cache);
  applyLinear(pass, model, {
    x: saved.attention,
    linear: weights.output,
    out: saved.middle,
    residual: x,
  });
  normalise(pass, model, {
    x: saved.middle,
    norm: weights.postAttentionNorm,
    y: normed,
    rstd: saved.middleRstd,
  });
  applyLinear(pass, model, { x: normed, linear: weights.gate, out: saved.gate });
  applyLinear(pass, model, { x: normed, linear: weights.up, out: saved.up });
}

function attend(
  pass: KernelPass,
  { config, attention: workspace }: Llama,
  activations: Activations,
  saved: LayerActivations,
  layer: number,
  cache: KeyValueCache | undefined,
): void {
  const { batch, length } = activations;
  const { key, value } = cache?.layers[layer] ?? saved;
  attention(pass, {
    q: saved.query,
    k: key,
    v: value,
    out: saved.attention,
    logsumexp: saved.logsumexp,
    firstKeys: firstKeysOf(config, activations, layer),
    batch,
    queryLength: length,
    keyLength: (cache?.length ?? 0) + length,
    keyCapacity: cache?.capacity ?? length,
    heads: config.heads,
    keyValueHeads: config.keyValueHeads,
    headSize: config.headSize,
    workspace,
  });
}

/** Norms of q and k, head by head: from `heads` into query and key. */
function normaliseHeads(
  pass: KernelPass,
  { config, parameters }: Llama,
  { heads, query, key }: LayerActivations,
  layer: number,
): void {
  const { queryNorm, keyNorm } = parameters.layers[layer];
  const norm = (x: Tensor, y: Tensor, rstd: Tensor, { weight }: Parameter) =>
    rmsNorm(pass, {
      x: byHead(x, config.headSize),
      weight,
      y: byHead(y, config.headSize),
      rstd,
      eps: config.rmsNormEps,
    });
  norm(heads!.query, query, heads!.queryRstd, queryNorm!);
  norm(heads!.key, key, heads!.keyRstd, keyNorm!);
}

/** The first key that each position may see in this layer: (N) uint32. */
export function firstKeysOf(config: LlamaConfig, activations: Activations, layer: number): Tensor {
  const windowed = config.slidingWindow?.layers[layer];
  return windowed ? activations.windowFirstKeys! : activations.firstKeys;
}

/** (N, H·D) as (N·H, D): a head per row. D is a multiple of 8 where heads are normalised. */
export function byHead(x: Tensor, headSize: number): Tensor {
  return viewAs(x, x.name, [rowsOf(x.shape) * (x.stride / headSize), headSize]);
}

/** y = RMSNorm(x), which the backward pass reruns. */
export function normalise(
  pass: KernelPass,
  { config }: Llama,
  { norm, ...io }: { x: Tensor; norm: Parameter; y: Tensor; rstd: Tensor },
): void {
  const { rmsNormEps: eps, normOffset: offset } = config;
  rmsNorm(pass, { ...io, weight: norm.weight, eps, offset });
}
