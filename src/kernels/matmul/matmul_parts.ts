/** Adds the partial sums of a product; see matmul_split.ts. */
import code from "../../../shaders/matmul/matmul_parts.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { type Problem, STORE_FLAGS, storing } from "./matmul_blocks.ts";

/** Threads of a workgroup in each direction. */
const SIDE = 8;

const kernels = kernelByFormat("matmul_parts", code, { constants: { ...STORE_FLAGS, SIDE } });

/** c = alpha · Σ_p parts[p] [+ c] [+ residual]; parts (P, M, N) float32. */
export function matmulParts(pass: KernelPass, parts: Tensor, problem: Problem): void {
  const { m, n, k } = problem, quads = parts.stride / 4;
  const { constants, operands, params } = storing(problem, {
    m: { start: 0, end: m },
    n: { start: 0, end: n },
    k: { start: 0, end: k },
  });
  pass.dispatch({
    kernel: forFormat(kernels, "matmul", problem.c),
    constants,
    operands: { parts, ...operands },
    params: { ...params, parts: parts.shape[0], part_row_quads: quads, part_quads: m * quads },
    workgroups: [Math.ceil(quads / SIDE), Math.ceil(m / SIDE)],
  });
}
