import { assertEquals, assertThrows } from "@std/assert";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { ShapeError } from "../../src/numbers/shape_error.ts";
import { packCodes } from "../../src/numbers/group.ts";
import { productElements } from "../../src/optim/gradient_route.ts";
import {
  createProjector,
  project,
  projectBack,
  projectorMatmuls,
} from "../../src/optim/projector.ts";
import { groupQuantize, withoutPadding } from "../oracles/quantise/group_quantize.ts";
import { timesTransposed, transposed } from "../oracles/svd.ts";
import { assertClose, download, randomNormal, runPass, upload } from "../support.ts";
import { strategyTest } from "../kernels/support_strategies.ts";
import { basisValues, matmulWorkspace } from "./support.ts";

const OPTIONS = { name: "w", groupSize: 64 };

for (const [m, n, rank] of [[70, 33, 12], [33, 70, 12], [16, 16, 16], [9, 5, 1]]) {
  for (const quantised of [true, false]) {
    const format = quantised ? "int4" : "float32";
    const title = (strategy: string) =>
      `projecting (${m}, ${n}) to ${rank} and back, basis in ${format}, ${strategy}`;
    strategyTest(title, async (gpu) => {
      const projector = createProjector(gpu, { ...OPTIONS, shape: [m, n], rank, quantised });
      const dimensions = Math.min(m, n), right = m >= n;
      assertEquals(projector.side, right ? "right" : "left");
      assertEquals(projector.lowRankShape, right ? [m, rank] : [rank, n]);
      const drawn = randomNormal(rank * dimensions, 1, 0.2);
      if (quantised) {
        const options = { columns: dimensions, groupSize: 64, levels: 15 };
        const { codes, constants } = groupQuantize(drawn, options);
        const bytes = packCodes(projector.basis, withoutPadding(codes, dimensions), constants);
        gpu.write(projector.basis, bytes);
        gpu.write(projector.basis.constants!, constants);
      } else {
        gpu.write(projector.basis, padRows(drawn, dimensions));
      }
      const basis = await basisValues(gpu, projector.basis);
      // Few, or two parts of which the last is shorter.
      const tokens = m === n ? 3 : 85, by = "factors";
      const factors = { project: by, refresh: by, tokens, atOnce: 64 } as const;
      const matmuls = matmulWorkspace(gpu, [
        ...projectorMatmuls(projector),
        ...projectorMatmuls(projector, { route: factors }),
      ]);
      const [y, x] = [randomNormal(m * tokens, 2), randomNormal(n * tokens, 3)];
      const values = timesTransposed(transposed(y, m), transposed(x, n), tokens); // dyᵀ·x
      const whole = upload(gpu, "gradient", [m, n], Float32Array.from(values));
      const elements = productElements(projector, factors);
      const factored = {
        dy: upload(gpu, "dy", [tokens, m], y),
        x: upload(gpu, "x", [tokens, n], x),
        scratch: upload(gpu, "scratch", [elements], new Float32Array(elements).fill(NaN)),
        atOnce: 64,
      };
      const update = upload(gpu, "update", [m, n]);
      const lowRanks = [whole, factored].map((gradient) => {
        const lowRank = upload(gpu, "low_rank", projector.lowRankShape);
        runPass(gpu, (pass) => {
          project(pass, matmuls, projector, { gradient, lowRank });
          project(pass, matmuls, projector, { gradient, lowRank, accumulate: true });
          projectBack(pass, matmuls, projector, { lowRank, update, alpha: 0.25 });
        });
        return lowRank;
      });
      // right: G·Pᵀ and N·P; left: P·G and Pᵀ·N
      const low = right
        ? timesTransposed(values, basis, n)
        : timesTransposed(basis, transposed(values, n), m);
      const back = right
        ? timesTransposed(low, transposed(basis, n), rank)
        : timesTransposed(transposed(basis, m), transposed(low, n), rank);
      // Sums of up to 70 float32 products, of sums of 85.
      const twice = low.map((value) => 2 * value), tolerance = { atol: 1e-4, rtol: 1e-5 };
      for (const lowRank of lowRanks) {
        assertClose("low rank", await download(gpu, lowRank), twice, tolerance);
      }
      const half = back.map((value) => 0.5 * value);
      assertClose("update", await download(gpu, update), half, tolerance);
    });
  }
}

function padRows(values: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const stride = Math.ceil(columns / 8) * 8, rows = values.length / columns;
  return Float32Array.from(
    { length: rows * stride },
    (_, i) => i % stride < columns ? values[Math.floor(i / stride) * columns + (i % stride)] : 0,
  );
}

Deno.test("an int4 basis takes half a byte an element, eight to a word", () => {
  const plan = new PlanAllocator();
  createProjector(plan, {
    ...OPTIONS,
    shape: [1024, 512],
    rank: 128,
    quantised: true,
    groupSize: 256,
  });
  assertEquals(plan.account.byPurpose.projections, (128 * 512) / 2 + 512 * 4);
  assertEquals(plan.account.byPurpose.quantisation_constants, ((128 * 512) / 256) * 4);
});

Deno.test("a rank beyond the smaller side is refused", () => {
  assertThrows(
    () =>
      createProjector(new PlanAllocator(), {
        ...OPTIONS,
        shape: [64, 32],
        rank: 33,
        quantised: true,
      }),
    ShapeError,
    "createProjector: rank of w (64, 32) must be 1 to 32, got 33",
  );
});
