/** The operations of an optimizer step, at the size of a gate projection. */
import { adam } from "../../src/kernels/optim/adam.ts";
import { adam8bit, adamBlocks } from "../../src/kernels/optim/adam_blockwise.ts";
import { applyUpdate } from "../../src/kernels/optim/apply_update.ts";
import { groupDequantize } from "../../src/kernels/quantise/group_dequantize.ts";
import { groupQuantize } from "../../src/kernels/quantise/group_quantize.ts";
import { randomNormal } from "../../src/kernels/misc/random_normal.ts";
import { CHOLESKY_ROWS, inverseCholesky } from "../../src/kernels/optim/inverse_cholesky.ts";
import { createMatmulWorkspace } from "../../src/kernels/matmul/matmul.ts";
import { scaleRows } from "../../src/kernels/optim/scale_rows.ts";
import { strategyFor } from "../../src/kernels/strategy.ts";
import { sum } from "../../src/kernels/misc/sum.ts";
import { createProjector, projectorMatmuls } from "../../src/optim/projector.ts";
import { createSubspaceWorkspace, refreshSubspace } from "../../src/optim/subspace.ts";
import { WARM_PRODUCTS } from "../../src/optim/subspace_shape.ts";
import { type BenchCase, bytesIn, type Sizes } from "../case.ts";

/** Moments that stay what they are: a thousand repetitions would be timed on others than the first. */
const RATES = { step: 10, lr: 1e-3, beta1: 1 - 1e-7, beta2: 1 - 1e-7, eps: 1e-8 };

export function optimCases({ C, F, R }: Sizes): BenchCase[] {
  const shape = `(${F}, ${C})`;
  return [
    ...(["int8", "int4"] as const).flatMap((dtype): BenchCase[] => [
      {
        name: `group_quantize ${dtype}`,
        shape,
        prepare(bench) {
          const source = bench.tensor("source", [F, C]);
          const target = bench.tensor("target", [F, C], dtype);
          return {
            record: (pass) => groupQuantize(pass, { source, target }),
            bytes: bytesIn(source, target),
          };
        },
      },
      {
        name: `group_dequantize ${dtype}`,
        shape,
        prepare(bench) {
          const source = bench.tensor("source", [F, C], dtype);
          const target = bench.tensor("target", [F, C]);
          return {
            record: (pass) => groupDequantize(pass, { source, target }),
            bytes: bytesIn(source, target),
          };
        },
      },
    ]),
    ...(["int8", "bfloat16"] as const).map((dtype): BenchCase => ({
      name: `apply_update ${dtype} stochastic`,
      shape,
      prepare(bench) {
        const weight = bench.tensor("weight", [F, C], dtype);
        const update = bench.tensor("update", [F, C]);
        const rounding = { seed: 1, step: 2, tensor: 3 };
        return {
          record: (pass) => applyUpdate(pass, { weight, update, decay: 0.999, rounding }),
          bytes: bytesIn(weight, weight, update),
        };
      },
    })),
    {
      name: "adam",
      shape: `(${F}, ${R})`,
      prepare(bench) {
        const [gradient, m] = ["g", "m"].map((name) => bench.tensor(name, [F, R]));
        const v = bench.magnitudes("v", [F, R]);
        return {
          record: (pass) => adam(pass, { gradient, m, v, ...RATES }),
          bytes: 2 * bytesIn(gradient, m, v),
        };
      },
    },
    {
      name: "adam_8bit",
      shape: `(${F}, ${R})`,
      prepare(bench) {
        const gradient = bench.tensor("g", [F, R]);
        const m = bench.tensor("m", [F, R], "uint8"), v = bench.tensor("v", [F, R], "uint8");
        const blocks = [adamBlocks(gradient)];
        const absmaxM = bench.magnitudes("absmax m", blocks);
        const absmaxV = bench.magnitudes("absmax v", blocks);
        return {
          record: (pass) => adam8bit(pass, { gradient, m, v, absmaxM, absmaxV, ...RATES }),
          bytes: 2 * bytesIn(gradient, m, v, absmaxM, absmaxV),
        };
      },
    },
    {
      name: "refresh of a subspace",
      shape: `(${F}, ${C}) to ${R}`,
      prepare(bench) {
        const { gpu, allocator } = bench;
        const projection = { name: "w", shape: [F, C] as const, rank: R, quantised: false };
        const projector = createProjector(allocator, { ...projection, groupSize: 256 });
        const matmuls = createMatmulWorkspace(allocator, {
          variant: strategyFor(gpu.capabilities).matmul,
          limits: gpu.limits,
          shapes: projectorMatmuls(projector),
        });
        const workspace = createSubspaceWorkspace(allocator, [[F, C, R]]);
        const gradient = bench.tensor("gradient", [F, C]), out = bench.tensor("out", [8]);
        const key = { seed: 1, step: 2, tensor: 3 }, similarity = { out, index: 0 };
        const io = { gradient, ...key, similarity };
        projector.lazy.refreshes = 1;
        return {
          record: (pass) => refreshSubspace(pass, matmuls, workspace, projector, io),
          // The products with the gradient alone.
          flops: WARM_PRODUCTS * 2 * F * C * R,
        };
      },
    },
    {
      name: "inverse_cholesky",
      shape: `(${CHOLESKY_ROWS}, ${CHOLESKY_ROWS})`,
      prepare(bench) {
        const gram = bench.tensor("gram", [CHOLESKY_ROWS, CHOLESKY_ROWS]);
        return {
          record: (pass) => inverseCholesky(pass, { gram, shift: 1e-5, least: 0 }),
          flops: 2 * CHOLESKY_ROWS ** 3 / 3, // as much for the factor as for its inverse
        };
      },
    },
    {
      name: "scale_rows",
      shape: `(${R}, ${F})`,
      prepare(bench) {
        const matrix = bench.tensor("matrix", [R, F]);
        return { record: (pass) => scaleRows(pass, { matrix }), bytes: 2 * bytesIn(matrix) };
      },
    },
    {
      name: "sum",
      shape: `(${F}, ${C})`,
      prepare(bench) {
        const x = bench.tensor("x", [F, C]), out = bench.tensor("out", [8]);
        return { record: (pass) => sum(pass, { x, out, index: 0 }), bytes: bytesIn(x) };
      },
    },
    {
      name: "random_normal",
      shape,
      prepare(bench) {
        const target = bench.tensor("target", [F, C]);
        return {
          record: (pass) => randomNormal(pass, { target, std: 1, seed: 1, tensor: 2 }),
          bytes: bytesIn(target),
        };
      },
    },
  ];
}
