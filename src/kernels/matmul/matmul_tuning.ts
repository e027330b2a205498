/**
 * The fastest tile of each product on an adapter, by timing. All tiles give the same bits, so a
 * choice that differs from run to run changes nothing but the speed.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { KernelPass } from "../../gpu/pass.ts";
import { Profiler } from "../../gpu/profiler.ts";
import { Scope } from "../../gpu/scope.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { randomNormal } from "../misc/random_normal.ts";
import { createMatmulWorkspace, matmul } from "./matmul.ts";
import type { MatmulShape } from "./matmul_blocks.ts";
import { MATMUL_TILES, type MatmulTile, tileByShape, type TileChoice } from "./matmul_tiles.ts";
import { isVector } from "./matmul_vector.ts";

const TILES = Object.keys(MATMUL_TILES) as MatmulTile[];

/** Tiles by product, as {@link productKey} writes it. */
export type TileTable = Readonly<Record<string, string>>;

/** A product in a {@link TileTable}. */
export function productKey({ layout, m, n, k }: MatmulShape): string {
  return [layout, m, n, k].join(" ");
}

/** The tiles of a table, and for other products what their shape suggests. */
export function tilesOf(table: TileTable = {}): TileChoice {
  return (shape) => {
    const tile = table[productKey(shape)];
    return TILES.find((each) => each === tile) ?? tileByShape(shape);
  };
}

/** Milliseconds that each of some tiles takes for a product. */
export type TimeTiles = (
  shape: MatmulShape,
  tiles: readonly MatmulTile[],
) => Promise<ReadonlyMap<MatmulTile, number>>;

/** A tile replaces what the shape suggests if it is faster by more than the noise of a clock. */
const CLEARLY_FASTER = 0.97;

export interface Tuning {
  /** Milliseconds after which no other product is timed. */
  readonly most: number;
  readonly onProgress?: (share: number) => void;
}

/** Times the products that a table lacks, the largest first; returns the table with those added. */
export async function tuneTiles(
  time: TimeTiles,
  shapes: readonly MatmulShape[],
  known: TileTable,
  { most, onProgress }: Tuning,
): Promise<TileTable> {
  const products = new Map(shapes.map((shape) => [productKey(shape), shape]));
  const wanted = [...products].filter(([key, shape]) => !(key in known) && !isVector(shape))
    .sort(([, a], [, b]) => operations(b) - operations(a));
  const found: Record<string, string> = { ...known };
  const end = performance.now() + most;
  for (const [index, [key, shape]] of wanted.entries()) {
    if (performance.now() > end) break;
    onProgress?.(index / wanted.length);
    const times = await time(shape, TILES);
    const suggested = tileByShape(shape);
    const fastest = TILES.reduce((a, b) => times.get(b)! < times.get(a)! ? b : a);
    const faster = times.get(fastest)! < CLEARLY_FASTER * times.get(suggested)!;
    found[key] = faster ? fastest : suggested;
  }
  return found;
}

const operations = ({ m, n, k }: MatmulShape) => m * n * k;

/** Rounds in which every tile runs once; the first, in which the card's clock rises, do not count. */
const WARM_UP = 2, ROUNDS = 5;
/** Operations of a run of a product that is timed: some milliseconds on a slow card. */
const OPERATIONS = 2e10;
/** Elements of a weight that is timed, unless 1024 columns have more: 512 MiB. */
const WEIGHT = 2 ** 28;

/** Times on the GPU's own clock; undefined if the adapter has none. */
export function tileTimer(gpu: Gpu): TimeTiles | undefined {
  if (!gpu.capabilities.features.includes("timestamp-query")) return undefined;
  return async (shape, tiles) => {
    using scope = new Scope(gpu);
    using profiler = Profiler.create(gpu)!;
    const timed = shortened(shape), { layout, m, n, k } = timed;
    const tensor = (name: string, shape: readonly number[]) =>
      scope.tensor({ name: `tuning.${name}`, shape, dtype: "bfloat16", purpose: "workspace" });
    const a = tensor("a", layout === "TN" ? [k, m] : [m, k]);
    const b = tensor("b", layout === "NT" ? [n, k] : [k, n]);
    const c = tensor("c", [m, n]);
    fill(gpu, [a, b]);
    const { limits } = gpu;
    let tile = tiles[0];
    const workspace = createMatmulWorkspace(scope, {
      variant: "tiled",
      limits,
      shapes: [timed],
      tile: () => tile,
    });
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const pass = new KernelPass(gpu, round < WARM_UP ? undefined : profiler);
      for (tile of tiles) matmul(pass, workspace, { layout, a, b, c });
      pass.submit();
    }
    const spans = await profiler.take();
    const each = spans.length / (ROUNDS * tiles.length);
    const total = (first: number) =>
      spans.slice(first, first + each).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    return new Map(tiles.map((tile, i) => {
      const times = Array.from(
        { length: ROUNDS },
        (_, round) => total(each * (round * tiles.length + i)),
      );
      return [tile, Math.min(...times)];
    }));
  };
}

/**
 * As many tiles side by side, or as many as fill a card, with fewer operations. The weight b, which
 * may be stored in fewer bytes than the bfloat16 timed here, loses columns of c before it is too
 * large for a buffer.
 */
function shortened(shape: MatmulShape): MatmulShape {
  const share = Math.min(1, OPERATIONS / operations(shape)), { layout, m, k } = shape;
  if (layout === "TN") return { ...shape, k: Math.max(Math.min(k, 256), Math.ceil(k * share)) };
  const n = Math.min(shape.n, Math.max(1024, Math.floor(WEIGHT / k)));
  return { ...shape, n, m: Math.max(Math.min(m, 1024), Math.ceil(m * share)) };
}

/** Random numbers: a card multiplies zeros faster. */
function fill(gpu: Gpu, tensors: readonly Tensor[]): void {
  const pass = new KernelPass(gpu);
  for (const [tensor, target] of tensors.entries()) {
    randomNormal(pass, { target, std: 1, seed: 1, tensor });
  }
  pass.submit();
}
