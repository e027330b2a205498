/** Matmul for software adapters: operands staged in textures, tiles in registers. */
import code from "../../../shaders/matmul/matmul_texture.wgsl" with { type: "text" };
import type { Allocator } from "../../gpu/allocator.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { padded } from "../../numbers/layout.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import {
  type Block,
  type MatmulShape,
  type Problem,
  ROW_STEP,
  rowsOfC,
  stepDown,
  STORE_FLAGS,
  storing,
} from "./matmul_blocks.ts";
import { matmulStage, type StagingTexture } from "./matmul_stage.ts";
import { lengthOf, type Range, ranges } from "../ranges.ts";

const kernels = kernelByFormat("matmul_texture", code, { constants: STORE_FLAGS });

/** The tile that a workgroup computes, as in the WGSL. */
const TILE_M = 16, TILE_N = 64;
/** Default texels per texture: 16 MiB. */
const TEXELS = 1 << 20;
/** WebGPU's default limit. Software adapters that allow more have given wrong results beyond it. */
const MOST_ROWS = 8192;
const MOST_COLUMNS = 1024;
/** Four per iteration; Mesa's software adapters end a thread's loops after 65,535 iterations. */
const MOST_K = 1 << 17;
/** A block of k is then a multiple of 64, like a block of rows. */
const LEAST_COLUMNS = 16;

/** The textures that the operands of a product are staged in. */
export interface TextureWorkspace {
  /** For op(a). */
  readonly a: StagingTexture;
  /** For op(b). */
  readonly b: StagingTexture;
}

/** Textures for these shapes, at most `texels` each; larger operands are staged in blocks. */
export function createTextureWorkspace(
  allocator: Allocator,
  shapes: readonly MatmulShape[],
  maxTextureDimension2D: number,
  texels = TEXELS,
): TextureWorkspace {
  const deepest = Math.max(1, ...shapes.map((shape) => padded(shape.k) / 4));
  const columns = Math.max(
    Math.min(
      2 ** Math.ceil(Math.log2(deepest)),
      2 ** Math.floor(Math.log2(texels / ROW_STEP)),
      MOST_COLUMNS,
    ),
    LEAST_COLUMNS,
  );
  const most = Math.min(stepDown(texels / columns), maxTextureDimension2D, MOST_ROWS);
  const texture = (name: string, rowsOf: (shape: MatmulShape) => number): StagingTexture => {
    const heights = shapes.map((shape) =>
      bandsOf(shape.k, columns) * Math.ceil(rowsOf(shape) / ROW_STEP) * ROW_STEP
    );
    const height = Math.min(Math.max(ROW_STEP, ...heights), most);
    // Four more texels, a cache line: at a power of two all rows would compete for one cache set.
    const texture = allocator.texture({ name, width: columns + 4, height, purpose: "workspace" });
    return { texture, columns };
  };
  return {
    a: texture("matmul.a", (shape) => shape.m),
    b: texture("matmul.b", (shape) => shape.n),
  };
}

function bandsOf(k: number, columns: number): number {
  return Math.ceil(padded(k) / 4 / columns);
}

/** Records the staging of each block and its product. */
export function matmulTexture(
  pass: KernelPass,
  { a, b }: TextureWorkspace,
  problem: Problem,
  flops: number,
): void {
  const { layout, m, n, k, firstRow } = problem;
  // Split k only if necessary: partial sums are rounded to the format of c.
  const kStep = Math.min(
    padded(k),
    MOST_K,
    Math.floor(Math.min(a.texture.height, b.texture.height) / ROW_STEP) * a.columns * 4,
  );
  const bands = bandsOf(kStep, a.columns);
  const band = (target: StagingTexture) => stepDown(target.texture.height / bands);
  const ms = ranges(m, band(a)), ns = ranges(n, band(b)), ks = ranges(k, kStep);

  const stageA = staged((rows, k) =>
    matmulStage(pass, {
      source: problem.a,
      transposed: layout === "TN",
      rows: { start: firstRow + rows.start, end: firstRow + rows.end },
      k,
      target: a,
      band: band(a),
    })
  );
  const stageB = staged((rows, k) =>
    matmulStage(pass, {
      source: problem.b,
      transposed: layout !== "NT",
      rows,
      k,
      target: b,
      band: band(b),
    })
  );
  const compute = (block: Block) => {
    stageA(block.m, block.k);
    stageB(block.n, block.k);
    const step = rowsOfC(pass, problem.c, lengthOf(block.n), lengthOf(block.k), flops);
    for (const { start, end } of ranges(lengthOf(block.m), step)) {
      const rows = { start: block.m.start + start, end: block.m.start + end };
      const { constants, operands, params } = storing(problem, { ...block, m: rows });
      pass.dispatch({
        kernel: forFormat(kernels, "matmul", problem.c),
        constants,
        operands: { a: a.texture, b: b.texture, ...operands },
        params: {
          ...params,
          a_row: start,
          a_band: band(a),
          b_band: band(b),
          shift: Math.log2(a.columns),
          texels: padded(lengthOf(block.k)) / 4,
        },
        workgroups: [Math.ceil((end - start) / TILE_M), Math.ceil(lengthOf(block.n) / TILE_N)],
      });
    }
  };
  // The outer operand is staged once, the inner one again for each block of the outer, unless it
  // fits in one block.
  const rowsStaged = (outer: number, inner: number, outerBlocks: number, innerBlocks: number) =>
    outer + inner * (innerBlocks * ks.length > 1 ? outerBlocks : 1);
  if (rowsStaged(m, n, ms.length, ns.length) <= rowsStaged(n, m, ns.length, ms.length)) {
    for (const m of ms) for (const k of ks) for (const n of ns) compute({ m, n, k });
  } else {
    for (const n of ns) for (const k of ks) for (const m of ms) compute({ m, n, k });
  }
}

/** Skips the staging of what the texture already holds. */
function staged(move: (rows: Range, k: Range) => void): (rows: Range, k: Range) => void {
  let last: string | undefined;
  return (rows, k) => {
    const key = `${rows.start},${k.start}`;
    if (key !== last) move(rows, k);
    last = key;
  };
}
