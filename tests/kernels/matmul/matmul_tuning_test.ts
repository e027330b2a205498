import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../../../src/gpu/gpu.ts";
import type { MatmulShape } from "../../../src/kernels/matmul/matmul.ts";
import {
  MATMUL_TILES,
  type MatmulTile,
  tileByShape,
  tilesWithin,
} from "../../../src/kernels/matmul/matmul_tiles.ts";
import {
  productKey,
  tilesOf,
  tileTimer,
  type TimeTiles,
  tuneTiles,
} from "../../../src/kernels/matmul/matmul_tuning.ts";

const LARGE: MatmulShape = { layout: "NT", m: 8192, n: 5461, k: 2048 }; // 128x128 by its shape
const SMALL: MatmulShape = { layout: "TN", m: 512, n: 512, k: 4096 }; // 64x64
const ROW: MatmulShape = { layout: "NT", m: 1, n: 512, k: 512 }; // no tiles

/** A clock that gives every tile its milliseconds, and a list of what it was asked. */
function clock(times: Partial<Record<MatmulTile, number>>) {
  const asked: string[] = [];
  const time: TimeTiles = (shape, tiles) => {
    asked.push(productKey(shape));
    return Promise.resolve(new Map(tiles.map((tile) => [tile, times[tile] ?? 10])));
  };
  return { time, asked };
}

Deno.test("the fastest tile of each product is chosen, the largest product first", async () => {
  const { time, asked } = clock({ "64x128": 8 });
  const table = await tuneTiles(time, [SMALL, ROW, LARGE, SMALL], {}, { most: Infinity });
  assertEquals(asked, ["NT 8192 5461 2048", "TN 512 512 4096"]);
  assertEquals(table, { "NT 8192 5461 2048": "64x128", "TN 512 512 4096": "64x128" });
  const choose = tilesOf(table);
  assertEquals(choose(LARGE), "64x128");
  assertEquals(choose({ ...LARGE, m: 4096 }), "128x128", "another product: by its shape");
});

Deno.test("a tile that is faster by less than a clock's noise replaces none", async () => {
  const { time } = clock({ "64x128": 9.8 });
  const table = await tuneTiles(time, [LARGE, SMALL], {}, { most: Infinity });
  assertEquals(Object.values(table), ["128x128", "64x64"]);
});

Deno.test("known products are not timed, and time has a limit", async () => {
  const { time, asked } = clock({});
  const known = { [productKey(SMALL)]: "128x64" };
  assertEquals(await tuneTiles(time, [SMALL], known, { most: Infinity }), known);
  assertEquals(await tuneTiles(time, [LARGE], known, { most: -1 }), known);
  assertEquals(asked, []);
});

Deno.test("a table with a tile of another version is no fault", () => {
  assertEquals(tilesOf({ [productKey(LARGE)]: "256x256" })(LARGE), "128x128");
  assertEquals(tilesOf()(LARGE), "128x128");
});

Deno.test("a tile takes no more workgroup memory than the adapter has", () => {
  // WebGPU's least is 16 KiB. 128x128 takes 256 rows and columns, each of 16 float32, 16 bytes for
  // every eight of them, and NF4's tables of 16 and 256 numbers: 17,984 bytes.
  for (const [bytes, tile] of [[16_384, "128x64"], [17_983, "128x64"], [17_984, "128x128"]]) {
    const choose = tilesWithin({ maxComputeWorkgroupStorageSize: Number(bytes) }, tileByShape);
    assertEquals([choose(LARGE), choose(SMALL)], [tile, "64x64"]);
  }
});

Deno.test("an adapter's clock times every tile, and gives back what it allocated", async () => {
  const gpu = await Gpu.open();
  try {
    const time = tileTimer(gpu);
    if (!time) return; // no clock
    const before = gpu.account.live;
    const tiles = Object.keys(MATMUL_TILES) as MatmulTile[];
    for (const layout of ["NT", "NN", "TN"] as const) {
      const times = await time({ layout, m: 130, n: 72, k: 40 }, tiles);
      assertEquals([...times.keys()], tiles);
      assert([...times.values()].every((ms) => Number.isFinite(ms) && ms >= 0));
    }
    assertEquals(gpu.account.live, before);
  } finally {
    gpu.close();
  }
});
