import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { packTensor } from "../../../src/numbers/plain.ts";
import { crossEntropy } from "../../../src/kernels/misc/cross_entropy.ts";
import { centralDifferences } from "../../oracles/central_differences.ts";
import { crossEntropy as oracle } from "../../oracles/misc/cross_entropy.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

Deno.test("the oracle of cross_entropy agrees with central differences", () => {
  const logits = Float64Array.from(randomNormal(15, 1)), labels = [4, -100, 0];
  const weights = [0.25, 3, -2];
  const total = (moved: Float64Array) =>
    0.5 * oracle(moved, labels, 1, weights).losses.reduce((a, b) => a + b);
  const { dlogits } = oracle(logits, labels, 0.5, weights);
  const bySteps = centralDifferences(logits, total);
  assertClose("dlogits", dlogits, bySteps, { atol: 1e-8, rtol: 1e-7 });
});

function labelsFor(rows: number, columns: number): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: rows }, (_, n) => n % 3 === 1 ? -100 : (n * 7919) % columns);
}

for (const [rows, columns] of [[1, 8], [3, 257], [70, 33], [65, 1], [5, 5461]]) {
  gpuTest(`cross_entropy n ${rows} V ${columns} agrees with the oracle`, async (gpu) => {
    const values = randomNormal(rows * columns, 1, 4);
    const ids = labelsFor(rows, columns);
    const gradScale = 1 / 37;
    const expected = oracle(values, ids, gradScale);
    const logits = upload(gpu, "logits", [rows, columns], values);
    const labels = upload(gpu, "labels", [rows], ids, "uint32");
    const losses = upload(gpu, "losses", [rows], new Float32Array(rows).fill(9));
    const logsumexp = upload(gpu, "logsumexp", [rows]);
    const io = { logits, labels, losses, logsumexp, gradScale };
    // Float32 sums of up to 5,461 exponentials; a loss near zero is a difference of larger numbers.
    const tolerance = { atol: 2e-6, rtol: 2e-6 };
    for (const strategy of sharings(gpu, LOOPS)) {
      runPass(gpu, (pass) => crossEntropy(pass, { ...io, gradients: false }));
      const name = `losses of ${strategy}`;
      assertClose(name, await download(gpu, losses), expected.losses, tolerance);
      const counted = (await download(gpu, logsumexp)).map((it, n) => ids[n] < 0 ? 0 : it);
      assertClose("logsumexp", counted, expected.logsumexp, tolerance);
    }
    assertEquals(await download(gpu, logits), values, "logits stay without gradients");

    // exp(logit − logsumexp) takes over the absolute error of a logsumexp of about 10.
    const close = { atol: 1e-6 * gradScale, rtol: 5e-6 };
    for (const strategy of sharings(gpu, LOOPS)) {
      gpu.write(logits, packTensor(logits, values));
      runPass(gpu, (pass) => crossEntropy(pass, { ...io, gradients: true }));
      assertClose("losses", await download(gpu, losses), expected.losses, tolerance);
      const name = `dlogits of ${strategy}`;
      assertClose(name, await download(gpu, logits), expected.dlogits, close);
    }
    const stored = new Float32Array((await gpu.read(logits)).slice().buffer);
    for (let i = 0; i < stored.length; i++) {
      if (i % logits.stride >= columns && stored[i] !== 0) throw new Error("padding is not zero");
    }
  });
}

gpuTest("cross_entropy weighs rows, in one dispatch and in ranges", async (gpu) => {
  for (const [rows, columns] of [[70, 33], [130, 65_536]]) {
    const values = new Float32Array(rows * columns);
    for (let n = 0; n < rows; n++) values[n * columns + n % columns] = n / 10;
    const ids = labelsFor(rows, columns), gradScale = 1 / 37;
    const own = Float32Array.from({ length: rows }, (_, n) => n % 5 - 1); // zero and negative too
    const expected = oracle(values, ids, gradScale, own);
    const logits = upload(gpu, "logits", [rows, columns], values);
    const labels = upload(gpu, "labels", [rows], ids, "uint32");
    const losses = upload(gpu, "losses", [rows]), weights = upload(gpu, "weights", [rows], own);
    const logsumexp = upload(gpu, "logsumexp", [rows]);
    const io = { logits, labels, losses, logsumexp, weights, gradScale, gradients: true };
    runPass(gpu, (pass) => crossEntropy(pass, io));
    // As without weights, of up to 3.
    const close = { atol: 3e-5, rtol: 1e-5 };
    assertClose("losses", await download(gpu, losses), expected.losses, close);
    const { atol, rtol } = { atol: 3e-6 * gradScale, rtol: 1e-5 };
    assertClose("dlogits", await download(gpu, logits), expected.dlogits, { atol, rtol });
    gpu.release(logits);
  }
});

gpuTest("cross_entropy refuses weights of another count", (gpu) => {
  const logits = upload(gpu, "logits", [4, 16]), losses = upload(gpu, "losses", [4]);
  const labels = upload(gpu, "labels", [4], undefined, "uint32");
  const weights = upload(gpu, "weights", [3]), logsumexp = upload(gpu, "logsumexp", [4]);
  const io = { logits, labels, losses, logsumexp, weights, gradScale: 1, gradients: true };
  assertThrows(
    () => crossEntropy(new KernelPass(gpu), io),
    ShapeError,
    "crossEntropy: weights must be (4), got (3)",
  );
});

// Qwen2 and LLaMA 3: a thread alone would make more rounds of loops than software adapters let it.
for (const columns of [151_936, 128_256]) {
  gpuTest(`cross_entropy takes a vocabulary of ${columns}`, async (gpu) => {
    const values = randomNormal(2 * columns, 1, 4), ids = [columns - 1, 7];
    const logits = upload(gpu, "logits", [2, columns], values);
    const labels = upload(gpu, "labels", [2], ids, "uint32"), losses = upload(gpu, "losses", [2]);
    const logsumexp = upload(gpu, "logsumexp", [2]);
    const io = { logits, labels, losses, logsumexp, gradScale: 1, gradients: true };
    runPass(gpu, (pass) => crossEntropy(pass, io));
    const expected = oracle(values, ids, 1);
    // Sums of 64 times some thousand exponentials; gradients take over a logsumexp's error.
    assertClose("losses", await download(gpu, losses), expected.losses, { atol: 4e-6, rtol: 2e-6 });
    const close = { atol: 1e-6, rtol: 1e-5 };
    assertClose("dlogits", await download(gpu, logits), expected.dlogits, close);
    gpu.release(logits);
  });
}

gpuTest("cross_entropy survives extreme logits", async (gpu) => {
  const values = [1e30, -1e30, 0, 3e4, 88, 89, -3e38, 0, -1e4, -1e4 - 1];
  const ids = [0, 0, 1, 0, 1];
  const logits = upload(gpu, "logits", [5, 2], values);
  const labels = upload(gpu, "labels", [5], ids, "uint32"), losses = upload(gpu, "losses", [5]);
  const logsumexp = upload(gpu, "logsumexp", labels.shape);
  const io = { logits, labels, losses, logsumexp, gradScale: 1, gradients: true };
  runPass(gpu, (pass) => crossEntropy(pass, io));
  const expected = oracle(values, ids, 1);
  const rtol = 2e-6;
  // Row 4: −10,000 has float32 steps of 1e-3, which its logsumexp rounds to.
  assertClose("losses", await download(gpu, losses), expected.losses, { atol: 1e-3, rtol });
  assertClose("dlogits", await download(gpu, logits), expected.dlogits, { atol: 1e-3, rtol });
});

gpuTest("cross_entropy makes a label beyond the vocabulary a NaN loss", async (gpu) => {
  const logits = upload(gpu, "logits", [2, 10], randomNormal(20, 1));
  const labels = upload(gpu, "labels", [2], [10, 9], "uint32"), losses = upload(gpu, "losses", [2]);
  const logsumexp = upload(gpu, "logsumexp", labels.shape);
  const io = { logits, labels, losses, logsumexp, gradScale: 1, gradients: true };
  runPass(gpu, (pass) => crossEntropy(pass, io));
  const [beyond, last] = await download(gpu, losses);
  assertEquals([Number.isNaN(beyond), Number.isFinite(last)], [true, true]);
});

gpuTest("cross_entropy walks logits that exceed one dispatch", async (gpu) => {
  const columns = 65_536, rows = 130; // ranges of 128 rows
  const values = new Float32Array(rows * columns);
  for (let n = 0; n < rows; n++) values[n * columns + n] = n / 10;
  const logits = upload(gpu, "logits", [rows, columns], values);
  const ids = Int32Array.from({ length: rows }, (_, n) => n);
  const labels = upload(gpu, "labels", [rows], ids, "uint32");
  const losses = upload(gpu, "losses", [rows]);
  const logsumexp = upload(gpu, "logsumexp", labels.shape);
  const io = { logits, labels, losses, logsumexp, gradScale: 1, gradients: true };
  runPass(gpu, (pass) => crossEntropy(pass, io));
  const expected = Float64Array.from(
    ids,
    (n) => Math.log(columns - 1 + Math.exp(n / 10)) - n / 10,
  );
  assertClose("losses", await download(gpu, losses), expected, { atol: 1e-5, rtol: 1e-5 });
  const last = new Float32Array((await gpu.read(logits, 129 * columns * 4, 4 * 256)).buffer);
  const probability = Math.exp(12.9) / (columns - 1 + Math.exp(12.9));
  assertClose("dlogits", [last[129]], [probability - 1], { atol: 1e-5, rtol: 1e-5 });
  gpu.release(logits);
});

gpuTest("cross_entropy refuses labels of another count and bfloat16 logits", (gpu) => {
  const logits = upload(gpu, "logits", [4, 16]), losses = upload(gpu, "losses", [4]);
  const labels = upload(gpu, "labels", [3], undefined, "uint32");
  const half = upload(gpu, "half", [4, 16], undefined, "bfloat16");
  const logsumexp = upload(gpu, "logsumexp", [4]);
  const io = { labels, losses, logsumexp, gradScale: 1, gradients: true };
  assertThrows(
    () => crossEntropy(new KernelPass(gpu), { logits, ...io }),
    ShapeError,
    "crossEntropy: labels must be (4), got (3)",
  );
  assertThrows(
    () => crossEntropy(new KernelPass(gpu), { logits: half, ...io }),
    ShapeError,
    "crossEntropy: logits must be float32, got bfloat16",
  );
});

testAlternatives(import.meta.url);
