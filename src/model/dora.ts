/**
 * DoRA (Liu et al. 2024, arXiv 2402.09353, equation 5): an adapted projection whose rows have a learned
 * length m,
 *
 *   y = f ∘ (x·Wᵀ + s·drop(x)·Aᵀ·Bᵀ),   f = m / n,   n = |W + s·B·A| row by row
 *
 * n counts as a constant on the way back (section 4.3). As peft computes it, but for dropout, which
 * there also takes the part of W's product that m adds, at the price of a second one.
 *
 * Neither W + s·B·A nor W in full precision ever exists: norms come from products with A, and what the
 * backward pass scales, or computes again, from blocks of rows of its tokens.
 */
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { adaptedNorms } from "../kernels/misc/adapted_norms.ts";
import { columnDots } from "../kernels/misc/column_dots.ts";
import { scaleColumns } from "../kernels/misc/scale_columns.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { type Range, ranges } from "../kernels/ranges.ts";
import { rowsOf } from "../numbers/layout.ts";
import type { GradientSink } from "./gradients.ts";
import { addInputGradient, droppedView, type LoraWorkspace, lowRank } from "./lora.ts";
import {
  type Adapter,
  type Dora,
  type Linear,
  linearsOf,
  type LlamaParameters,
  type Parameter,
} from "./parameters.ts";

/**
 * n and f of every projection with a magnitude, as its factors now are. A pass over a batch begins with
 * them; decoding, which changes nothing, needs them once.
 */
export function recordNorms(
  pass: KernelPass,
  { parameters, lora }: { readonly parameters: LlamaParameters; readonly lora?: LoraWorkspace },
): void {
  if (!lora?.dora) return;
  for (const { weight, adapter } of parameters.layers.flatMap(linearsOf)) {
    if (adapter?.dora) normsOf(pass, lora, weight, adapter, adapter.dora);
  }
}

function normsOf(
  pass: KernelPass,
  { matmul: workspace, dora }: LoraWorkspace,
  { weight }: Parameter,
  { a, b, scale }: Adapter,
  { magnitude, norm, factor }: Dora,
): void {
  const [r] = a.shape, out = b.shape[0], { weight: A } = a, { weight: B } = b;
  const gram = viewAs(dora!.gram, "dora.gram", [r, r]);
  const products = viewAs(dora!.products, "dora.products", [r, out]);
  matmul(pass, workspace, { layout: "NT", a: A, b: A, c: gram });
  matmul(pass, workspace, { layout: "NT", a: gram, b: B, c: products, alpha: scale ** 2 });
  const twice = { alpha: 2 * scale, accumulate: true };
  matmul(pass, workspace, { layout: "NT", a: A, b: weight, c: products, ...twice });
  adaptedNorms(pass, { weight, b: B, products, magnitude: magnitude.weight, norm, factor });
}

/** dx (N, in) (+)= the gradient of the projection's input, from dy (N, out). */
export function doraInputGradient(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { linear, dy, dx, accumulate }: {
    readonly linear: Linear;
    readonly dy: Tensor;
    readonly dx: Tensor;
    readonly accumulate?: boolean;
  },
): void {
  const adapter = linear.adapter!, dlow = lowGradient(workspace, adapter, dy);
  forEachBlock(workspace, dy, (rows) => {
    const du = scaledRows(pass, workspace, adapter, dy, rows), c = rowsOfTensor(dx, rows);
    const { weight: b } = linear.weight;
    matmul(pass, workspace.matmul, { layout: "NN", a: du, b, c, accumulate });
    lowRows(pass, workspace, adapter, { du, dlow, rows });
  });
  addInputGradient(pass, workspace, { adapter, dlow, dx });
}

/** Gradients of m, B, A and, where it is trained, W to the sink; x (N, in), dy (N, out). */
export function doraWeightGradients(
  pass: KernelPass,
  workspace: LoraWorkspace,
  sink: GradientSink,
  { linear, dy, x }: { readonly linear: Linear; readonly dy: Tensor; readonly x: Tensor },
): void {
  const { weight } = linear, adapter = linear.adapter!, { a, b, scale: alpha } = adapter;
  const { magnitude, norm } = adapter.dora!;
  const low = lowRank(pass, workspace, adapter, x), dlow = lowGradient(workspace, adapter, dy);
  const into = (
    parameter: Parameter,
    add: (rows: Range, target: { readonly c: Tensor; readonly accumulate: boolean }) => void,
  ) => {
    const { gradient: c, accumulate } = sink.target(parameter);
    forEachBlock(workspace, dy, (rows) => {
      add(rows, { c, accumulate: accumulate || rows.start > 0 });
    });
    sink.consume(pass, parameter, c);
  };
  // Each parameter may change once its gradient is handed over: what needs the old ones comes first.
  into(magnitude, (rows, { c: out, accumulate }) => {
    const y = rowsOfTensor(dy, rows), u = viewOfBlock(workspace, y);
    matmul(pass, workspace.matmul, {
      layout: "NT",
      a: rowsOfTensor(x, rows),
      b: weight.weight,
      c: u,
    });
    const lows = { a: rowsOfTensor(low, rows), b: b.weight };
    matmul(pass, workspace.matmul, { layout: "NT", ...lows, c: u, alpha, accumulate: true });
    columnDots(pass, { x: u, y, norm, out, accumulate });
  });
  into(b, (rows, target) => {
    const du = scaledRows(pass, workspace, adapter, dy, rows);
    lowRows(pass, workspace, adapter, { du, dlow, rows });
    const right = rowsOfTensor(low, rows);
    matmul(pass, workspace.matmul, { layout: "TN", a: du, b: right, ...target, alpha });
  });
  const { gradient: c, accumulate } = sink.target(a);
  // `lowRank` has written drop(x) there.
  const dropped = droppedView(workspace, x) ?? x;
  matmul(pass, workspace.matmul, { layout: "TN", a: dlow, b: dropped, c, accumulate });
  sink.consume(pass, a, c);
  if (!weight.trainable) return;
  into(weight, (rows, target) => {
    const du = scaledRows(pass, workspace, adapter, dy, rows), b = rowsOfTensor(x, rows);
    matmul(pass, workspace.matmul, { layout: "TN", a: du, b, ...target });
  });
}

function forEachBlock(
  { dora }: LoraWorkspace,
  { shape }: Tensor,
  run: (rows: Range) => void,
): void {
  for (const rows of ranges(rowsOf(shape), dora!.scratch!.shape[0])) run(rows);
}

function rowsOfTensor(tensor: Tensor, { start, end }: Range): Tensor {
  return rowRange(tensor, start, end);
}

function viewOfBlock({ dora }: LoraWorkspace, { shape }: Tensor): Tensor {
  return viewAs(dora!.scratch!, "dora.scratch", shape);
}

/** f ∘ dy of a block (n, out) */
function scaledRows(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { dora }: Adapter,
  dy: Tensor,
  rows: Range,
): Tensor {
  const block = rowsOfTensor(dy, rows), y = viewOfBlock(workspace, block);
  pass.copy(block, y);
  scaleColumns(pass, { y, factor: dora!.factor });
  return y;
}

/** Where s·(f ∘ dy)·B (N, r) goes, block by block. */
function lowGradient({ dlow }: LoraWorkspace, { b }: Adapter, { shape }: Tensor): Tensor {
  return viewAs(dlow, "lora.low_gradient", [rowsOf(shape), b.shape[1]]);
}

function lowRows(
  pass: KernelPass,
  workspace: LoraWorkspace,
  { b, scale: alpha }: Adapter,
  { du, dlow, rows }: { readonly du: Tensor; readonly dlow: Tensor; readonly rows: Range },
): void {
  const c = rowsOfTensor(dlow, rows);
  matmul(pass, workspace.matmul, { layout: "NN", a: du, b: b.weight, c, alpha });
}
