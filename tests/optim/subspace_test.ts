import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { ShapeError } from "../../src/numbers/shape_error.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { isDue, recordSimilarity } from "../../src/optim/lazy_refresh.ts";
import {
  createProjector,
  project,
  projectBack,
  type Projector,
  projectorMatmuls,
} from "../../src/optim/projector.ts";
import type { Gradient } from "../../src/optim/factors.ts";
import { productElements } from "../../src/optim/gradient_route.ts";
import { createSubspaceWorkspace, refreshSubspace } from "../../src/optim/subspace.ts";
import { dot, svd, timesTransposed, transposed } from "../oracles/svd.ts";
import { download, gpuTest, randomNormal, runPass, upload } from "../support.ts";
import { strategyTest } from "../kernels/support_strategies.ts";
import { basisValues, matmulWorkspace, orthonormality, withSpectrum } from "./support.ts";

type Shape = readonly [m: number, n: number];

/** The rows of dy and x, a token each, whose dyᵀ·x is a gradient. */
interface Rows {
  readonly dy: Float32Array;
  readonly x: Float32Array;
  readonly tokens: number;
}

/** A projector with everything that its refreshes need. */
function bench(gpu: Gpu, shape: Shape, rank: number, quantised = false, interval = 2) {
  const options = { name: "w", shape, rank, quantised, groupSize: 256 };
  const projector = createProjector(gpu, options);
  projector.lazy.interval = interval;
  const matmuls = matmulWorkspace(gpu, projectorMatmuls(projector));
  const workspace = createSubspaceWorkspace(gpu, [[...shape, rank]]);
  const out = upload(gpu, "similarities", [1]);
  const gradientOf = (given: Float32Array | Rows): Gradient => {
    if (given instanceof Float32Array) return upload(gpu, "gradient", shape, given);
    const { tokens, dy, x } = given, atOnce = 64, by = "factors";
    const route = { tokens, atOnce, project: by, refresh: by } as const;
    const elements = productElements(projector, route);
    return {
      dy: upload(gpu, "dy", [tokens, shape[0]], dy),
      x: upload(gpu, "x", [tokens, shape[1]], x),
      scratch: upload(gpu, "scratch", [elements], new Float32Array(elements).fill(NaN)),
      atOnce,
    };
  };
  const refresh = async (given: Float32Array | Rows, step: number) => {
    const gradient = gradientOf(given);
    const similarity = { out, index: 0 };
    runPass(gpu, (pass) =>
      refreshSubspace(pass, matmuls, workspace, projector, {
        gradient,
        seed: 1,
        step,
        tensor: 3,
        similarity,
      }));
    return (await download(gpu, out))[0];
  };
  return { projector, matmuls, refresh };
}

/** Σ |P·row of the projected side|²: the share of a gradient's energy in the basis. */
async function energy(gpu: Gpu, projector: Projector, gradient: Float32Array): Promise<number> {
  const basis = await basisValues(gpu, projector.basis), { shape } = projector;
  const lowRank = timesTransposed(vectorsOf(gradient, shape), basis, Math.min(...shape));
  return dot(lowRank, lowRank);
}

/** Spectra, and what a refresh is given: the hardest, which falls slowest, in either form. */
const SPECTRA: [name: string, spectrum: (i: number) => number, by: "gradient" | "factors"][] = [
  ["i^-0.5", (i) => i ** -0.5, "gradient"],
  ["i^-0.5 by factors", (i) => i ** -0.5, "factors"],
  ["i^-1", (i) => 1 / i, "factors"],
  ["exp(-i/20)", (i) => Math.exp(-i / 20), "gradient"],
  ["1e-8 i^-0.5", (i) => 1e-8 * i ** -0.5, "factors"], // squares of which leave float32
];

for (
  const [shape, rank] of [
    [[288, 256], 128], // tall
    [[96, 320], 16], // wide
    [[61, 61], 20], // square, and odd
    [[40, 24], 20], // fewer dimensions than rank and oversampling
    [[24, 24], 24], // all of them
  ] as [Shape, number][]
) {
  gpuTest(`a refresh of (${shape}) holds 99% of the energy of the SVD's ${rank}`, async (gpu) => {
    for (const [name, spectrum, by] of SPECTRA) {
      const { projector, refresh } = bench(gpu, shape, rank);
      const gradient = withSpectrum(shape, spectrum, 7);
      const given = by === "factors" ? factorsOf(gradient, shape) : gradient;
      let best = 0;
      for (let i = 1; i <= rank; i++) best += spectrum(i) ** 2;
      assertEquals(await refresh(given, 0), -1);
      for (const start of ["cold", "warm"]) {
        const share = await energy(gpu, projector, gradient) / best;
        assert(share > (start === "cold" ? 0.99 : 0.995), `${name}, ${start}: ${share}`);
        assert(share < 1 + 1e-4, `${name}: ${share}`); // no basis holds more energy than the SVD's
        const basis = await basisValues(gpu, projector.basis);
        const { error, zeros } = orthonormality(basis, Math.min(...shape));
        assert(error < 3e-6 && zeros === 0, `${name}: ${error}, ${zeros}`); // float32 sums
        if (start === "cold") {
          const similarity = await refresh(given, 1);
          assert(Math.abs(similarity - 1) < 1e-4, `${name}: ${similarity}`);
        }
      }
    }
  });
}

/** A gradient as dyᵀ·x of as many tokens as it has rows: dy a reflection, which is its own inverse. */
function factorsOf(gradient: Float32Array, [m, n]: Shape): Rows {
  const vector = randomNormal(m, 9), length = dot(vector, vector);
  const dy = Float32Array.from(
    { length: m * m },
    (_, i) =>
      Number(i % m === Math.floor(i / m)) - 2 * vector[i % m] * vector[Math.floor(i / m)] / length,
  );
  const x = Float32Array.from(timesTransposed(dy, transposed(gradient, n), m));
  return { dy, x, tokens: m };
}

gpuTest("a refresh by factors finds the directions of fewer tokens than its rank", async (gpu) => {
  for (const shape of [[53, 40], [40, 53]] as Shape[]) {
    const [m, n] = shape, tokens = 13;
    const { projector, refresh } = bench(gpu, shape, 20);
    const rows = { dy: randomNormal(tokens * m, 1), x: randomNormal(tokens * n, 2), tokens };
    const product = timesTransposed(transposed(rows.dy, m), transposed(rows.x, n), tokens);
    const gradient = Float32Array.from(product);
    for (let step = 0; step < 3; step++) {
      assert(Math.abs(await refresh(rows, step)) > 0.999);
      const share = await energy(gpu, projector, gradient) / dot(gradient, gradient);
      assert(Math.abs(share - 1) < 1e-5, `${shape}: ${share}`);
      const { error } = orthonormality(await basisValues(gpu, projector.basis), Math.min(...shape));
      assert(error < 3e-6, `${shape}: ${error}`);
    }
  }
});

gpuTest("rows of a basis are the singular vectors, in their order", async (gpu) => {
  const shape: Shape = [80, 48], gradient = withSpectrum(shape, (i) => 0.7 ** i, 3);
  const { projector, refresh } = bench(gpu, shape, 8);
  await refresh(gradient, 0);
  const basis = await basisValues(gpu, projector.basis), exact = svd(gradient, ...shape);
  for (let i = 0; i < 8; i++) {
    const row = (of: ArrayLike<number>) => Array.from({ length: 48 }, (_, c) => of[i * 48 + c]);
    // A spectrum with ratio 0.7 converges by 0.7² per round, over about ten rounds.
    const cosine = Math.abs(dot(row(basis), row(exact.vectors)));
    assert(cosine > 0.999, `row ${i}: ${cosine}`);
  }
  const leading = await download(gpu, projector.leading);
  assert(Math.abs(dot(leading, exact.vectors.slice(0, 48))) > 1 - 1e-5);
});

gpuTest("no row is lost where singular values fall to a ten-thousandth", async (gpu) => {
  const shape: Shape = [300, 220], rank = 140; // as a real gradient's: blocks, and a steep start
  const gradient = withSpectrum(shape, (i) => Math.max(1e-4, 10 ** (-i / 20)) / i ** 0.1, 5);
  const exact = svd(gradient, ...shape).vectors, { projector, refresh } = bench(gpu, shape, rank);
  for (let step = 0; step < 3; step++) {
    await refresh(gradient, step);
    const basis = await basisValues(gpu, projector.basis);
    const { error, zeros } = orthonormality(basis, 220);
    assert(error < 3e-6 && zeros === 0, `step ${step}: ${error}, ${zeros} zero rows`);
    // The first 60 fall by a tenth each, below what follows: the iteration tells all of them apart.
    const leading = exact.slice(0, 60 * 220), along = timesTransposed(leading, basis, 220);
    const held = Math.sqrt(dot(along, along) / 60);
    assert(held > 0.999, `step ${step}: ${held}`);
  }
});

gpuTest("the leading vector is distinguished from one of 97% of its size", async (gpu) => {
  const shape: Shape = [80, 48];
  const gradient = withSpectrum(shape, (i) => i === 1 ? 1 : i === 2 ? 0.97 : 0.5 / i, 3);
  const { projector, refresh } = bench(gpu, shape, 8);
  await refresh(gradient, 0);
  const leading = await download(gpu, projector.leading);
  const cosine = Math.abs(dot(leading, svd(gradient, ...shape).vectors.slice(0, 48)));
  assert(cosine > 1 - 1e-5, `${cosine}`);
});

gpuTest("gradients of low rank, or zero, give no NaN", async (gpu) => {
  for (const shape of [[96, 64], [40, 96]] as Shape[]) {
    const { projector, refresh } = bench(gpu, shape, 32, true);
    const low = withSpectrum(shape, (i) => i <= 5 ? 1 / i : 0, 7);
    const total = dot(low, low);
    for (let step = 0; step < 3; step++) {
      const similarity = await refresh(low, step);
      assert(similarity === -1 || similarity > 0.999);
      const share = await energy(gpu, projector, low) / total;
      assert(share > 0.97 && share < 1.06, `${share}`); // int4: some per cent a row
    }
    assertEquals(await refresh(new Float32Array(low.length), 3), -1);
    const basis = await basisValues(gpu, projector.basis);
    assertEquals(dot(basis, basis), 0);
    // The next gradient recovers, although the warm start has no directions.
    assertEquals(await refresh(low, 4), -1);
    const share = await energy(gpu, projector, low) / total;
    assert(share > 0.97 && share < 1.06, `${share}`);
  }
});

gpuTest("a refresh gives the same bits for the same key, others for another step", async (gpu) => {
  const shape: Shape = [48, 40], gradient = withSpectrum(shape, (i) => i ** -0.5, 2);
  const basisAt = async (step: number) => {
    const { projector, refresh } = bench(gpu, shape, 8);
    await refresh(gradient, step);
    return basisValues(gpu, projector.basis);
  };
  const [first, again, other] = [await basisAt(0), await basisAt(0), await basisAt(1)];
  assertEquals(first, again);
  assert(first.some((value, i) => value !== other[i]));
});

/** The log of a run of the Q-GaLore reference, and its gradients and updates at even steps. */
async function openReference(name: string) {
  const path = fromFileUrl(import.meta.resolve(`../fixtures/quant/projector-${name}`));
  const log: {
    rank: number;
    update_proj_gap: number;
    scale: number;
    log: { svd_count: number; update_proj_gap: number; queue: number[] }[];
  } = JSON.parse(await Deno.readTextFile(`${path}.json`));
  return { ...log, tensors: await Safetensors.open(`${path}.safetensors`) };
}

for (const name of ["wide-stable", "tall-stable", "wide-drifting"]) {
  strategyTest(
    (on) => `40 steps of ${name} refresh, and project, as the reference, ${on}`,
    async (gpu) => {
      const reference = await openReference(name);
      using tensors = reference.tensors;
      const shape = tensors.info("grad.0").shape as [number, number];
      const { rank, update_proj_gap: interval, scale: alpha } = reference;
      const dimensions = Math.min(...shape);
      const { projector, matmuls, refresh } = bench(gpu, shape, rank, true, interval);
      const exact = bench(gpu, shape, rank, false, interval);
      const lowRank = upload(gpu, "low_rank", projector.lowRankShape);
      const update = upload(gpu, "update", shape);
      const rule = { queueSize: 5, cosThreshold: 0.4, gammaProj: 2 };
      for (const [step, expected] of reference.log.entries()) {
        const due = isDue(projector.lazy, step);
        if (due) {
          const gradient = await tensors.readFloat32(`grad.${step}`);
          const similarity = await refresh(gradient, step);
          await exact.refresh(gradient, step);
          recordSimilarity(projector.lazy, similarity, rule);
          // The cosine from the reference's SVD, without its sign.
          const wanted = Math.abs(expected.queue.at(-1) ?? -1);
          if (step > 0) assert(Math.abs(similarity - wanted) < 1e-3, `step ${step}: ${similarity}`);
        }
        assertEquals(projector.lazy.refreshes, expected.svd_count, `step ${step}`);
        assertEquals(projector.lazy.interval, expected.update_proj_gap, `step ${step}`);
        if (step % 2 === 1) continue;

        const gradient = upload(gpu, "gradient", shape, await tensors.readFloat32(`grad.${step}`));
        runPass(gpu, (pass) => {
          project(pass, matmuls, projector, { gradient, lowRank });
          projectBack(pass, matmuls, projector, { lowRank, update, alpha });
        });
        const back = await tensors.readFloat32(`back.${step}`);
        const actual = await download(gpu, update);
        const difference = actual.map((value, i) => value - back[i]);
        // Both bases are rounded to int4 differently, by about 10% of a vector each.
        const apart = Math.sqrt(dot(difference, difference) / dot(back, back));
        assert(apart < 0.2, `step ${step}: ${apart}`);
        if (!due) continue;
        // The reference's own basis is not in the fixture, but its updates span it. It is rounded to
        // int4, so ours must be as close to it as the exact singular vectors are.
        const values = await tensors.readFloat32(`grad.${step}`), rows = vectorsOf(values, shape);
        const singular = svd(rows, rows.length / dimensions, dimensions).vectors;
        const best = cosines(singular.slice(0, rank * dimensions), back, shape, rank);
        const angles = cosines(await basisValues(gpu, exact.projector.basis), back, shape, rank);
        angles.forEach((angle, i) => assert(angle >= best[i] - 1e-3, `step ${step}: ${angles}`));
        if (name !== "wide-drifting") assert(angles[rank - 1] >= 0.99, `step ${step}: ${angles}`);
      }
    },
  );
}

/** A matrix as vectors of its smaller side. */
function vectorsOf(matrix: ArrayLike<number>, [m, n]: Shape): ArrayLike<number> {
  return m >= n ? matrix : transposed(matrix, n);
}

/** Cosines of the angles between a basis (R, D) and the span of an update of that rank. */
function cosines(basis: ArrayLike<number>, update: Float32Array, shape: Shape, rank: number) {
  const dimensions = Math.min(...shape), rows = vectorsOf(update, shape);
  const span = svd(rows, rows.length / dimensions, dimensions).vectors.slice(0, rank * dimensions);
  return svd(timesTransposed(span, basis, dimensions), rank, rank).values;
}

gpuTest("a refresh refuses the gradient of another matrix", (gpu) => {
  const { projector } = bench(gpu, [16, 24], 4);
  const gradient = upload(gpu, "gradient", [24, 16]);
  assertThrows(
    () =>
      runPass(gpu, (pass) =>
        refreshSubspace(
          pass,
          matmulWorkspace(gpu, []),
          createSubspaceWorkspace(gpu, [[16, 24, 4]]),
          projector,
          { gradient, seed: 0, step: 0, tensor: 0, similarity: { out: gradient, index: 0 } },
        )),
    ShapeError,
    "refreshSubspace: gradient must be (16, 24), got (24, 16)",
  );
});

Deno.test("the workspace is sized for the largest of its matrices, and counted", () => {
  const plan = new PlanAllocator();
  createSubspaceWorkspace(plan, [[64, 32, 8], [48, 200, 16]]);
  const [k, dimensions, other] = [24, 48, 200];
  const elements = 2 * k * dimensions + k * other + 3 * k * k + k + dimensions +
    k * dimensions + k * k; // blocks of up to 128 rows
  assertEquals(plan.account.byPurpose.workspace, 4 * elements);
});
