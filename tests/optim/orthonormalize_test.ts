import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import {
  createOrthonormalizeWorkspace,
  orthonormalize,
  orthonormalizeMatmuls,
} from "../../src/optim/orthonormalize.ts";
import { orthonormalize as oracle } from "../oracles/optim/orthonormalize_block.ts";
import { dot } from "../oracles/svd.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../support.ts";
import { matmulWorkspace, orthonormality } from "./support.ts";

function run(gpu: Gpu, values: Float32Array, [rows, columns]: readonly [number, number]) {
  const workspace = createOrthonormalizeWorkspace(gpu, [rows, columns]);
  const matmuls = matmulWorkspace(gpu, orthonormalizeMatmuls(rows, columns));
  const source = upload(gpu, "source", [rows, columns], values);
  const target = upload(gpu, "target", [rows, columns]);
  runPass(gpu, (pass) => orthonormalize(pass, matmuls, workspace, { source, target }));
  return download(gpu, target);
}

for (const shape of [[1, 8], [5, 5461], [16, 40], [61, 257], [48, 48]] as const) {
  gpuTest(`orthonormalize (${shape}) agrees with the oracle`, async (gpu) => {
    const [rows, columns] = shape;
    const values = randomNormal(rows * columns, 1).map((value, i) =>
      value * 10 ** ((Math.floor(i / columns) % 5) * 4 - 10) // rows of very different lengths
    );
    const actual = await run(gpu, values, shape);
    // Little remains of the last rows of a square matrix, which amplifies errors.
    const atol = rows === columns ? 1e-3 : 1e-5;
    assertClose("rows", actual, oracle(values, columns), { atol, rtol: 0 });
    assert(orthonormality(actual, columns).error < 2e-6); // sums of some thousand float32 products
  });
}

gpuTest("nearly dependent rows come out orthonormal all the same", async (gpu) => {
  // All rows parallel to one vector but for one part in 10,000, which a Gram matrix would lose.
  const [rows, columns] = [40, 257], common = randomNormal(columns, 5);
  const own = randomNormal(rows * columns, 6, 1e-4);
  const values = own.map((value, i) => common[i % columns] + value);
  const { error, zeros } = orthonormality(await run(gpu, values, [rows, columns]), columns);
  assertEquals(zeros, 0);
  assert(error < 2e-6, `error ${error}`);
});

gpuTest("rows within the span of those before become zero, and no NaN", async (gpu) => {
  // 40 rows in a space of 7 dimensions: combinations of 7 vectors that end in zeros.
  const [rows, columns, rank] = [40, 64, 7];
  const weights = randomNormal(rows * rank, 1);
  const values = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < rank; c++) values[r * columns + c] = weights[r * rank + c];
  }
  const actual = await run(gpu, values, [rows, columns]);
  const { error, zeros } = orthonormality(actual, columns);
  assertEquals(zeros, rows - rank);
  assert(error < 2e-6, `error ${error}`);
  const nothing = await run(gpu, new Float32Array(rows * columns), [rows, columns]);
  assertEquals(dot(nothing, nothing), 0);
});
