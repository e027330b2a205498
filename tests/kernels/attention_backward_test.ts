import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/gpu/errors.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { attention, createAttentionWorkspace } from "../../src/kernels/attention.ts";
import { attentionBackward } from "../../src/kernels/attention_backward.ts";
import { attention as forwardOracle, type AttentionShape } from "../oracles/attention.ts";
import { attentionBackward as oracle } from "../oracles/attention_backward.ts";
import { centralDifferences, inner } from "../oracles/central_differences.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../support.ts";

function shapeOf(
  batch: number,
  length: number,
  heads: number,
  keyValueHeads: number,
  headSize: number,
): AttentionShape & { length: number } {
  const lengths = { length, queryLength: length, keyLength: length, keyCapacity: length };
  return { batch, ...lengths, heads, keyValueHeads, headSize };
}

Deno.test("the oracle of attention_backward agrees with central differences", () => {
  const shape = shapeOf(2, 3, 4, 2, 4);
  const [q, dout] = [1, 2].map((seed) => Float64Array.from(randomNormal(96, seed)));
  const [k, v] = [3, 4].map((seed) => Float64Array.from(randomNormal(48, seed)));
  const { dq, dk, dv } = oracle(q, k, v, dout, shape);
  const loss = (q: Float64Array, k: Float64Array, v: Float64Array) =>
    inner(dout, forwardOracle(q, k, v, shape).out);
  const close = { atol: 1e-7, rtol: 1e-6 };
  assertClose("dq", dq, centralDifferences(q, (moved) => loss(moved, k, v)), close);
  assertClose("dk", dk, centralDifferences(k, (moved) => loss(q, moved, v)), close);
  assertClose("dv", dv, centralDifferences(v, (moved) => loss(q, k, moved)), close);
});

const CASES = [
  shapeOf(1, 1, 4, 4, 8),
  shapeOf(3, 7, 6, 2, 16),
  shapeOf(2, 33, 3, 1, 20),
  shapeOf(2, 64, 4, 4, 32),
  shapeOf(1, 130, 8, 1, 40),
  shapeOf(70, 130, 1, 1, 8), // more rows than a texture: two ranges of sequences
  shapeOf(1, 1024, 3, 1, 32), // more work than a dispatch may do
];

for (const shape of CASES) {
  const { batch, length, heads, keyValueHeads, headSize } = shape;
  const title = `B ${batch} T ${length} H ${heads} K ${keyValueHeads} D ${headSize}`;
  gpuTest(`attention_backward ${title} agrees with the oracle`, async (gpu) => {
    const rows = batch * length, width = heads * headSize, keyWidth = keyValueHeads * headSize;
    for (const dtype of length === 64 ? ["float32", "bfloat16"] as const : ["float32"] as const) {
      const [qs, douts] = [1, 2].map((seed) =>
        rounded(randomNormal(rows * width, seed, 1.5), dtype)
      );
      const [ks, vs] = [3, 4].map((seed) => rounded(randomNormal(rows * keyWidth, seed), dtype));
      const make = (name: string, columns: number, values?: Float32Array) =>
        upload(gpu, name, [rows, columns], values, dtype);
      const io = {
        q: make("q", width, qs),
        k: make("k", keyWidth, ks),
        v: make("v", keyWidth, vs),
        out: make("out", width),
        dout: make("dout", width, douts),
        logsumexp: upload(gpu, "logsumexp", [rows, heads]),
        dq: make("dq", width),
        dk: make("dk", keyWidth),
        dv: make("dv", keyWidth),
        delta: upload(gpu, "delta", [rows, heads]),
        ...shape,
      };
      const expected = oracle(qs, ks, vs, douts, shape);
      // Float32: sums of up to 3,072 products of size 1 that may cancel. bfloat16: the result is
      // rounded (2^-8), and delta is made of a rounded `out`, which shifts every ds of a row: by
      // 2^-9 of a sum of D products.
      const tolerance = dtype === "float32"
        ? { atol: 2e-5, rtol: 1e-5 }
        : { atol: 0.06, rtol: 0.01 };
      for (const variant of ["tiled", "texture"] as const) {
        const workspace = createAttentionWorkspace(gpu, { ...shape, variant, backward: true });
        const run = async () => {
          runPass(gpu, (pass) => {
            attention(pass, { ...io, workspace });
            attentionBackward(pass, { ...io, workspace });
          });
          return {
            dq: await download(gpu, io.dq),
            dk: await download(gpu, io.dk),
            dv: await download(gpu, io.dv),
          };
        };
        const actual = await run();
        assertClose(`dq ${variant}`, actual.dq, expected.dq, tolerance);
        assertClose(`dk ${variant}`, actual.dk, expected.dk, tolerance);
        assertClose(`dv ${variant}`, actual.dv, expected.dv, tolerance);
        assertEquals(await run(), actual, "the same bits twice");
      }
    }
  });
}

gpuTest("attention_backward refuses gradients of another shape", async (gpu) => {
  await Promise.resolve();
  const x = upload(gpu, "x", [12, 32]), half = upload(gpu, "half", [12, 16]);
  const statistic = upload(gpu, "statistic", [12, 4]);
  const io = {
    ...{ q: x, k: half, v: half, out: x, dout: x, dq: x, dk: half, dv: x },
    ...{ logsumexp: statistic, delta: statistic },
    ...shapeOf(2, 6, 4, 2, 8),
  };
  assertThrows(
    () => attentionBackward(new KernelPass(gpu), io),
    ShapeError,
    "attentionBackward: dv must be (12, 16), got (12, 32)",
  );
});
