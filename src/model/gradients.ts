/** Where the backward pass leaves gradients: the seam between the model and its optimizer. */
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Parameter } from "./parameters.ts";

/**
 * Takes gradients one parameter at a time, so that an update can be fused into the backward pass
 * and only one gradient matrix is alive. The backward pass asks for the target, writes (or adds),
 * and hands it over at once; by then nothing else reads the parameter in this pass.
 */
export interface GradientSink {
  /** A float32 tensor of the parameter's shape, and whether to add to what is there. */
  target(parameter: Parameter): { readonly gradient: Tensor; readonly accumulate: boolean };
  /** The gradient of this micro-batch is complete. */
  consume(pass: KernelPass, parameter: Parameter, gradient: Tensor): void;
}
