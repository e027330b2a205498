/** Stages operands of a matmul in a float32 texture, which a software adapter reads fastest. */
import code from "../../../shaders/matmul/matmul_stage.wgsl" with { type: "text" };
import type { TextureTensor } from "../../gpu/allocator.ts";
import type { Kernel } from "../../gpu/kernel.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { OCTET, padded, rowsOf } from "../../numbers/layout.ts";
import { rowRange, type Tensor } from "../../gpu/tensor.ts";
import {
  groupOctets,
  type MatrixType,
  octetConstants,
  octetConstantsOf,
  octetLibrary,
  octetOffset,
} from "../octet.ts";
import { lengthOf, type Range, ranges, rowsPerBinding } from "../ranges.ts";
import { FLAG, shader } from "../shader.ts";

/** Threads per workgroup in each direction. */
const SIDE = 16;

const define = (format: MatrixType) =>
  shader(`matmul_stage.${format}`, code, {
    variants: [octetLibrary(format)],
    constants: { TRANSPOSED: FLAG, SIDE, ...octetConstants(format) },
  });
const kernels: Record<MatrixType, Kernel> = {
  float32: define("float32"),
  bfloat16: define("bfloat16"),
  int8: define("int8"),
  int4: define("int4"),
  nf4: define("nf4"),
};

/**
 * A texture that holds rows of K numbers, four to a texel. Its rows have `columns` texels, a power
 * of two; a longer K continues `band` rows further down.
 */
export interface StagingTexture {
  /** The texture. */
  readonly texture: TextureTensor;
  /** Its columns of texels. */
  readonly columns: number;
}

export interface MatmulStage {
  /** (R, K), or (K, R) if transposed; of any matrix format. */
  readonly source: Tensor;
  readonly transposed: boolean;
  /** The part to stage: rows and columns of op(source), both starting at a multiple of 8. */
  readonly rows: Range;
  readonly k: Range;
  readonly target: StagingTexture;
  /** Rows of the texture from one band to the next. */
  readonly band: number;
}

/** target[r][k] = op(source)[rows.start + r][k.start + k]; k is zero-padded to a multiple of 8. */
export function matmulStage(pass: KernelPass, io: MatmulStage): void {
  const { source, transposed, target } = io;
  const down = transposed ? io.k : io.rows, across = transposed ? io.rows : io.k;
  for (const { start, end } of ranges(lengthOf(down), rowsPerBinding(pass, source))) {
    const part = rowRange(source, down.start + start, down.start + end);
    const rows = rowsOf(part.shape), columns = lengthOf(across);
    const height = transposed ? padded(rows) / 4 : rows;
    pass.dispatch({
      kernel: kernels[source.dtype as MatrixType],
      constants: { TRANSPOSED: transposed ? 1 : 0, ...octetConstantsOf(source) },
      operands: {
        source: part,
        constants: source.constants,
        target_texels: target.texture,
      },
      params: {
        rows,
        columns,
        row_octets: source.stride / OCTET,
        first_column_octet: across.start / OCTET,
        first_octet: octetOffset(part),
        group_octets: groupOctets(source),
        target_row: transposed ? 0 : start,
        target_texel: transposed ? start / 4 : 0,
        shift: Math.log2(target.columns),
        band: io.band,
      },
      workgroups: [Math.ceil(columns / (SIDE * OCTET)), Math.ceil(height / SIDE)],
    });
  }
}
