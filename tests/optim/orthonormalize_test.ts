import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import {
  createOrthonormalizeWorkspace,
  orthonormalize,
  orthonormalizeMatmuls,
} from "../../src/optim/orthonormalize.ts";
import { orthonormalize as oracle } from "../oracles/optim/orthonormalize.ts";
import { dot, svd, timesTransposed, transposed } from "../oracles/svd.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../support.ts";
import { matmulWorkspace, orthonormality, withSpectrum } from "./support.ts";

function run(
  gpu: Gpu,
  values: Float32Array,
  [rows, columns]: readonly [number, number],
  passes?: 1 | 2,
) {
  const workspace = createOrthonormalizeWorkspace(gpu, [rows, columns]);
  const matmuls = matmulWorkspace(gpu, orthonormalizeMatmuls(rows, columns));
  const source = upload(gpu, "source", [rows, columns], values);
  const target = upload(gpu, "target", [rows, columns]);
  runPass(gpu, (pass) => orthonormalize(pass, matmuls, workspace, { source, target, passes }));
  return download(gpu, target);
}

// The last two in several blocks.
for (
  const shape of [[1, 8], [5, 5461], [16, 40], [61, 257], [48, 48], [136, 300], [257, 400]] as const
) {
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

/** All rows parallel to one vector but for this part, whose square a Gram matrix would lose. */
function nearlyDependent([rows, columns]: readonly [number, number], part: number) {
  const common = randomNormal(columns, 5), own = randomNormal(rows * columns, 6, part);
  return own.map((value, i) => common[i % columns] + value);
}

for (const [rows, part] of [[40, 1e-4], [150, 1e-4], [150, 1e-5]]) {
  gpuTest(`${rows} nearly dependent rows, ${part}, come out orthonormal`, async (gpu) => {
    const columns = 257, values = nearlyDependent([rows, columns], part);
    const { error, zeros } = orthonormality(await run(gpu, values, [rows, columns]), columns);
    assertEquals(zeros, 0);
    assert(error < 2e-6, `error ${error}`);
  });
}

gpuTest("rows of a steep spectrum come out orthonormal, and span what they did", async (gpu) => {
  // As in a subspace iteration: random combinations of directions whose weights fall to 1e-6.
  const [rows, columns] = [140, 200];
  const directions = withSpectrum([columns, columns], (i) => Math.max(Math.exp(-i / 10), 1e-6), 3);
  const start = randomNormal(rows * columns, 4);
  const values = Float32Array.from(
    timesTransposed(start, transposed(directions, columns), columns),
  );
  const actual = await run(gpu, values, [rows, columns]);
  const { error, zeros } = orthonormality(actual, columns);
  assertEquals(zeros, 0);
  assert(error < 2e-6, `error ${error}`);
  for (let r = 0; r < rows; r++) {
    const row = values.slice(r * columns, (r + 1) * columns),
      before = actual.slice(0, (r + 1) * columns);
    const along = timesTransposed(row, before, columns);
    // What is left of a row beyond the span of those up to it.
    const left = row.map((value, c) =>
      value - along.reduce((sum, weight, i) => sum + weight * before[i * columns + c], 0)
    );
    const share = Math.sqrt(dot(left, left) / dot(row, row));
    assert(share < 1e-6, `row ${r}: ${share}`);
  }
});

for (const [passes, part, most] of [[1, 0.03, 2], [2, 1e-4, 2]] as const) {
  gpuTest(`${passes} of the passes: rows that differ by ${part} are far apart`, async (gpu) => {
    const shape = [150, 257] as const;
    const actual = await run(gpu, nearlyDependent(shape, part), shape, passes);
    const { values } = svd(transposed(actual, shape[1]), shape[1], shape[0]);
    assert(values[0] < most * values[shape[0] - 1], `from ${values[0]} to ${values.at(-1)}`);
  });
}

gpuTest("rows within the span of those before become zero, and no NaN", async (gpu) => {
  // Rows in a space of 7 dimensions, of two blocks: combinations of 7 vectors that end in zeros.
  const [rows, columns, rank] = [150, 160, 7];
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
