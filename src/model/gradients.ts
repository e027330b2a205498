/** Where the backward pass puts gradients: the interface between model and optimizer. */
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { type Range, ranges } from "../kernels/ranges.ts";
import { rowsOf } from "../numbers/layout.ts";
import type { Parameter } from "./parameters.ts";

/**
 * Receives gradients one parameter at a time, so that updates can be fused into the backward pass
 * and only one gradient matrix is alive. The backward pass requests the target, writes or adds to
 * it, and hands it over immediately; by then nothing else in this pass reads the parameter.
 */
export interface GradientSink {
  /**
   * Rows of an embedding's or head's gradient that it takes at a time, a multiple of 64, where the
   * whole would need more memory than any other gradient; undefined: it takes the whole.
   */
  blockRows?(parameter: Parameter): number | undefined;
  /**
   * A float32 tensor of the parameter's shape, or of these rows of it, and whether to add to it or
   * overwrite it.
   */
  target(parameter: Parameter, rows?: Range): GradientTarget;
  /**
   * Takes the gradient of a projection as its factors, unless it needs the matrix itself: false, and
   * the backward pass forms it. Nothing of the sink may share memory with the factors.
   */
  takeFactors?(pass: KernelPass, parameter: Parameter, factors: GradientFactors): boolean;
  /** Called when the gradient of this micro-batch, or these rows of it, is complete. */
  consume(pass: KernelPass, parameter: Parameter, gradient: Tensor, rows?: Range): void;
}

/** The gradient of a projection (m, n) as dyᵀ·x, with a row for each of T tokens. */
export interface GradientFactors {
  /** (T, m): the gradient of its output. */
  readonly dy: Tensor;
  /** (T, n): its input. */
  readonly x: Tensor;
}

/** Where a gradient goes. */
export interface GradientTarget {
  /** float32. */
  readonly gradient: Tensor;
  /** Whether the gradient is added to what is there. */
  readonly accumulate: boolean;
}

/** The blocks of rows in which a sink takes the gradient of an embedding or head; one: the whole. */
export function blocksOf(sink: GradientSink, parameter: Parameter): Range[] {
  const rows = rowsOf(parameter.shape);
  return ranges(rows, sink.blockRows?.(parameter) ?? rows);
}
