/**
 * LoRA (Hu et al. 2021, section 4.1): beside a frozen projection W (out, in) a low-rank update
 *
 *   y += s · drop(x)·Aᵀ·Bᵀ        A (r, in), B (out, r), s = α/r or α/√r
 *
 * The backward pass recomputes drop(x)·Aᵀ, which is cheap; keeping it would take (N, r) for every
 * projection.
 */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { type Tensor, viewAs } from "../gpu/tensor.ts";
import { rowsOf } from "../numbers/layout.ts";
import { dropout } from "../kernels/misc/dropout.ts";
import type { ActivationType } from "../kernels/format.ts";
import { matmul, type MatmulShape, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { createDoraWorkspace, type DoraWorkspace } from "./dora_workspace.ts";
import type { GradientSink } from "./gradients.ts";
import type { Adapter, Parameter } from "./parameters.ts";

/** Scratch memory that all adapters share. */
export interface LoraWorkspace {
  /** For its products. */
  readonly matmul: MatmulWorkspace;
  /** (N, highest r) float32: drop(x)·Aᵀ. */
  readonly low: Tensor;
  /** (N, highest r) float32. */
  readonly dlow: Tensor;
  /** (N, widest input), with dropout. */
  readonly dropped?: Tensor;
  /** With magnitudes. */
  readonly dora?: DoraWorkspace;
  /** Dropout rate of the adapters' inputs. */
  readonly share: number;
  /** Key of a micro-batch's dropout masks; undefined disables dropout. */
  key: { readonly seed: number; readonly step: number } | undefined;
}

export interface LoraWorkspaceOptions {
  readonly matmul: MatmulWorkspace;
  /** Tokens, N. */
  readonly tokens: number;
  readonly dtype: ActivationType;
  readonly dropout: number;
  readonly backward: boolean;
}

/** Undefined without adapters. */
export function createLoraWorkspace(
  allocator: Allocator,
  adapters: readonly Adapter[],
  { matmul, tokens, dtype, dropout, backward }: LoraWorkspaceOptions,
): LoraWorkspace | undefined {
  if (!adapters.length) return undefined;
  const rank = Math.max(...adapters.map(({ b }) => b.shape[1]));
  const widest = Math.max(...adapters.map(({ a }) => a.shape[1]));
  const scratch = (name: string, columns: number, format: ActivationType) =>
    allocator.tensor({ name, shape: [tokens, columns], dtype: format, purpose: "activations" });
  return {
    matmul,
    low: scratch("lora.low", rank, "float32"),
    dlow: scratch("lora.low_gradient", rank, "float32"),
    dropped: dropout > 0 ? scratch("lora.dropped", widest, dtype) : undefined,
    dora: createDoraWorkspace(allocator, adapters, { tokens, dtype, backward }),
    share: dropout,
    key: undefined,
  };
}

/**
 * Matrix products of an adapter in a forward (and backward) pass over N tokens, of whose outputs
 * (`rows`, out) exist at a time.
 */
export function loraMatmuls(
  { a, b }: Adapter,
  tokens: number,
  backward: boolean,
  rows = tokens,
): MatmulShape[] {
  const [rank, inner] = a.shape, out = b.shape[0];
  const forward: MatmulShape[] = [
    { layout: "NT", m: tokens, n: rank, k: inner },
    { layout: "NT", m: rows, n: out, k: rank },
  ];
  if (!backward) return forward;
  return [
    ...forward,
    { layout: "NN", m: rows, n: rank, k: out },
    { layout: "NN", m: tokens, n: inner, k: rank },
    { layout: "TN", m: out, n: rank, k: rows },
    { layout: "TN", m: rank, n: inner, k: tokens },
  ];
}

/** out (N, out) += the adapter's part of x (N, in), or = (+ residual) */
export function applyLora(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { adapter, x, out, residual, accumulate = true }: {
    adapter: Adapter;
    x: Tensor;
    out: Tensor;
    residual?: Tensor;
    accumulate?: boolean;
  },
): void {
  const low = lowRank(pass, workspace, adapter, x);
  matmul(pass, workspace.matmul, {
    layout: "NT",
    a: low,
    b: adapter.b.weight,
    c: out,
    alpha: adapter.scale,
    accumulate,
    residual,
  });
}

/** dx (N, in) += the gradient through the adapter, of dy (N, out), or = */
export function loraInputGradient(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { adapter, dy, dx, accumulate }: {
    adapter: Adapter;
    dy: Tensor;
    dx: Tensor;
    accumulate?: boolean;
  },
): void {
  const dlow = lowRankGradient(pass, workspace, adapter, dy);
  addInputGradient(pass, workspace, { adapter, dlow, dx, accumulate });
}

/** dx (N, in) += drop(dlow·A), of dlow (N, r), or = */
export function addInputGradient(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { adapter, dlow, dx, accumulate = true }: {
    adapter: Adapter;
    dlow: Tensor;
    dx: Tensor;
    accumulate?: boolean;
  },
): void {
  const dropped = droppedView(workspace, dx);
  matmul(pass, workspace.matmul, {
    layout: "NN",
    a: dlow,
    b: adapter.a.weight,
    c: dropped ?? dx,
    accumulate: accumulate && !dropped,
  });
  if (dropped) drop(pass, workspace, adapter.a, { x: dropped, y: dx, accumulate });
}

/** Gradients of A and B to the sink; x (N, in) is the projection's input, dy (N, out). */
export function loraWeightGradients(
  pass: KernelPass,
  workspace: LoraWorkspace,
  sink: GradientSink,
  { adapter, dy, x }: { adapter: Adapter; dy: Tensor; x: Tensor },
): void {
  const low = lowRank(pass, workspace, adapter, x);
  const dlow = lowRankGradient(pass, workspace, adapter, dy);
  const product = (parameter: Parameter, a: Tensor, b: Tensor, alpha?: number) => {
    const { gradient, accumulate } = sink.target(parameter);
    matmul(pass, workspace.matmul, { layout: "TN", a, b, c: gradient, alpha, accumulate });
    sink.consume(pass, parameter, gradient);
  };
  product(adapter.b, dy, low, adapter.scale);
  // `lowRank` has written drop(x) there.
  product(adapter.a, dlow, droppedView(workspace, x) ?? x);
}

/** drop(x)·Aᵀ (N, r), which stays until the next adapter's */
export function lowRank(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { a }: Adapter,
  x: Tensor,
): Tensor {
  const low = viewAs(workspace.low, "lora.low", [rowsOf(x.shape), a.shape[0]]);
  const dropped = droppedView(workspace, x);
  if (dropped) drop(pass, workspace, a, { x, y: dropped, accumulate: false });
  matmul(pass, workspace.matmul, { layout: "NT", a: dropped ?? x, b: a.weight, c: low });
  return low;
}

/** s · dy·B (N, r) */
function lowRankGradient(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { b, scale: alpha }: Adapter,
  dy: Tensor,
): Tensor {
  const dlow = viewAs(workspace.dlow, "lora.low_gradient", [rowsOf(dy.shape), b.shape[1]]);
  matmul(pass, workspace.matmul, { layout: "NN", a: dy, b: b.weight, c: dlow, alpha });
  return dlow;
}

/** Buffer for drop(x), if this pass uses dropout; {@link lowRank} leaves it there. */
export function droppedView({ dropped, key }: LoraWorkspace, x: Tensor): Tensor | undefined {
  return dropped && key && viewAs(dropped, "lora.dropped", x.shape);
}

/** The mask is keyed by the adapter, so that the backward pass draws the same one again. */
function drop(
  pass: KernelPass,
  { share, key }: LoraWorkspace,
  { index: tensor }: Parameter,
  io: { x: Tensor; y: Tensor; accumulate: boolean },
): void {
  dropout(pass, { ...io, ...key!, share, tensor });
}
