/** The activations of one micro-batch, allocated once and reused by every step. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Turn } from "../gpu/slots.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { ActivationType } from "../kernels/format.ts";
import type { LlamaConfig } from "./config.ts";
import { TURNS } from "./turns.ts";

/**
 * What the forward pass keeps:
 * - `everything`: whatever the backward pass cannot cheaply recompute, for every layer;
 * - `layer_inputs`: each layer's input; one set of the rest serves all layers, and the backward
 *   pass runs a layer forward again before it goes back through it (activation checkpointing);
 * - `layer_inputs_int8`: the same with the inputs as codes, from which only that second run starts;
 * - `nothing`: evaluation and generation.
 */
export type Keep = "everything" | "layer_inputs" | "layer_inputs_int8" | "nothing";

/** What the forward pass keeps of a layer. */
export interface LayerActivations {
  /** (N). */
  readonly inputRstd: Tensor;
  /** (N, H·D), rotated. */
  readonly query: Tensor;
  /** (N, K·D), rotated. */
  readonly key: Tensor;
  /** As projected, before the heads' norms; only with `qkNorm`. */
  readonly heads?: {
    /** (N, H·D). */
    readonly query: Tensor;
    /** (N, K·D). */
    readonly key: Tensor;
    /** (N·H). */
    readonly queryRstd: Tensor;
    /** (N·K). */
    readonly keyRstd: Tensor;
  };
  /** (N, K·D). */
  readonly value: Tensor;
  /** (N, H). */
  readonly logsumexp: Tensor;
  /** (N, H·D). */
  readonly attention: Tensor;
  /** (N, C), the residual stream between attention and MLP. */
  readonly middle: Tensor;
  /** (N). */
  readonly middleRstd: Tensor;
  /** (N, F). */
  readonly gate: Tensor;
  /** (N, F). */
  readonly up: Tensor;
}

/** What the forward pass reads and keeps. */
export interface Activations {
  /** Sequences, B. */
  readonly batch: number;
  /** Tokens of a sequence, T. */
  readonly length: number;
  /** How much of it. */
  readonly keep: Keep;
  /**
   * Each layer's input and the last layer's output: L + 1 of (N, C); two, alternating, if not kept
   * or kept as codes.
   */
  readonly residual: readonly Tensor[];
  /**
   * With `layer_inputs_int8`: the inputs of all layers but the last, whose `residual` is still there:
   * L − 1 of (N, C) int8.
   */
  readonly inputs?: readonly Tensor[];
  /** One per layer, or the same for all. */
  readonly layers: readonly LayerActivations[];
  /** (N, C). */
  readonly normed: Tensor;
  /** (N, F): act(gate)·up in the forward pass, then its gradient. */
  readonly hidden: Tensor;
  /** (N). */
  readonly finalRstd: Tensor;
  /** (N) uint32. */
  readonly tokens: Tensor;
  /** (N) uint32: the first key of its sequence that each position may see. */
  readonly firstKeys: Tensor;
  /** The same for layers with a sliding window. */
  readonly windowFirstKeys?: Tensor;
}

/** Buffers for the backward pass only. */
export interface BackwardActivations {
  /** (N, C). */
  readonly dresidual: Tensor;
  /** (N, C). */
  readonly dnormed: Tensor;
  /** (N, H·D). */
  readonly dquery: Tensor;
  /** (N, K·D). */
  readonly dkey: Tensor;
  /** (N, K·D). */
  readonly dvalue: Tensor;
  /** (N, H·D). */
  readonly dattention: Tensor;
  /** (N, 2·H). */
  readonly delta: Tensor;
  /** (G, C). */
  readonly normPartial: Tensor;
  /** (G', D): for the heads' norms, with many short rows. */
  readonly headPartial?: Tensor;
  /** (N, C): the head's input, kept for a tied head whose gradient is taken in blocks of rows. */
  readonly headInput?: Tensor;
  /** (N) uint32, positions sorted by token. */
  readonly order: Tensor;
  /** (N) uint32. */
  readonly sortedTokens: Tensor;
}

export interface ActivationOptions {
  readonly batch: number;
  readonly length: number;
  readonly dtype: ActivationType;
  readonly keep: Keep;
}

/**
 * Elements per group of an input's codes. A residual stream has channels twenty times its RMS, which
 * make the steps of their group coarse: with 32, 64, 128, 256 elements gradients of a pre-trained model
 * (SmolLM2-135M, on C4) are off by 2.1, 2.9, 4.1, 5.3%, where bfloat16 inputs alone make 0.4%.
 */
const INPUT_GROUP = 64;

/** Rows of partial sums of a norm's weight gradient: enough workgroups, yet cheap to reduce. */
const NORM_PARTIALS = 64, HEAD_PARTIALS = 1024;

export function createActivations(
  allocator: Allocator,
  config: LlamaConfig,
  { batch, length, dtype, keep }: ActivationOptions,
): Activations {
  const { make, N, C, F, queries, keys } = maker(allocator, config, { batch, length, dtype });
  const recomputed = isRecomputed(keep);
  const layer = (name: string): LayerActivations => ({
    inputRstd: make(`${name}.input_rstd`, [N], "float32"),
    query: make(`${name}.query`, [N, queries]),
    key: make(`${name}.key`, [N, keys]),
    heads: config.qkNorm
      ? {
        query: make(`${name}.query_heads`, [N, queries]),
        key: make(`${name}.key_heads`, [N, keys]),
        queryRstd: make(`${name}.query_rstd`, [N * config.heads], "float32"),
        keyRstd: make(`${name}.key_rstd`, [N * config.keyValueHeads], "float32"),
      }
      : undefined,
    value: make(`${name}.value`, [N, keys]),
    logsumexp: make(`${name}.logsumexp`, [N, config.heads], "float32"),
    attention: make(`${name}.attention`, [N, queries]),
    middle: make(`${name}.middle`, [N, C]),
    middleRstd: make(`${name}.middle_rstd`, [N], "float32"),
    gate: make(`${name}.gate`, [N, F], dtype, recomputed ? TURNS.gate : undefined),
    up: make(`${name}.up`, [N, F], dtype, recomputed ? TURNS.up : undefined),
  });
  const codes = (name: string) =>
    allocator.tensor({
      name,
      shape: [N, C],
      dtype: "int8",
      groupSize: INPUT_GROUP,
      purpose: "activations",
    });
  const shared = keep === "everything" ? undefined : layer("layers.shared");
  const asCodes = keep === "layer_inputs_int8";
  const kept = keep === "nothing" || asCodes ? 2 : config.layers + 1;
  const residual = Array.from({ length: kept }, (_, i) => make(`residual.${i}`, [N, C]));
  return {
    batch,
    length,
    keep,
    residual: Array.from({ length: config.layers + 1 }, (_, i) => residual[i % kept]),
    inputs: asCodes
      ? Array.from({ length: config.layers - 1 }, (_, i) => codes(`inputs.${i}`))
      : undefined,
    layers: Array.from({ length: config.layers }, (_, i) => shared ?? layer(`layers.${i}`)),
    normed: make("normed", [N, C]),
    hidden: make("hidden", [N, F], dtype, TURNS.hidden),
    finalRstd: make("final_rstd", [N], "float32"),
    tokens: make("tokens", [N], "uint32"),
    firstKeys: make("first_keys", [N], "uint32"),
    windowFirstKeys: config.slidingWindow ? make("window_first_keys", [N], "uint32") : undefined,
  };
}

export function createBackwardActivations(
  allocator: Allocator,
  config: LlamaConfig,
  { keepHeadInput, ...options }: ActivationOptions & { readonly keepHeadInput?: boolean },
): BackwardActivations {
  const { make, N, C, queries, keys } = maker(allocator, config, options);
  const { dtype } = options, recomputed = isRecomputed(options.keep);
  return {
    dresidual: make("dresidual", [N, C]),
    dnormed: make("dnormed", [N, C], dtype, TURNS.dnormed),
    dquery: make("dquery", [N, queries], dtype, recomputed ? TURNS.dquery : undefined),
    dkey: make("dkey", [N, keys], dtype, recomputed ? TURNS.dkeyValue : undefined),
    dvalue: make("dvalue", [N, keys], dtype, recomputed ? TURNS.dkeyValue : undefined),
    dattention: make("dattention", [N, queries], dtype, TURNS.dattention),
    delta: make("delta", [N, 2 * config.heads], "float32"),
    normPartial: make("norm_partial", [Math.min(N, NORM_PARTIALS), C], "float32"),
    headPartial: config.qkNorm
      ? make(
        "head_partial",
        [Math.min(N * config.heads, HEAD_PARTIALS), config.headSize],
        "float32",
      )
      : undefined,
    headInput: keepHeadInput ? make("head_input", [N, C]) : undefined,
    order: make("order", [N], "uint32"),
    sortedTokens: make("sorted_tokens", [N], "uint32"),
  };
}

/** Whether the backward pass runs a layer forward again, in buffers that serve all layers. */
function isRecomputed(keep: Keep): boolean {
  return keep === "layer_inputs" || keep === "layer_inputs_int8";
}

function maker(
  allocator: Allocator,
  config: LlamaConfig,
  { batch, length, dtype }: Pick<ActivationOptions, "batch" | "length" | "dtype">,
) {
  return {
    N: batch * length,
    C: config.hiddenSize,
    F: config.intermediateSize,
    queries: config.heads * config.headSize,
    keys: config.keyValueHeads * config.headSize,
    make: (name: string, shape: readonly number[], format: Tensor["dtype"] = dtype, turn?: Turn) =>
      allocator.tensor({ name, shape, dtype: format, purpose: "activations", turn }),
  };
}
