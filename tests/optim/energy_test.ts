import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import {
  adviseRank,
  createSpectrumWorkspace,
  energyCurve,
  readEnergyCurve,
  recordSpectrum,
} from "../../src/optim/energy.ts";
import { subspaceMatmuls } from "../../src/optim/subspace_shape.ts";
import { svd } from "../oracles/svd.ts";
import { assertClose, download, gpuTest, runPass, upload } from "../support.ts";
import { matmulWorkspace, withSpectrum } from "./support.ts";

type Shape = readonly [m: number, n: number];

/** Curves of several gradients of one shape, recorded in one pass. */
async function curvesOf(gpu: Gpu, shape: Shape, limit: number, gradients: Float32Array[]) {
  const matmuls = matmulWorkspace(gpu, subspaceMatmuls(shape, limit));
  const slots = gradients.length;
  const workspace = createSpectrumWorkspace(gpu, { shapes: [shape], limit, slots });
  const tensors = gradients.map((values) => upload(gpu, "gradient", shape, values));
  runPass(
    gpu,
    (pass) =>
      tensors.forEach((gradient, slot) =>
        recordSpectrum(pass, matmuls, workspace, {
          gradient,
          slot,
          key: { seed: 1, step: slot, tensor: 3 },
        })
      ),
  );
  assertEquals(await download(gpu, tensors[0]), gradients[0], "gradients stay as they are");
  const curves = [];
  for (let slot = 0; slot < slots; slot++) {
    curves.push(await readEnergyCurve(gpu, workspace, { name: "w", shape, slot }));
  }
  return curves;
}

/** The exact curve in float64: shares of the leading directions, from singular values. */
function exactCurve(values: ArrayLike<number>): Float64Array {
  const squares = Float64Array.from(values, (value) => value * value);
  const total = squares.reduce((a, b) => a + b, 0);
  let sum = 0;
  return squares.map((square) => (sum += square) / total);
}

function exactRank(curve: Float64Array, share: number, most: number): number {
  const least = curve.findIndex((energy) => energy >= share - 1e-9) + 1;
  return Math.min(Math.max(8, Math.ceil(least / 8) * 8), most);
}

const SPECTRA: Record<string, (i: number) => number> = {
  "i^-0.5": (i) => i ** -0.5,
  "i^-1": (i) => 1 / i,
  "exp(-i/20)": (i) => Math.exp(-i / 20),
  "1e-7 exp(-i/20)": (i) => 1e-7 * Math.exp(-i / 20), // as small as real gradients
  "flat": () => 1,
  "rank 20": (i) => i <= 20 ? 1 : 0,
  "one dominant direction": (i) => i === 1 ? 100 : 1,
};

for (
  const [shape, limit] of [
    [[96, 75], 128], // all directions, tall, rows padded
    [[44, 109], 40], // nearly all, wide
    [[21, 21], 8], // square, iterated
    [[200, 160], 88], // iterated, tall
    [[120, 230], 48], // iterated, wide
  ] as [Shape, number][]
) {
  gpuTest(`(${shape}): the rank of known spectra, of ${limit} directions at most`, async (gpu) => {
    const spectra = Object.values(SPECTRA);
    const gradients = spectra.map((spectrum) => withSpectrum(shape, spectrum, 7));
    const curves = await curvesOf(gpu, shape, limit, gradients);
    const dimensions = Math.min(...shape), whole = curves[0]!.length === dimensions;
    assertEquals(whole, dimensions <= 1.25 * (limit + 8));
    for (const [index, name] of Object.keys(SPECTRA).entries()) {
      const exact = exactCurve(Array.from({ length: dimensions }, (_, i) => spectra[index](i + 1)));
      const curve = curves[index]!;
      for (const [i, energy] of curve.entries()) {
        // Float32 sums have errors of about 1e-5; the iteration may underestimate, never
        // overestimate.
        assert(energy <= exact[i] + 2e-5, `${name}, ${i + 1}: ${energy}, exactly ${exact[i]}`);
        const missed = whole ? 2e-5 : 2e-3;
        assert(energy >= exact[i] - missed, `${name}, ${i + 1}: ${energy}, exactly ${exact[i]}`);
      }
      for (const share of [0.5, 0.8, 0.9, 0.99]) {
        const advised = adviseRank(shape, [curve], share);
        const wanted = exactRank(exact, share, whole ? dimensions : limit);
        // Float32 error across a threshold is one step of 8; energy missed by the iteration makes
        // ranks larger, by no more than that.
        assert(
          advised.rank >= wanted - (whole ? 8 : 0) && advised.rank <= wanted + 8,
          `${name}, ${share}: ${advised.rank}, exactly ${wanted}`,
        );
        if (exact[curve.length - 1] > share + 2e-3) assert(advised.energy >= share - 1e-4);
        else assertEquals(advised.rank, wanted);
      }
    }
  });
}

gpuTest("an unstructured matrix: agrees with its SVD", async (gpu) => {
  const shape: Shape = [90, 52];
  const values = Float32Array.from(
    { length: 90 * 52 },
    (_, i) => Math.sin(i * i * 0.37) / (1 + (i % 52)) + Math.cos(i),
  );
  for (const limit of [32, 64]) {
    const [curve] = await curvesOf(gpu, shape, limit, [values]);
    const exact = exactCurve(svd(values, ...shape).values).subarray(0, curve!.length);
    // When iterated, the last directions are not fully converged.
    assertClose("curve", curve!, exact, { atol: limit === 32 ? 2e-3 : 1e-5, rtol: 0 });
  }
});

gpuTest("the same gradients twice: the same bits; a zero gradient: no curve", async (gpu) => {
  const shape: Shape = [64, 80];
  const gradients = [withSpectrum(shape, (i) => 1 / i, 3), new Float32Array(64 * 80)];
  const [first, none] = await curvesOf(gpu, shape, 24, gradients);
  assertEquals((await curvesOf(gpu, shape, 24, gradients))[0], first);
  assertEquals(none, undefined);
});

gpuTest("a gradient that is not finite is refused by name", async (gpu) => {
  const gradient = new Float32Array(64 * 80).fill(1);
  gradient[5] = NaN;
  await assertRejects(
    () => curvesOf(gpu, [64, 80], 80, [gradient]),
    UserError,
    "the gradient of w has energy NaN",
  );
});

Deno.test("ranks are rounded up to eights, from 8 to the smaller side", () => {
  const curve = (...energies: number[]) => Float64Array.from(energies);
  const flat = (size: number) => Float64Array.from({ length: size }, (_, i) => (i + 1) / size);
  assertEquals(adviseRank([100, 40], [flat(40)], 0.5), { rank: 24, energy: 0.6 });
  assertEquals(adviseRank([100, 40], [flat(40)], 0), { rank: 8, energy: 0.2 });
  assertEquals(adviseRank([100, 40], [flat(40)], 1), { rank: 40, energy: 1 });
  assertEquals(adviseRank([13, 40], [flat(13)], 0.9), { rank: 13, energy: 1 });
  assertEquals(adviseRank([3, 40], [flat(3)], 0.1), { rank: 3, energy: 1 });
  // Only 16 of 40 directions are examined, which do not reach the share.
  assertEquals(adviseRank([40, 40], [flat(40).subarray(0, 16)], 0.9), { rank: 16, energy: 0.4 });
  // The mean over batches decides, not each batch.
  const [steep, slow] = [curve(...Array(16).fill(1)), flat(16)];
  assertEquals(adviseRank([16, 16], [steep, slow], 0.75), { rank: 8, energy: 0.75 });
  assertEquals(adviseRank([16, 16], [slow], 0.75), { rank: 16, energy: 1 });
  assertEquals(adviseRank([16, 16], [], 0.75), { rank: 8, energy: 1 });
});

Deno.test("an energy curve: eigenvalues of a Gram matrix, the largest first", () => {
  const curve = energyCurve([2, 0, 1, 0, 5, 0, 1, 0, 2], 10); // 5, 3, 1 of 10
  [0.5, 0.8, 0.9].forEach((share, i) => assertAlmostEquals(curve[i], share, 1e-12));
});

Deno.test("the workspace counts a place for each that waits", () => {
  const bytes = (slots: number, limit: number) => {
    const plan = new PlanAllocator();
    createSpectrumWorkspace(plan, { shapes: [[64, 32], [48, 200]], limit, slots });
    return plan.account.byPurpose.workspace;
  };
  assertEquals(bytes(8, 64), 4 * 8 * (48 * 48 + 8)); // all directions of both
  // Of 24 vectors, 30 would be nearly all: both are iterated.
  assertEquals(bytes(16, 16) - bytes(8, 16), 4 * 8 * (24 * 24 + 8));
});
