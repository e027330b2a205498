/** A model ready to run, and the matrix products that it needs. */
import { createLoraWorkspace, loraMatmuls } from "./lora.ts";
import type { Allocator } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  type AttentionWorkspace,
  createAttentionWorkspace,
} from "../kernels/attention/attention.ts";
import { bytesOf } from "../numbers/layout.ts";
import { packTensor } from "../numbers/plain.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import type { ActivationType } from "../kernels/format.ts";
import { createMatmulWorkspace, type MatmulShape } from "../kernels/matmul/matmul.ts";
import { tilesOf } from "../kernels/matmul/matmul_tuning.ts";
import type { LlamaConfig } from "./config.ts";
import { doraMatmuls, doraRows } from "./dora_workspace.ts";
import type { LinearContext } from "./linear.ts";
import { embeddingLoraMatmuls } from "./lora_embedding.ts";
import { adaptersOf, linearsOf, type LlamaParameters } from "./parameters.ts";
import { type RopeRows, ropeTable } from "./rope.ts";
import { strategyFor } from "../kernels/strategy.ts";

/** Parameters, and what every pass through them shares. */
export interface Llama extends LinearContext {
  /** Its shape. */
  readonly config: LlamaConfig;
  /** Its weights. */
  readonly parameters: LlamaParameters;
  /** The matrix products of its passes, and of what shares its workspace. */
  readonly products: readonly MatmulShape[];
  /** For attention, where it stages its operands. */
  readonly attention: AttentionWorkspace | undefined;
  /** (T, D): see {@link ropeTable}. */
  readonly rope: Tensor;
  /** On the embedded tokens, in a micro-batch of training that has any. */
  noise?: EmbeddingNoise;
  /** Where processes share the weights of layers: called before one runs, forward or back. */
  gather?: (pass: KernelPass, layer: number) => void;
}

/** Uniform noise (NEFTune); its key draws the same again. */
export interface EmbeddingNoise {
  /** Seed of the run. */
  readonly seed: number;
  /** Of the micro-batch. */
  readonly step: number;
  /** Its largest absolute value. */
  readonly bound: number;
}

/** What a model will be run with, which sizes its workspaces. */
export interface LlamaUse {
  readonly capabilities: Capabilities;
  /** Sequences, B. */
  readonly batch: number;
  /** Most tokens per sequence in one pass. */
  readonly length: number;
  /** Most positions, a KV cache's included; defaults to `length`. */
  readonly positions?: number;
  /** Tokens per chunk of logits. */
  readonly headRows: number;
  readonly backward: boolean;
  /** Whether the projections' gradients are taken as their factors; see {@link GradientSink}. */
  readonly factors?: boolean;
  /** Format of activations. */
  readonly dtype: ActivationType;
  /** Dropout rate of the adapters' inputs in training; 0 by default. */
  readonly loraDropout?: number;
  /** Matrix products besides the model's own. */
  readonly matmuls?: readonly MatmulShape[];
}

/** Adds to the parameters what running them needs. On a device, call {@link uploadRope} next. */
export function createLlama(
  allocator: Allocator,
  config: LlamaConfig,
  parameters: LlamaParameters,
  use: LlamaUse,
): Llama {
  const { capabilities, batch, length, positions = length, headRows, backward, factors, dtype } =
    use;
  const { limits } = capabilities, strategy = strategyFor(capabilities);
  const tokens = batch * length;
  const adapters = adaptersOf(parameters), { headAdapter, embeddingAdapter } = parameters;
  const doraBlock = doraRows(adapters, tokens, dtype);
  const matrices = linearsOf(parameters.layers[0]).flatMap(({ weight }) =>
    weight.isProduct ? [] : [weight.shape]
  );
  const shapes = [
    ...forwardMatmuls(config, matrices, tokens, headRows),
    ...(backward ? backwardMatmuls(config, matrices, tokens, headRows, factors) : []),
    ...adapters.flatMap((adapter) => {
      if (adapter === embeddingAdapter) return embeddingLoraMatmuls(adapter, tokens, backward);
      const rows = adapter === headAdapter ? headRows : tokens;
      const own = adapter.dora ? doraMatmuls(adapter, doraBlock, backward) : [];
      return [...loraMatmuls(adapter, tokens, backward, rows), ...own];
    }),
    ...(use.matmuls ?? []),
  ];
  const matmul = createMatmulWorkspace(allocator, {
    variant: strategy.matmul,
    limits,
    shapes,
    tile: tilesOf(capabilities.timed?.tiles),
  });
  return {
    config,
    parameters,
    products: shapes,
    matmul,
    lora: createLoraWorkspace(allocator, adapters, {
      matmul,
      tokens,
      dtype,
      dropout: use.loraDropout ?? 0,
      backward,
    }),
    attention: createAttentionWorkspace(allocator, {
      ...config,
      variant: strategy.attention,
      batch,
      length: positions,
      backward,
      dtype,
    }),
    rope: allocator.tensor({
      name: "rope",
      shape: [positions, config.headSize],
      dtype: "float32",
      purpose: "workspace",
    }),
  };
}

/**
 * Fills rows of the table, by default all of them, for a sequence as long as the table. Rows are
 * padded if the head size is not a multiple of 8.
 */
export function uploadRope(gpu: Gpu, { config, rope }: Llama, rows?: RopeRows): void {
  const { start, end, length } = rows ?? { start: 0, end: rope.shape[0], length: rope.shape[0] };
  const block = { ...rope, shape: [end - start, config.headSize] };
  const values = ropeTable(config, { start, end, length });
  gpu.write(rope, packTensor(block, values), bytesOf(rope.dtype, start * rope.stride));
}

/** Products of a forward pass over N tokens, with the head in chunks of n. */
function forwardMatmuls(
  { hiddenSize: C, vocabSize: V }: LlamaConfig,
  matrices: readonly (readonly number[])[],
  N: number,
  n: number,
): MatmulShape[] {
  return [
    ...matrices.map(([out, inner]) => product("NT", N, out, inner)),
    product("NT", n, V, C),
  ];
}

/** Products of a backward pass: gradients of inputs and of weights. */
function backwardMatmuls(
  { hiddenSize: C, vocabSize: V }: LlamaConfig,
  matrices: readonly (readonly number[])[],
  N: number,
  n: number,
  factors?: boolean,
): MatmulShape[] {
  return [
    ...matrices.flatMap(([out, inner]) => [
      product("NN", N, inner, out),
      ...(factors ? [] : [product("TN", out, inner, N)]),
    ]),
    product("NN", n, C, V),
    product("TN", V, C, n),
  ];
}

function product(layout: MatmulShape["layout"], m: number, n: number, k: number): MatmulShape {
  return { layout, m, n, k };
}
