import code from "../../../shaders/optim/divide_by_trace.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { rowsOf, storedElements } from "../../numbers/layout.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;
/** Few enough that summing the trace is little of the work, and enough to occupy a large card. */
const MOST_WORKGROUPS = 1024;

const kernel = shader("divide_by_trace", code, { constants: { WORKGROUP_SIZE } });

export interface DivideByTrace {
  /** (size, size) float32 without negative eigenvalues. */
  readonly source: Tensor;
  /** The same shape, overwritten; in a separate buffer. */
  readonly target: Tensor;
}

/** target = source / trace(source). Throws {@link ShapeError} on operands that do not match. */
export function divideByTrace(pass: KernelPass, { source, target }: DivideByTrace): void {
  const size = rowsOf(source.shape);
  for (const [name, operand] of Object.entries({ source, target })) {
    expectDType("divideByTrace", name, operand, "float32");
    expectShape("divideByTrace", name, operand, [size, size]);
  }
  const quads = storedElements(source) / 4;
  pass.dispatch({
    kernel,
    operands: { source, target_values: target },
    params: { size, row_quads: source.stride / 4, quads },
    workgroups: [Math.min(MOST_WORKGROUPS, Math.ceil(quads / WORKGROUP_SIZE))],
  });
}
