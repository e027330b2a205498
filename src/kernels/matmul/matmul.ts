/**
 * Every matrix product that training needs, in all operand formats:
 *
 *   forward         y (N, F)  = x (N, C) · Wᵀ (C, F)      NT   W stored (F, C), as in checkpoints
 *   backward        dx (N, C) = dy (N, F) · W (F, C)      NN
 *   weight gradient dW (F, C) = dyᵀ (F, N) · x (N, C)     TN
 *
 * Sums are float32 in a fixed order, so that the same run gives the same bits.
 */
import type { Allocator } from "../../gpu/allocator.ts";
import type { Limits } from "../../gpu/capabilities.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { describe, expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { lengthOf, type Range } from "../ranges.ts";
import { type MatmulLayout, type MatmulShape, type Problem, ROW_STEP } from "./matmul_blocks.ts";
import { createTextureWorkspace, matmulTexture, type TextureWorkspace } from "./matmul_texture.ts";
import { createTiledWorkspace, matmulTiled, type TiledWorkspace } from "./matmul_tiled.ts";
import { tileByShape, type TileChoice, tilesWithin } from "./matmul_tiles.ts";
import { isVector, matmulVector } from "./matmul_vector.ts";
import type { MatmulVariant } from "../strategy.ts";

export type { MatmulLayout, MatmulShape } from "./matmul_blocks.ts";
export type { StagingTexture } from "./matmul_stage.ts";
export type { TiledWorkspace } from "./matmul_tiled.ts";
export type { TextureWorkspace } from "./matmul_texture.ts";
export { type MatmulTile, tileByShape, type TileChoice } from "./matmul_tiles.ts";
export type { MatmulVariant } from "../strategy.ts";

/** Operands of {@link matmul}: c = alpha · op(a) · op(b) [+ c] [+ residual], or rows of it. */
export interface Matmul {
  /** Which of a and b are transposed. */
  readonly layout: MatmulLayout;
  /** NT, NN: (M, K); TN: (K, M); float32, bfloat16, int8 or int4. */
  readonly a: Tensor;
  /** NT: (N, K); NN, TN: (K, N); float32, bfloat16, int8, int4 or nf4. */
  readonly b: Tensor;
  /** (M, N), or (rows, N), float32 or bfloat16; in a separate buffer. */
  readonly c: Tensor;
  /** The rows of the product that c holds, with the bits of the whole; all by default. */
  readonly rows?: Range;
  /** Factor of the product; 1 by default. */
  readonly alpha?: number;
  /** c is added to instead of overwritten. */
  readonly accumulate?: boolean;
  /** The shape and format of c. */
  readonly residual?: Tensor;
}

/** Scratch memory of {@link matmul}; see {@link createMatmulWorkspace}. */
export type MatmulWorkspace =
  & {
    /** Placeholder for unused bindings. */
    readonly none: Tensor;
  }
  & (
    | { readonly variant: "tiled"; readonly tiled: TiledWorkspace }
    | { readonly variant: "texture"; readonly textures: TextureWorkspace }
  );

/** What a workspace of matrix products is sized for. */
export interface MatmulWorkspaceOptions {
  /** The adapter's: {@link strategyFor}. */
  readonly variant: MatmulVariant;
  /** The adapter's limits. */
  readonly limits: Pick<Limits, "maxTextureDimension2D" | "maxComputeWorkgroupStorageSize">;
  /** The expected products. Others work too, perhaps in more blocks. */
  readonly shapes: readonly MatmulShape[];
  /** Most texels, of 16 bytes, in each of the two staging textures; 1,048,576 by default. */
  readonly texels?: number;
  /** The tile of each product, of variant `tiled`; {@link tileByShape} by default. */
  readonly tile?: TileChoice;
}

/** FLOPs per dispatch: well below a quarter of a second on the slowest adapter of each kind. */
const FLOPS: Record<MatmulVariant, number> = { texture: 4e9, tiled: 1e11 };

/** Scratch memory for products of these shapes; all products of a device share it. */
export function createMatmulWorkspace(
  allocator: Allocator,
  { variant, limits, shapes, texels, tile = tileByShape }: MatmulWorkspaceOptions,
): MatmulWorkspace {
  const none = allocator.tensor({
    name: "matmul.none",
    shape: [8],
    dtype: "float32",
    purpose: "workspace",
  });
  const others = shapes.filter((shape) => !isVector(shape));
  switch (variant) {
    case "tiled":
      return {
        variant,
        none,
        tiled: createTiledWorkspace(allocator, others, tilesWithin(limits, tile)),
      };
    case "texture": {
      const side = limits.maxTextureDimension2D;
      return { variant, none, textures: createTextureWorkspace(allocator, others, side, texels) };
    }
  }
}

/**
 * c = alpha · op(a) · op(b) [+ c] [+ residual]. With a bfloat16 c and a k beyond the workspace's
 * (65,536 by default) partial sums are rounded to bfloat16. `rows` start at a multiple of 64. Throws
 * {@link ShapeError} on operands that do not match.
 */
export function matmul(pass: KernelPass, workspace: MatmulWorkspace, io: Matmul): void {
  const problem = checked(io, workspace.none);
  if (isVector(problem.whole) && !problem.a.constants) {
    return matmulVector(pass, problem, workspace.variant);
  }
  switch (workspace.variant) {
    case "tiled":
      return matmulTiled(pass, workspace.tiled, problem, FLOPS.tiled);
    case "texture":
      return matmulTexture(pass, workspace.textures, problem, FLOPS.texture);
  }
}

function checked(io: Matmul, none: Tensor): Problem {
  const { layout, a: left, b, c, residual, alpha = 1, accumulate = false } = io;
  expectDType("matmul", "a", left, "float32", "bfloat16", "int8", "int4");
  expectDType("matmul", "b", b, "float32", "bfloat16", "int8", "int4", "nf4");
  expectDType("matmul", "c", c, "float32", "bfloat16");
  const [all, k] = layout === "TN" ? transposed(left) : matrix(left);
  const [n, kOfB] = layout === "NT" ? matrix(b) : transposed(b);
  if (k !== kOfB) {
    throw new ShapeError(
      `matmul ${layout}: k differs: a is ${describe(left)}, k = ${k}; b is ${
        describe(b)
      }, k = ${kOfB}`,
    );
  }
  const { rows = { start: 0, end: all } } = io, m = lengthOf(rows);
  if (!(rows.start % ROW_STEP === 0 && m >= 1 && rows.end <= all)) {
    throw new ShapeError(
      `matmul ${layout}: rows must start at a multiple of ${ROW_STEP} and lie in [0, ${all}), ` +
        `got [${rows.start}, ${rows.end})`,
    );
  }
  expectShape(`matmul ${layout}`, "c", { ...c, shape: matrix(c) }, [m, n]);
  if (residual) {
    expectDType("matmul", "residual", residual, c.dtype);
    expectShape(`matmul ${layout}`, "residual", { ...residual, shape: matrix(residual) }, [m, n]);
  }
  for (const [name, operand] of Object.entries({ a: left, b, residual })) {
    if (operand?.buffer === c.buffer) {
      throw new ShapeError(
        `matmul ${layout}: c (${c.name}) shares a buffer with ${name} (${operand.name})`,
        name === "residual" ? "use accumulate to add to c" : "write to another tensor",
      );
    }
  }
  const whole = { layout, m: all, n, k }, options = { alpha, accumulate, whole, none };
  // Rows of the product are rows of a, or its columns.
  if (layout === "TN") {
    return { ...whole, m, a: left, b, c, residual, firstRow: rows.start, ...options };
  }
  const a = m < all ? rowRange(left, rows.start, rows.end) : left;
  return { ...whole, m, a, b, c, residual, firstRow: 0, ...options };
}

/** A tensor of any rank as rows and columns. */
function matrix({ shape }: Tensor): [number, number] {
  return [rowsOf(shape), columnsOf(shape)];
}

function transposed({ shape }: Tensor): [number, number] {
  return [columnsOf(shape), rowsOf(shape)];
}
