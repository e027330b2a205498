import code from "../../../shaders/misc/adapted_norms.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { kernelByLanes, lanesFor, sharedBy } from "../lanes.ts";
import { groupOctets, octetOffset } from "../octet.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";

const define = (weight: "float32" | "bfloat16" | "int8" | "nf4") =>
  kernelByLanes(`adapted_norms.${weight}_weight`, code, { variants: [`weight_${weight}`] });
const byWeight = {
  float32: define("float32"),
  bfloat16: define("bfloat16"),
  int8: define("int8"),
  nf4: define("nf4"),
};

/** Operands of {@link adaptedNorms}. */
export interface AdaptedNorms {
  /** W (out, in) float32, bfloat16, int8 or nf4. */
  readonly weight: Tensor;
  /** B (out, R) float32. */
  readonly b: Tensor;
  /** 2s·A·Wᵀ + s²·(A·Aᵀ)·Bᵀ (R, out) float32. */
  readonly products: Tensor;
  /** m (out) float32. */
  readonly magnitude: Tensor;
  /** |W + s·B·A|, row by row: (out) float32, overwritten. */
  readonly norm: Tensor;
  /** m / norm, 0 where that is 0: (out) float32, overwritten. */
  readonly factor: Tensor;
}

/**
 * The norms of the rows of W + s·B·A, which is never formed, and the factors that DoRA scales its
 * outputs by (Liu et al. 2024, arXiv 2402.09353, equation 5). Throws {@link ShapeError} on operands that
 * do not match.
 */
export function adaptedNorms(pass: KernelPass, io: AdaptedNorms): void {
  const { weight, b, products, magnitude, norm, factor } = io;
  const out = rowsOf(weight.shape), rank = columnsOf(b.shape);
  expectDType("adaptedNorms", "weight", weight, "float32", "bfloat16", "int8", "nf4");
  for (const [name, operand] of Object.entries({ b, products, magnitude, norm, factor })) {
    expectDType("adaptedNorms", name, operand, "float32");
  }
  expectShape("adaptedNorms", "b", b, [out, rank]);
  expectShape("adaptedNorms", "products", products, [rank, out]);
  for (const [name, operand] of Object.entries({ magnitude, norm, factor })) {
    expectShape("adaptedNorms", name, operand, [out]);
  }
  const octets = weight.stride / 8, loads = octets + rank;
  const kernels = byWeight[weight.dtype as keyof typeof byWeight];
  const { kernel, constants, rowsPerGroup } = sharedBy(
    pass,
    kernels,
    lanesFor(pass.gpu, octets, loads),
  );
  const most = Math.min(rowsOfGroups(pass, rowsPerGroup), rowsPerBinding(pass, weight));
  for (const { start, end } of ranges(out, most)) {
    const range = rowRange(weight, start, end);
    pass.dispatch({
      kernel,
      constants,
      operands: {
        weight: range,
        b,
        products,
        magnitude,
        norm,
        factor,
        ...(weight.constants && { constants: weight.constants }),
      },
      params: {
        rows: end - start,
        octets,
        row: start,
        rank,
        b_stride: b.stride,
        p_stride: products.stride,
        first_octet: octetOffset(range),
        group_octets: groupOctets(range),
      },
      workgroups: [Math.ceil((end - start) / rowsPerGroup)],
    });
  }
}
