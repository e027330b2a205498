/**
 * Tensors and kernels, for programs that extend the library: with a kernel of their own, with an
 * objective, or with another use of the model.
 *
 * A kernel is WGSL. {@link defineKernel} reads its bindings, parameters and constants from the
 * source; a {@link KernelPass} records dispatches and submits them; {@link Gpu.read} waits for the
 * result.
 *
 * @example A kernel of your own
 * ```ts
 * import { Gpu } from "@deno-galore/trainer";
 * import { defineKernel, KernelPass, packTensor, unpackTensor } from "@deno-galore/trainer/kernels";
 *
 * const scale = defineKernel(
 *   "scale",
 *   `
 *     struct Params { elements: u32, factor: f32 }
 *     @group(0) @binding(0) var<storage, read_write> x: array<f32>;
 *     @group(1) @binding(0) var<uniform> params: Params;
 *
 *     @compute @workgroup_size(64)
 *     fn main(@builtin(global_invocation_id) id: vec3<u32>) {
 *       if (id.x < params.elements) { x[id.x] *= params.factor; }
 *     }
 *   `,
 * );
 *
 * using gpu = await Gpu.open();
 * const x = gpu.tensor({ name: "x", shape: [1000], dtype: "float32", purpose: "workspace" });
 * gpu.write(x, packTensor(x, Float32Array.from({ length: 1000 }, (_, n) => n)));
 *
 * const pass = new KernelPass(gpu);
 * pass.dispatch({
 *   kernel: scale,
 *   operands: { x },
 *   params: { elements: 1000, factor: 0.5 },
 *   workgroups: [Math.ceil(1000 / 64)],
 * });
 * pass.submit();
 *
 * const halves = unpackTensor(x, await gpu.read(x));
 * console.log(halves[999]); // 499.5
 * ```
 *
 * @example The library's kernels
 * ```ts
 * import { Gpu } from "@deno-galore/trainer";
 * import {
 *   createMatmulWorkspace,
 *   KernelPass,
 *   matmul,
 *   strategyFor,
 * } from "@deno-galore/trainer/kernels";
 *
 * using gpu = await Gpu.open();
 * const matrix = (name: string, shape: [number, number]) =>
 *   gpu.tensor({ name, shape, dtype: "bfloat16", purpose: "workspace" });
 * const a = matrix("a", [512, 256]), b = matrix("b", [1024, 256]), c = matrix("c", [512, 1024]);
 *
 * const workspace = createMatmulWorkspace(gpu, {
 *   variant: strategyFor(gpu.capabilities).matmul,
 *   limits: gpu.limits,
 *   shapes: [{ layout: "NT", m: 512, n: 1024, k: 256 }],
 * });
 * const pass = new KernelPass(gpu);
 * matmul(pass, workspace, { layout: "NT", a, b, c }); // c = a · bᵀ
 * pass.submit();
 * await gpu.settled();
 * ```
 *
 * Launchers of the subspace iteration and of Muon are not here: each is a step of one algorithm and
 * changes with it.
 *
 * @module
 */

// The GPU, as in `@deno-galore/trainer`: kernels alone run wherever WebGPU is.
export { type AdapterDescription, findAdapter } from "./src/gpu/adapter.ts";
export type { Capabilities, Feature, Limits } from "./src/gpu/capabilities.ts";
export type { BindGroupCache, BoundResource } from "./src/gpu/bind_groups.ts";
export { Gpu } from "./src/gpu/gpu.ts";
export type { HeldWork } from "./src/gpu/held_work.ts";
export type { Watch, WatchedPart } from "./src/gpu/watch.ts";

// Tensors: shape, number format, bytes.
export {
  bytesOf,
  columnsOf,
  type DType,
  elementsOf,
  type Layout,
  padded,
  rowsOf,
} from "./src/numbers/layout.ts";
export { packTensor, unpackTensor } from "./src/numbers/plain.ts";
export { expectDType, expectShape, rowRange, type Tensor, viewAs } from "./src/gpu/tensor.ts";
export {
  type AccountWatch,
  type Allocator,
  MemoryAccount,
  PlanAllocator,
  type PlannedMemory,
  type TensorSpec,
  type TextureSpec,
  type TextureTensor,
} from "./src/gpu/allocator.ts";
export { Scope } from "./src/gpu/scope.ts";

// Kernels: from WGSL to a recorded dispatch.
export {
  type Access,
  type BindingDeclaration,
  type ConstantDeclaration,
  defineKernel,
  type Kernel,
  type KernelOptions,
  type ParameterField,
} from "./src/gpu/kernel.ts";
export { type Dispatch, KernelPass, type Operand } from "./src/gpu/pass.ts";
export { Profiler, type Span } from "./src/gpu/profiler.ts";
export type { Compiler, Constants, Pipeline, PipelineCache } from "./src/gpu/pipelines.ts";
export { shader } from "./src/kernels/shader.ts";
export {
  type AttentionVariant,
  type MatmulVariant,
  type Strategy,
  strategyFor,
} from "./src/kernels/strategy.ts";
export type { ActivationType } from "./src/kernels/format.ts";

// Matrix products.
export {
  createMatmulWorkspace,
  type Matmul,
  matmul,
  type MatmulLayout,
  type MatmulShape,
  type MatmulWorkspace,
  type MatmulWorkspaceOptions,
  type StagingTexture,
  type TextureWorkspace,
} from "./src/kernels/matmul/matmul.ts";
export type { TiledWorkspace } from "./src/kernels/matmul/matmul_tiled.ts";
export type { MatmulTile, TileChoice } from "./src/kernels/matmul/matmul_tiles.ts";

// Attention.
export {
  type Attention,
  attention,
  type AttentionWorkspace,
  type AttentionWorkspaceOptions,
  createAttentionWorkspace,
  type HeadShape,
} from "./src/kernels/attention/attention.ts";
export {
  type AttentionBackward,
  attentionBackward,
} from "./src/kernels/attention/attention_backward.ts";

// The rest of a decoder layer, forward and back.
export { type RmsNorm, rmsNorm } from "./src/kernels/norm/rms_norm.ts";
export { type RmsNormBackward, rmsNormBackward } from "./src/kernels/norm/rms_norm_backward.ts";
export { type Rope, rope } from "./src/kernels/misc/rope.ts";
export { type RopeCached, ropeCached } from "./src/kernels/misc/rope_cached.ts";
export { type GateActivation, type Glu, glu } from "./src/kernels/misc/glu.ts";
export { type GluBackward, gluBackward } from "./src/kernels/misc/glu_backward.ts";
export { type AddBias, addBias } from "./src/kernels/misc/add_bias.ts";
export { type Dropout, dropout } from "./src/kernels/misc/dropout.ts";

// Embedding and loss.
export { type Embedding, embedding } from "./src/kernels/misc/embedding.ts";
export {
  type EmbeddingBackward,
  embeddingBackward,
  sortTokens,
} from "./src/kernels/misc/embedding_backward.ts";
export { type CrossEntropy, crossEntropy } from "./src/kernels/misc/cross_entropy.ts";

// Sums and random numbers.
export { type Sum, sum } from "./src/kernels/misc/sum.ts";
export { type SumRows, sumRows } from "./src/kernels/misc/sum_rows.ts";
export { type RandomNormal, randomNormal } from "./src/kernels/misc/random_normal.ts";

// Quantisation.
export { type GroupQuantize, groupQuantize } from "./src/kernels/quantise/group_quantize.ts";
export { type GroupDequantize, groupDequantize } from "./src/kernels/quantise/group_dequantize.ts";
export { type GroupUpdate, groupUpdate } from "./src/kernels/quantise/group_update.ts";
export type { StochasticRounding } from "./src/kernels/quantise/group_format.ts";
export {
  createNf4Workspace,
  type Nf4Quantize,
  nf4Quantize,
  type Nf4Workspace,
} from "./src/kernels/quantise/nf4_quantize.ts";

// The choice of tokens.
export {
  type AdjustLogits,
  adjustLogits,
  IN_PROMPT,
} from "./src/kernels/sampling/adjust_logits.ts";
export { type ForbidRepeats, forbidRepeats } from "./src/kernels/sampling/forbid_repeats.ts";
export {
  type ChooseToken,
  chooseToken,
  type TokenFilters,
} from "./src/kernels/sampling/choose_token.ts";

// Optimizers.
export { type Adam, adam, type AdamRates } from "./src/kernels/optim/adam.ts";
export {
  adam4bit,
  adam8bit,
  adamBlocks,
  type AdamBlockwise,
} from "./src/kernels/optim/adam_blockwise.ts";
export { type ApplyUpdate, applyUpdate } from "./src/kernels/optim/apply_update.ts";

// A model on the device, and its passes.
export type {
  LoraTarget,
  ParameterDescription,
  ParameterKind,
  ProjectionName,
} from "./src/model/description.ts";
export type {
  LoraModules,
  LoraShape,
  LoraVariant,
  ModuleLora,
  UniformLora,
} from "./src/model/lora_shape.ts";
export type {
  Adapter,
  Dora,
  LayerParameters,
  Linear,
  LlamaParameters,
  OffloadedType,
  Parameter,
  Trained,
  WeightFormat,
  WeightType,
} from "./src/model/parameters.ts";
export type { HostMatrix } from "./src/model/host_matrix.ts";
export type { EmbeddingNoise, Llama } from "./src/model/llama.ts";
export type { LinearContext } from "./src/model/linear.ts";
export type { DoraWorkspace } from "./src/model/dora_workspace.ts";
export type { LoraWorkspace } from "./src/model/lora.ts";
export type { LoadWorkspace } from "./src/formats/pretrained.ts";
export type {
  Activations,
  BackwardActivations,
  Keep,
  LayerActivations,
} from "./src/model/activations.ts";
export {
  headLoss,
  headLossAndGradients,
  type HeadOutput,
  type LossOutput,
} from "./src/model/head.ts";
export type { AddsLogits, HeadRows } from "./src/model/head_rows.ts";
export type { HeadWorkspace } from "./src/model/head_workspace.ts";
export type { GradientFactors, GradientSink, GradientTarget } from "./src/model/gradients.ts";
export type { Range } from "./src/kernels/ranges.ts";
export {
  begin,
  finish,
  forwardAndBack,
  type ForwardBuffers,
  type PassBuffers,
} from "./src/model/pass.ts";
