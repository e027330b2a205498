/**
 * A projection with its optional parts, y = x·Wᵀ (+ bias) (+ the adapter's part), and its
 * gradients. With DoRA the sum of both products is scaled before anything is added. Of a projection
 * that is a product of factors there is the adapter's part alone.
 */
import { doraInputGradient, doraWeightGradients } from "./dora.ts";
import { applyLora, loraInputGradient, loraWeightGradients, type LoraWorkspace } from "./lora.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { addBias } from "../kernels/misc/add_bias.ts";
import { matmul, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { scaleColumns } from "../kernels/misc/scale_columns.ts";
import { sumRows } from "../kernels/misc/sum_rows.ts";
import type { GradientSink } from "./gradients.ts";
import type { Linear, Parameter } from "./parameters.ts";

/** What projections need to run. */
export interface LinearContext {
  /** For its products. */
  readonly matmul: MatmulWorkspace;
  /** Present if there are adapters. */
  readonly lora?: LoraWorkspace;
}

/** out (N, out) = x (N, in) through the projection (+ residual) */
export function applyLinear(
  pass: KernelPass,
  { matmul: workspace, lora }: LinearContext,
  { linear, x, out, residual }: { linear: Linear; x: Tensor; out: Tensor; residual?: Tensor },
): void {
  const { weight, bias, adapter } = linear;
  if (weight.isProduct) {
    applyLora(pass, lora!, { adapter: adapter!, x, out, residual, accumulate: false });
  } else if (adapter?.dora) {
    matmul(pass, workspace, { layout: "NT", a: x, b: weight.weight, c: out });
    applyLora(pass, lora!, { adapter, x, out });
    scaleColumns(pass, { y: out, factor: adapter.dora.factor, residual });
  } else {
    matmul(pass, workspace, { layout: "NT", a: x, b: matrixOf(weight), c: out, residual });
  }
  if (bias) addBias(pass, { y: out, bias: bias.weight });
  if (adapter && !adapter.dora && !weight.isProduct) applyLora(pass, lora!, { adapter, x, out });
}

/** Where its layer finds it. */
function matrixOf({ weight, gathered }: Parameter): Tensor {
  return gathered ?? weight;
}

/** dx (N, in) (+)= the gradient of the projection's input, from dy (N, out) */
export function linearInputGradient(
  pass: KernelPass,
  { matmul: workspace, lora }: LinearContext,
  { linear, dy, dx, accumulate }: { linear: Linear; dy: Tensor; dx: Tensor; accumulate?: boolean },
): void {
  const { weight, adapter } = linear;
  if (adapter?.dora) return doraInputGradient(pass, lora!, { linear, dy, dx, accumulate });
  if (weight.isProduct) {
    return loraInputGradient(pass, lora!, { adapter: adapter!, dy, dx, accumulate: !!accumulate });
  }
  matmul(pass, workspace, { layout: "NN", a: dy, b: matrixOf(weight), c: dx, accumulate });
  if (adapter) loraInputGradient(pass, lora!, { adapter, dy, dx });
}

/** Passes the gradients of the projection's trained parts to the sink; x (N, in), dy (N, out). */
export function linearWeightGradients(
  pass: KernelPass,
  { matmul: workspace, lora }: LinearContext,
  sink: GradientSink,
  { linear, dy, x }: { linear: Linear; dy: Tensor; x: Tensor },
): void {
  const { weight, bias, adapter } = linear, scaled = adapter?.dora !== undefined;
  if (scaled) doraWeightGradients(pass, lora!, sink, { linear, dy, x });
  else if (adapter) loraWeightGradients(pass, lora!, sink, { adapter, dy, x });
  if (bias?.trainable) {
    const { gradient, accumulate } = sink.target(bias);
    sumRows(pass, { x: dy, out: gradient, accumulate });
    sink.consume(pass, bias, gradient);
  }
  if (weight.trainable && !scaled && !sink.takeFactors?.(pass, weight, { dy, x })) {
    const { gradient, accumulate } = sink.target(weight);
    matmul(pass, workspace, { layout: "TN", a: dy, b: x, c: gradient, accumulate });
    sink.consume(pass, weight, gradient);
  }
}
