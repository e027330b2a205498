import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { leadingSimilarity } from "../../../src/kernels/optim/leading_similarity.ts";
import { leadingSimilarity as oracle } from "../../oracles/optim/leading_similarity.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

for (const size of [3, 257, 5461]) {
  gpuTest(`leading_similarity of ${size} elements agrees with the oracle`, async (gpu) => {
    const before = randomNormal(size, 1), values = randomNormal(size, 2);
    for (const mixture of [0, 1, -3]) {
      const mixed = values.map((value, i) => value + mixture * before[i]);
      const vector = upload(gpu, "vector", [1, size], mixed);
      const leading = upload(gpu, "leading", [size], before);
      const out = upload(gpu, "out", [5], [9, 9, 9, 9, 9]);
      runPass(gpu, (pass) => leadingSimilarity(pass, { vector, leading, out, index: 3 }));
      const expected = oracle(mixed, before);
      // Sums of some thousand products; the cosine of nearly orthogonal vectors cancels.
      const tolerance = { atol: 3e-6, rtol: 3e-6 };
      const similarities = [9, 9, 9, expected.similarity, 9];
      assertClose("out", await download(gpu, out), similarities, tolerance);
      assertClose("leading", await download(gpu, leading), expected.leading, tolerance);
    }
  });
}

gpuTest("leading_similarity is −1 for a zero vector", async (gpu) => {
  const values = randomNormal(16, 1), zero = new Float32Array(16);
  for (const [now, before] of [[values, zero], [zero, values], [zero, zero]]) {
    const vector = upload(gpu, "vector", [1, 16], now),
      leading = upload(gpu, "leading", [16], before);
    const out = upload(gpu, "out", [1]);
    runPass(gpu, (pass) => leadingSimilarity(pass, { vector, leading, out, index: 0 }));
    assertEquals([...await download(gpu, out)], [-1]);
    const expected = oracle(now, before).leading;
    assertClose("leading", await download(gpu, leading), expected, { atol: 1e-7, rtol: 1e-6 });
  }
});

gpuTest("leading_similarity refuses what does not match", (gpu) => {
  const vector = upload(gpu, "vector", [1, 8]), leading = upload(gpu, "leading", [16]);
  const out = upload(gpu, "out", [2]), pass = new KernelPass(gpu);
  assertThrows(
    () => leadingSimilarity(pass, { vector, leading, out, index: 0 }),
    ShapeError,
    "leadingSimilarity: vector must be (1, 16), got (1, 8)",
  );
  assertThrows(
    () => leadingSimilarity(pass, { vector, leading: upload(gpu, "l", [8]), out, index: 2 }),
    ShapeError,
    "leadingSimilarity: index must be below 2, the size of out, got 2",
  );
});

testAlternatives(import.meta.url);
