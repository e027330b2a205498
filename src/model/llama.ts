/** A model ready to run, and the matrix products that running it takes. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { packTensor } from "../kernels/convert.ts";
import type { MatmulShape, MatmulWorkspace } from "../kernels/matmul.ts";
import type { LlamaConfig } from "./config.ts";
import type { LlamaParameters } from "./parameters.ts";
import { ropeTable } from "./rope.ts";

/** Parameters and what every pass through them shares. */
export interface Llama {
  readonly config: LlamaConfig;
  readonly parameters: LlamaParameters;
  readonly matmul: MatmulWorkspace;
  /** (T, D): see {@link ropeTable}. */
  readonly rope: Tensor;
}

export function createRope(allocator: Allocator, config: LlamaConfig, length: number): Tensor {
  return allocator.tensor({
    name: "rope",
    shape: [length, config.headSize],
    dtype: "float32",
    purpose: "workspace",
  });
}

/** Fills the table; rows of a head size that is no multiple of 8 are padded. */
export function uploadRope(gpu: Gpu, config: LlamaConfig, rope: Tensor): void {
  gpu.write(rope, packTensor(rope, ropeTable(config, rope.shape[0])));
}

/** Products of a forward pass over N tokens, with the head in chunks of n. */
export function forwardMatmuls(config: LlamaConfig, N: number, n: number): MatmulShape[] {
  const { hiddenSize: C, vocabSize: V } = config;
  return [
    ...projectionShapes(config).map(([out, inner]) => product("NT", N, out, inner)),
    product("NT", n, V, C),
  ];
}

/** Products of a backward pass: gradients of inputs and of weights. */
export function backwardMatmuls(config: LlamaConfig, N: number, n: number): MatmulShape[] {
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

/** (out, in) of each distinct projection matrix. */
function projectionShapes(config: LlamaConfig): [number, number][] {
  const { hiddenSize: C, intermediateSize: F, headSize: D } = config;
  const queries = config.heads * D, keys = config.keyValueHeads * D;
  return [[queries, C], [keys, C], [C, queries], [F, C], [C, F]];
}

function product(layout: MatmulShape["layout"], m: number, n: number, k: number): MatmulShape {
  return { layout, m, n, k };
}
