import code from "../../../shaders/optim/leading_similarity.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("leading_similarity", code, { constants: { WORKGROUP_SIZE } });

export interface LeadingSimilarity {
  /** (1, D) float32, not necessarily of unit length. */
  readonly vector: Tensor;
  /** (D) float32, overwritten with the unit vector. */
  readonly leading: Tensor;
  /** float32, one element overwritten. */
  readonly out: Tensor;
  readonly index: number;
}

/**
 * out[index] = |cos(vector, leading)|, −1 where one of them is zero; leading = vector / |vector|.
 * Throws {@link ShapeError} on operands that do not match.
 */
export function leadingSimilarity(pass: KernelPass, io: LeadingSimilarity): void {
  const { vector, leading, out, index } = io;
  for (const [name, operand] of Object.entries({ vector, leading, out })) {
    expectDType("leadingSimilarity", name, operand, "float32");
  }
  expectShape("leadingSimilarity", "vector", vector, [1, leading.shape[0]]);
  if (!(index < elementsOf(out))) {
    throw new ShapeError(
      `leadingSimilarity: index must be below ${elementsOf(out)}, the size of out, got ${index}`,
    );
  }
  pass.dispatch({
    kernel,
    operands: { vector, leading, out },
    params: { quads: leading.stride / 4, index },
    workgroups: [1],
  });
}
