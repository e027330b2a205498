/** Matmul for graphics cards: operands read directly, tiles in workgroup memory. */
import code from "../../../shaders/matmul/matmul_tiled.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import type { Allocator } from "../../gpu/allocator.ts";
import { OCTET, padded, storedElements } from "../../numbers/layout.ts";
import { rowRange, type Tensor, viewAs } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import {
  type Block,
  type MatmulShape,
  type Problem,
  rowsOfC,
  STORE_FLAGS,
  storing,
} from "./matmul_blocks.ts";
import { matmulParts } from "./matmul_parts.ts";
import { type MatmulSplit, partialSums, splitOf } from "./matmul_split.ts";
import { groupOctets, groupShifts, type MatrixType, octetOffset } from "../octet.ts";
import { MATMUL_TILES, type MatmulTile, type TileChoice } from "./matmul_tiles.ts";
import { lengthOf, type Range, ranges, rowsPerBinding } from "../ranges.ts";
import { strategyFor } from "../strategy.ts";
import { FLAG } from "../shader.ts";

/** The fewest terms of a sum that an iteration of the kernel's loop adds. */
const LEAST_K = 8;
/** As in lib/octet_any.wgsl. */
const FORMATS: Record<MatrixType, number> = {
  float32: 0,
  bfloat16: 1,
  int8: 2,
  int4: 3,
  nf4: 4,
};

/** Words of a load; formats of one width share a kernel. */
const WIDTHS = { float32: 4, bfloat16: 4, int8: 2, int4: 1, nf4: 1 } as const;
type Width = (typeof WIDTHS)[MatrixType];

function formatsOf(width: Width): number[] {
  const all = Object.keys(FORMATS) as MatrixType[];
  return all.filter((format) => WIDTHS[format] === width).map((format) => FORMATS[format]);
}

const define = (a: Width, b: Width) =>
  kernelByFormat(`matmul_tiled.${a}.${b}`, code, {
    variants: [`words_a_${a}`, `words_b_${b}`],
    constants: {
      ...STORE_FLAGS,
      A_FORMAT: formatsOf(a).filter((format) => format !== FORMATS.nf4),
      B_FORMAT: formatsOf(b),
      A_GROUP_SHIFTS: FLAG,
      B_GROUP_SHIFTS: FLAG,
      A_TRANSPOSED: FLAG,
      B_TRANSPOSED: FLAG,
      TILE_M: [64, 128],
      TILE_N: [64, 128],
    },
  });
const byB = (a: Width) => ({ 1: define(a, 1), 2: define(a, 2), 4: define(a, 4) });
const kernels = { 1: byB(1), 2: byB(2), 4: byB(4) };

/** What products of a device share. */
export interface TiledWorkspace {
  /** The tile of a product. */
  readonly tile: TileChoice;
  /** Partial sums, float32; absent if no product is expected to be split. */
  readonly parts?: Tensor;
}

/** Scratch memory for these shapes; a product that it does not suffice for is not split. */
export function createTiledWorkspace(
  allocator: Allocator,
  shapes: readonly MatmulShape[],
  tile: TileChoice,
): TiledWorkspace {
  const most = Math.max(0, ...shapes.map(partialSums));
  if (most === 0) return { tile };
  const spec = { shape: [most], dtype: "float32", purpose: "workspace" } as const;
  return { tile, parts: allocator.tensor({ name: "matmul.parts", ...spec }) };
}

/** Records the product in blocks that fit the bindings and the time limit of a dispatch. */
export function matmulTiled(
  pass: KernelPass,
  workspace: TiledWorkspace,
  problem: Problem,
  flops: number,
): void {
  const { layout, a, b } = problem;
  const rowsOfA = rowsPerBinding(pass, a), rowsOfB = rowsPerBinding(pass, b);
  const kStep = Math.min(
    layout === "TN" ? rowsOfA : Infinity,
    layout !== "NT" ? rowsOfB : Infinity,
    strategyFor(pass.gpu.capabilities).loopRounds * LEAST_K,
    problem.k,
  );
  const nStep = Math.min(layout !== "NT" ? Infinity : rowsOfB, problem.n);
  const mStep = Math.min(
    layout === "TN" ? Infinity : rowsOfA,
    rowsOfC(pass, problem.c, nStep, kStep, flops),
  );
  const tile = workspace.tile(problem);
  const blocks = ranges(problem.n, nStep).flatMap((n) =>
    ranges(problem.m, mStep).flatMap((m) => ranges(problem.k, kStep).map((k) => ({ m, n, k })))
  );
  // As the whole product would be, so that rows of it have its bits.
  const split = splitOf(problem.whole),
    isOneBlock = blocks.length === 1 && problem.whole.m <= mStep;
  const shape = [split.parts, problem.m, problem.n];
  if (isOneBlock && split.parts > 1 && fits(workspace, shape)) {
    const parts = viewAs(workspace.parts!, "matmul.parts", shape);
    const sums = { ...problem, c: parts, alpha: 1, accumulate: false, residual: undefined };
    record(pass, sums, blocks[0], tile, split);
    return matmulParts(pass, parts, problem);
  }
  for (const block of blocks) {
    record(pass, problem, block, tile, { parts: 1, terms: padded(lengthOf(block.k)) });
  }
}

/**
 * Whether there is room for partial sums. Always, where the rows of a product were planned for: alone
 * they would have as many parts as the whole, or more.
 */
function fits({ parts }: TiledWorkspace, [count, m, n]: readonly number[]): boolean {
  return parts !== undefined && count * m * padded(n) <= storedElements(parts);
}

/** One dispatch; c holds as many matrices as the split has parts. */
function record(
  pass: KernelPass,
  problem: Problem,
  { m, n, k }: Block,
  tile: MatmulTile,
  split: MatmulSplit,
): void {
  const { layout, a, b, c, firstRow, none } = problem, sides = MATMUL_TILES[tile];
  const turnedA = layout === "TN", turnedB = layout !== "NT";
  const { constants, operands, params } = storing(problem, { m, n, k });
  const rows = { start: firstRow + m.start, end: firstRow + m.end };
  const left = part(a, turnedA, rows, k), right = part(b, turnedB, n, k);
  pass.dispatch({
    kernel: forFormat(
      kernels[WIDTHS[a.dtype as MatrixType]][WIDTHS[b.dtype as MatrixType]],
      "matmul",
      c,
    ),
    constants: {
      ...constants,
      A_FORMAT: FORMATS[a.dtype as MatrixType],
      B_FORMAT: FORMATS[b.dtype as MatrixType],
      A_GROUP_SHIFTS: groupShifts(a),
      B_GROUP_SHIFTS: groupShifts(b),
      A_TRANSPOSED: turnedA ? 1 : 0,
      B_TRANSPOSED: turnedB ? 1 : 0,
      TILE_M: sides.m,
      TILE_N: sides.n,
    },
    operands: {
      a: left.view,
      b: right.view,
      a_constants: a.constants ?? none,
      b_constants: b.constants ?? none,
      ...operands,
      ...(split.parts > 1 ? { c } : {}),
    },
    params: {
      ...params,
      k: lengthOf(k),
      a_row_octets: a.stride / OCTET,
      a_column_octet: left.column / OCTET,
      a_first_octet: octetOffset(left.view),
      a_group_octets: groupOctets(a),
      b_row_octets: b.stride / OCTET,
      b_column_octet: right.column / OCTET,
      b_first_octet: octetOffset(right.view),
      b_group_octets: groupOctets(b),
      part: split.terms,
    },
    workgroups: [
      Math.ceil(lengthOf(n) / sides.n),
      Math.ceil(lengthOf(m) / sides.m),
      split.parts,
    ],
  });
}

/** The rows of an operand that a block reads, and the column it starts at in them. */
function part(tensor: Tensor, transposed: boolean, rows: Range, k: Range) {
  const down = transposed ? k : rows, across = transposed ? rows : k;
  return { view: rowRange(tensor, down.start, down.end), column: across.start };
}
