/** Matmul with few rows, for decoding. Memory-bound: reads the weight once, directly. */
import code from "../../../shaders/matmul/matmul_vector.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { OCTET } from "../../numbers/layout.ts";
import { rowRange } from "../../gpu/tensor.ts";
import { forFormat, type KernelByFormat, kernelByFormat } from "../format.ts";
import { type Problem, stepDown, STORE_FLAGS, storing } from "./matmul_blocks.ts";
import {
  groupOctets,
  type MatrixType,
  octetConstants,
  octetConstantsOf,
  octetLibrary,
  octetOffset,
} from "../octet.ts";
import { lengthOf, ranges, rowsPerBinding } from "../ranges.ts";
import type { MatmulVariant } from "../strategy.ts";
import { FLAG } from "../shader.ts";

/** The most rows it accepts; beyond this a tiled kernel is faster. */
const MOST_ROWS = 4;
/** Threads per row: a processor prefers long sequential reads, a card coalesced ones. */
const LANES: Record<MatmulVariant, number> = { texture: 1, tiled: 64 };
const WORKGROUP_SIZE: Record<MatmulVariant, number> = { texture: 8, tiled: 64 };
/** Octets of a row that a thread loads at once. */
const OCTETS: Record<MatmulVariant, number> = { texture: 1, tiled: 2 };

const define = (format: MatrixType, libraries = [octetLibrary(format), "no_table"]) =>
  kernelByFormat(`matmul_vector.${libraries[0]}`, code, {
    variants: libraries,
    constants: {
      ...STORE_FLAGS,
      ...octetConstants(format),
      ROWS: Array.from({ length: MOST_ROWS }, (_, i) => i + 1),
      LANES: Object.values(LANES),
      WORKGROUP_SIZE: Object.values(WORKGROUP_SIZE),
      OCTETS: Object.values(OCTETS),
      A_BFLOAT16: FLAG,
    },
  });
const others = {
  float32: define("float32"),
  bfloat16: define("bfloat16"),
  int8: define("int8"),
  int4: define("int4"),
};
const kernels: Record<MatmulVariant, Record<MatrixType, KernelByFormat>> = {
  texture: { ...others, nf4: define("nf4") },
  tiled: { ...others, nf4: define("nf4", ["octet_nf4_table", "nf4_table"]) },
};

export function isVector({ layout, m }: { layout: string; m: number }): boolean {
  return layout === "NT" && m <= MOST_ROWS;
}

/** a (M ≤ 4, K) float32 or bfloat16, b (N, K) of any format. */
export function matmulVector(pass: KernelPass, problem: Problem, variant: MatmulVariant): void {
  const { a, b, m, n, k } = problem;
  const lanes = LANES[variant], size = WORKGROUP_SIZE[variant];
  const columnsPerGroup = 4 * size / lanes;
  const step = Math.min(
    rowsPerBinding(pass, b),
    stepDown(columnsPerGroup * pass.gpu.limits.maxComputeWorkgroupsPerDimension),
  );
  for (const range of ranges(n, step)) {
    const part = rowRange(b, range.start, range.end);
    const whole = { start: 0, end: m };
    const { constants, operands, params } = storing(problem, {
      m: whole,
      n: range,
      k: { start: 0, end: k },
    });
    pass.dispatch({
      kernel: forFormat(kernels[variant][b.dtype as MatrixType], "matmul", problem.c),
      constants: {
        ...constants,
        ...octetConstantsOf(b),
        ROWS: m,
        LANES: lanes,
        WORKGROUP_SIZE: size,
        OCTETS: OCTETS[variant],
        A_BFLOAT16: a.dtype === "bfloat16" ? 1 : 0,
      },
      operands: { source: part, constants: b.constants, a, ...operands },
      params: {
        ...params,
        k,
        a_row_octets: a.stride / OCTET,
        row_octets: b.stride / OCTET,
        first_octet: octetOffset(part),
        group_octets: groupOctets(b),
      },
      workgroups: [Math.ceil(lengthOf(range) / columnsPerGroup)],
    });
  }
}
