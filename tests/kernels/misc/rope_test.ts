import { assertEquals } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { rowRange, type Tensor } from "../../../src/gpu/tensor.ts";
import { rope } from "../../../src/kernels/misc/rope.ts";
import { ropeCached } from "../../../src/kernels/misc/rope_cached.ts";
import { rope as oracle, ropeTable } from "../../oracles/misc/rope.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";
import { assertRefuses } from "../../support_errors.ts";

// Heads of 20 and 100 have halves that are not multiples of four; 3 heads of 20 leave row padding.
const SHAPES = [
  { batch: 1, length: 1, heads: 1, headSize: 8 },
  { batch: 3, length: 7, heads: 2, headSize: 16, positionOffset: 5 },
  { batch: 2, length: 33, heads: 3, headSize: 20 },
  { batch: 1, length: 5, heads: 2, headSize: 100, positionOffset: 90 },
  { batch: 2, length: 65, heads: 4, headSize: 64 },
];

for (const shape of SHAPES) {
  const { batch, length, heads, headSize, positionOffset } = shape;
  const title = `rope B ${batch} T ${length} heads ${heads} D ${headSize}`;
  gpuTest(`${title} agrees with the oracle, and its inverse undoes it`, async (gpu) => {
    const rows = batch * length, columns = heads * headSize;
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(rows * columns, 1), dtype);
      const table = upload(gpu, "table", [100, headSize], ropeTable(100, headSize));
      for (const strategy of strategies(gpu)) {
        const x = upload(gpu, "x", [rows, columns], values, dtype);
        const io = { x, table, headSize, length, positionOffset };
        runPass(gpu, (pass) => rope(pass, io));
        // float32: the table and two products are rounded; the sum may cancel, hence atol.
        const tolerance = { atol: 5e-7, rtol: 3e-7 + OUTPUT_ROUNDING[dtype] };
        const turned = await download(gpu, x);
        assertClose(`x, ${strategy}`, turned, oracle(values, shape), tolerance);
        runPass(gpu, (pass) => rope(pass, { ...io, inverse: true }));
        // Each element mixes two stored ones of up to 5, each half a unit of its format off.
        const back = { float32: 1e-6, bfloat16: 5 * 2 ** -7 }[dtype];
        assertClose("x back", await download(gpu, x), values, { atol: back, rtol: 0 });
        const padding = new Float32Array((await gpu.read(x)).slice().buffer);
        if (dtype === "float32") {
          for (let i = 0; i < padding.length; i++) {
            if (i % x.stride >= columns && padding[i] !== 0) throw new Error("padding was written");
          }
        }
      }
    }
  });
}

gpuTest("rope refuses odd heads, broken sequences and positions beyond the table", (gpu) => {
  const x = upload(gpu, "x", [6, 32]), table = upload(gpu, "table", [4, 8]);
  const cases = [
    [{ headSize: 6, length: 3 }, "rope: the head size must be a multiple of 4 that divides 32"],
    [{ headSize: 8, length: 4 }, "rope: 6 rows are not a whole number of sequences of 4"],
    [{ headSize: 16, length: 3 }, "rope: table must be (4, 16), got (4, 8)"],
    [
      { headSize: 8, length: 3, positionOffset: 2 },
      "rope: the table has 4 positions, 5 are needed\n  hint: was it made for a shorter context?",
    ],
  ] as const;
  for (const [io, message] of cases) {
    assertRefuses(() => rope(new KernelPass(gpu), { x, table, ...io }), ShapeError, message);
  }
});

// The last cache exceeds a binding of 128 MiB, which its rows of 1,024 bytes fill at row 131,072.
const CACHED = [
  { rows: 1, heads: 1, keyHeads: 1, headSize: 8, offset: 0, capacity: 1 },
  { rows: 5, heads: 6, keyHeads: 2, headSize: 16, offset: 9, capacity: 20 },
  { rows: 3, heads: 3, keyHeads: 3, headSize: 20, offset: 2, capacity: 5 },
  { rows: 1, heads: 9, keyHeads: 3, headSize: 64, offset: 70, capacity: 100 },
  { rows: 6, heads: 4, keyHeads: 2, headSize: 128, offset: 131_069, capacity: 131_080 },
];

for (const shape of CACHED) {
  const { rows, heads, keyHeads, headSize, offset, capacity } = shape;
  const title = `ropeCached N ${rows} H ${heads} K ${keyHeads} D ${headSize} after ${offset}`;
  gpuTest(`${title} is rope and a copy, and leaves other rows`, async (gpu) => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = (columns: number, seed: number) =>
        rounded(randomNormal(rows * columns, seed), dtype);
      const queries = heads * headSize, keys = keyHeads * headSize;
      const [q, k, v] = [values(queries, 1), values(keys, 2), values(keys, 3)];
      // Of a long table only the rows that are needed.
      const table = gpu.tensor({
        name: "table",
        shape: [offset + rows, headSize],
        dtype: "float32",
        purpose: "workspace",
      });
      const angles = ropeTable(rows, headSize, offset);
      const needed = upload(gpu, "needed", [rows, headSize], angles);
      const make = (name: string) =>
        gpu.tensor({ name, shape: [capacity, keys], dtype, purpose: "workspace" });
      const io = {
        query: upload(gpu, "q", [rows, queries], q, dtype),
        key: upload(gpu, "k", [rows, keys], k, dtype),
        value: upload(gpu, "v", [rows, keys], v, dtype),
        cachedKey: make("cached_key"),
        cachedValue: make("cached_value"),
        table,
      };
      runPass(gpu, (pass) => {
        pass.copy(needed, rowRange(table, offset, offset + rows));
        ropeCached(pass, { ...io, headSize, offset });
      });
      const tolerance = { atol: 5e-7, rtol: 3e-7 + OUTPUT_ROUNDING[dtype] };
      const turn = (x: Float32Array, heads: number) =>
        oracle(x, { length: rows, heads, headSize, positionOffset: offset });
      assertClose("q", await download(gpu, io.query), turn(q, heads), tolerance);
      const around = (tensor: Tensor) => {
        const first = Math.max(0, offset - 2), last = Math.min(capacity, offset + rows + 2);
        return download(gpu, rowRange(tensor, first, last));
      };
      const before = new Float32Array(Math.min(2, offset) * keys);
      const after = new Float32Array(Math.min(2, capacity - offset - rows) * keys);
      const cached = await around(io.cachedKey);
      assertClose("k", cached, [...before, ...turn(k, keyHeads), ...after], tolerance);
      assertEquals([...await around(io.cachedValue)], [...before, ...v, ...after]);
      Object.values(io).forEach((tensor) => gpu.release(tensor));
    }
  });
}

gpuTest("ropeCached refuses a full cache", (gpu) => {
  const [x, cache] = [upload(gpu, "x", [2, 16]), upload(gpu, "cache", [4, 16])];
  const io = { query: x, key: x, value: x, cachedKey: cache, cachedValue: cache };
  const table = upload(gpu, "table", [9, 8]);
  const message = "ropeCached: the table has 9 positions and the cache 4, 5 are needed";
  assertRefuses(
    () => ropeCached(new KernelPass(gpu), { ...io, table, headSize: 8, offset: 3 }),
    ShapeError,
    message,
  );
});

testAlternatives(import.meta.url);
