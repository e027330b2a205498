import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { rope } from "../../../src/kernels/misc/rope.ts";
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
      const x = upload(gpu, "x", [rows, columns], values, dtype);
      const table = upload(gpu, "table", [100, headSize], ropeTable(100, headSize));
      const io = { x, table, headSize, length, positionOffset };
      runPass(gpu, (pass) => rope(pass, io));
      // float32: the table and two products are rounded; the sum may cancel, hence atol.
      const tolerance = { atol: 5e-7, rtol: 3e-7 + OUTPUT_ROUNDING[dtype] };
      const turned = await download(gpu, x);
      assertClose("x", turned, oracle(values, shape), tolerance);
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
