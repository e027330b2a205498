/** Shared by the tests of projectors and subspaces. */
import type { Allocator } from "../../src/gpu/allocator.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { createMatmulWorkspace, type MatmulShape } from "../../src/kernels/matmul/matmul.ts";
import { dequantize } from "../../src/numbers/group.ts";
import { dot } from "../oracles/svd.ts";
import { download, randomNormal } from "../support.ts";
import { strategyFor } from "../../src/kernels/strategy.ts";

export function matmulWorkspace(
  gpu: Gpu,
  shapes: readonly MatmulShape[],
  allocator: Allocator = gpu,
) {
  return createMatmulWorkspace(allocator, {
    variant: strategyFor(gpu.capabilities).matmul,
    limits: gpu.limits,
    shapes,
  });
}

/** The values of a basis in either format. */
export async function basisValues(gpu: Gpu, basis: Tensor): Promise<Float32Array> {
  if (!basis.constants) return download(gpu, basis);
  const constants = new Uint32Array((await gpu.read(basis.constants)).buffer);
  return dequantize(basis, await gpu.read(basis), constants);
}

/** An (m, n) matrix with these singular values between random rotations. */
export function withSpectrum(
  [m, n]: readonly [number, number],
  spectrum: (i: number) => number,
  seed: number,
): Float32Array<ArrayBuffer> {
  const matrix = new Float64Array(m * n);
  for (let i = 0; i < Math.min(m, n); i++) matrix[i * n + i] = spectrum(i + 1);
  // Householder reflections from both sides: orthogonal, without preferred axes.
  for (let turn = 0; turn < 3; turn++) {
    const left = unit(randomNormal(m, seed + 10 * turn));
    const right = unit(randomNormal(n, seed + 10 * turn + 5));
    for (let c = 0; c < n; c++) {
      let along = 0;
      for (let r = 0; r < m; r++) along += left[r] * matrix[r * n + c];
      for (let r = 0; r < m; r++) matrix[r * n + c] -= 2 * along * left[r];
    }
    for (let r = 0; r < m; r++) {
      const row = matrix.subarray(r * n, (r + 1) * n), along = dot(row, right);
      for (let c = 0; c < n; c++) row[c] -= 2 * along * right[c];
    }
  }
  return Float32Array.from(matrix);
}

function unit(vector: Float32Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector));
  return Float64Array.from(vector, (value) => value / length);
}

/** Largest |P·Pᵀ − 1| over nonzero rows, and the number of zero rows. */
export function orthonormality(basis: ArrayLike<number>, columns: number) {
  const rows = Array.from(
    { length: basis.length / columns },
    (_, i) => Float64Array.from({ length: columns }, (_, c) => basis[i * columns + c]),
  );
  const held = rows.filter((row) => dot(row, row) > 0);
  let error = 0;
  held.forEach((row, i) => {
    for (let j = 0; j <= i; j++) {
      error = Math.max(error, Math.abs(dot(row, held[j]) - (i === j ? 1 : 0)));
    }
  });
  return { error, zeros: rows.length - held.length };
}
