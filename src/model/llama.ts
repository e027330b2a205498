/** A model ready to run, and the matrix products that running it takes. */
import { createLoraWorkspace, loraMatmuls } from "./lora.ts";
import type { Allocator } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  type AttentionWorkspace,
  createAttentionWorkspace,
} from "../kernels/attention/attention.ts";
import { packTensor } from "../numbers/plain.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import type { ActivationType } from "../kernels/format.ts";
import { createMatmulWorkspace, type MatmulShape } from "../kernels/matmul/matmul.ts";
import type { LlamaConfig } from "./config.ts";
import { projectionShapes } from "./description.ts";
import type { LinearContext } from "./linear.ts";
import { linearsOf, type LlamaParameters } from "./parameters.ts";
import { ropeTable } from "./rope.ts";
import { strategyFor } from "../kernels/strategy.ts";

/** Parameters and what every pass through them shares. */
export interface Llama extends LinearContext {
  readonly config: LlamaConfig;
  readonly parameters: LlamaParameters;
  readonly attention: AttentionWorkspace | undefined;
  /** (T, D): see {@link ropeTable}. */
  readonly rope: Tensor;
}

/** What a model will be run on, which sizes its workspaces. */
export interface LlamaUse {
  readonly capabilities: Capabilities;
  readonly batch: number; // B
  /** Most tokens of a sequence that go through the model at once. */
  readonly length: number;
  /** Most positions, those of a KV cache included; `length` where there is none. */
  readonly positions?: number;
  /** Tokens whose logits are computed at once. */
  readonly headRows: number;
  readonly backward: boolean;
  /** Format of activations. */
  readonly dtype: ActivationType;
  /** Share of the adapters' inputs that training leaves out; 0. */
  readonly loraDropout?: number;
  /** Products beside the model's own. */
  readonly matmuls?: readonly MatmulShape[];
}

/** Adds to the parameters what running them takes. {@link uploadRope} must follow on a device. */
export function createLlama(
  allocator: Allocator,
  config: LlamaConfig,
  parameters: LlamaParameters,
  use: LlamaUse,
): Llama {
  const { capabilities, batch, length, positions = length, headRows, backward, dtype } = use;
  const { limits } = capabilities, strategy = strategyFor(capabilities);
  const tokens = batch * length;
  const adapters = parameters.layers.flatMap(linearsOf).flatMap(({ adapter }) => adapter ?? []);
  const shapes = [
    ...forwardMatmuls(config, tokens, headRows),
    ...(backward ? backwardMatmuls(config, tokens, headRows) : []),
    ...loraMatmuls(adapters, tokens, backward),
    ...(use.matmuls ?? []),
  ];
  const matmul = createMatmulWorkspace(allocator, { variant: strategy.matmul, limits, shapes });
  return {
    config,
    parameters,
    matmul,
    lora: createLoraWorkspace(allocator, adapters, {
      matmul,
      tokens,
      dtype,
      dropout: use.loraDropout ?? 0,
    }),
    attention: createAttentionWorkspace(allocator, {
      ...config,
      variant: strategy.attention,
      batch,
      length: positions,
      backward,
    }),
    rope: allocator.tensor({
      name: "rope",
      shape: [positions, config.headSize],
      dtype: "float32",
      purpose: "workspace",
    }),
  };
}

/** Fills the table; rows of a head size that is no multiple of 8 are padded. */
export function uploadRope(gpu: Gpu, { config, rope }: Llama): void {
  gpu.write(rope, packTensor(rope, ropeTable(config, rope.shape[0])));
}

/** Products of a forward pass over N tokens, with the head in chunks of n. */
function forwardMatmuls(config: LlamaConfig, N: number, n: number): MatmulShape[] {
  const { hiddenSize: C, vocabSize: V } = config;
  return [
    ...projectionShapes(config).map(([out, inner]) => product("NT", N, out, inner)),
    product("NT", n, V, C),
  ];
}

/** Products of a backward pass: gradients of inputs and of weights. */
function backwardMatmuls(config: LlamaConfig, N: number, n: number): MatmulShape[] {
  const { hiddenSize: C, vocabSize: V } = config;
  return [
    ...projectionShapes(config).flatMap(([out, inner]) => [
      product("NN", N, inner, out),
      product("TN", out, inner, N),
    ]),
    product("NN", n, C, V),
    product("TN", V, C, n),
  ];
}

function product(layout: MatmulShape["layout"], m: number, n: number, k: number): MatmulShape {
  return { layout, m, n, k };
}
