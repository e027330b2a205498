import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { crossEntropy } from "../../../src/kernels/misc/cross_entropy.ts";
import { crossEntropyRows } from "../../../src/kernels/misc/cross_entropy_rows.ts";
import { centralDifferences } from "../../oracles/central_differences.ts";
import { crossEntropy as whole } from "../../oracles/misc/cross_entropy.ts";
import { crossEntropyRows as oracle } from "../../oracles/misc/cross_entropy_rows.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

/** Columns [start, end) of a matrix. */
function columns(matrix: ArrayLike<number>, all: number, start: number, end: number) {
  const kept = Array.from(matrix).filter((_, i) => i % all >= start && i % all < end);
  return Float32Array.from(kept);
}

Deno.test("the oracle of cross_entropy_rows agrees with central differences", () => {
  const logits = Float64Array.from(randomNormal(15, 1)), labels = [4, -100, 0];
  const weights = [0.25, 3, -2], gradScale = 0.5;
  const total = (moved: Float64Array) =>
    0.5 * whole(moved, labels, 1, weights).losses.reduce((a, b) => a + b);
  const { logsumexp } = whole(logits, labels, gradScale, weights);
  const bySteps = centralDifferences(logits, total);
  for (const [first, end] of [[0, 2], [2, 5]]) {
    const part = (matrix: Float64Array) => matrix.filter((_, i) => i % 5 >= first && i % 5 < end);
    const dlogits = oracle(part(logits), { first, labels, logsumexp, gradScale, weights });
    assertClose("dlogits", dlogits, part(bySteps), { atol: 1e-8, rtol: 1e-7 });
  }
});

for (const [rows, vocabulary, split] of [[1, 9, 8], [70, 257, 64], [5, 5461, 2048]]) {
  for (const weighted of [false, true]) {
    const name = `cross_entropy_rows n ${rows} V ${vocabulary}${weighted ? ", weighted" : ""}`;
    gpuTest(`${name}: the oracle, and the bits of the whole`, async (gpu) => {
      const values = randomNormal(rows * vocabulary, 1, 4), gradScale = 1 / 37;
      const ids = Int32Array.from(
        { length: rows },
        (_, n) => n % 3 === 1 ? -100 : (n * 7919) % vocabulary,
      );
      const own = Float32Array.from({ length: rows }, (_, n) => weighted ? n % 5 - 1 : 1);
      const labels = upload(gpu, "labels", [rows], ids, "uint32");
      const [losses, logsumexp] = ["losses", "logsumexp"].map((name) => upload(gpu, name, [rows]));
      const weights = weighted ? upload(gpu, "weights", [rows], own) : undefined;
      const logits = upload(gpu, "logits", [rows, vocabulary], values);
      const io = { labels, logsumexp, weights, gradScale };
      runPass(gpu, (pass) => crossEntropy(pass, { ...io, logits, losses, gradients: true }));
      const all = await download(gpu, logits), sums = await download(gpu, logsumexp);
      for (const [first, end] of [[0, split], [split, vocabulary]]) {
        const part = columns(values, vocabulary, first, end);
        const block = upload(gpu, "block", [rows, end - first], part);
        runPass(gpu, (pass) => crossEntropyRows(pass, { ...io, logits: block, first }));
        const actual = await download(gpu, block);
        assertEquals(actual, columns(all, vocabulary, first, end));
        const expected = oracle(part, {
          first,
          labels: ids,
          logsumexp: sums,
          gradScale,
          weights: own,
        });
        // exp(logit − logsumexp) takes over the rounding of a difference of about 10.
        assertClose("dlogits", actual, expected, { atol: 4e-6 * gradScale, rtol: 5e-6 });
        const stored = new Float32Array((await gpu.read(block)).slice().buffer);
        const padding = stored.filter((_, i) => i % block.stride >= end - first);
        assertEquals(padding, new Float32Array(padding.length));
      }
    });
  }
}

gpuTest("cross_entropy_rows refuses a logsumexp of another count", (gpu) => {
  const logits = upload(gpu, "logits", [4, 16]), logsumexp = upload(gpu, "logsumexp", [3]);
  const labels = upload(gpu, "labels", [4], undefined, "uint32");
  assertThrows(
    () =>
      crossEntropyRows(new KernelPass(gpu), { logits, first: 0, labels, logsumexp, gradScale: 1 }),
    ShapeError,
    "crossEntropyRows: logsumexp must be (4), got (3)",
  );
});

testAlternatives(import.meta.url);
