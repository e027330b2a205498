/** Where the backward pass puts gradients: the interface between model and optimizer. */
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Parameter } from "./parameters.ts";

/**
 * Receives gradients one parameter at a time, so that updates can be fused into the backward pass
 * and only one gradient matrix is alive. The backward pass requests the target, writes or adds to
 * it, and hands it over immediately; by then nothing else in this pass reads the parameter.
 */
export interface GradientSink {
  /** A float32 tensor of the parameter's shape, and whether to add to it or overwrite it. */
  target(parameter: Parameter): { readonly gradient: Tensor; readonly accumulate: boolean };
  /** Called when the gradient of this micro-batch is complete. */
  consume(pass: KernelPass, parameter: Parameter, gradient: Tensor): void;
}
