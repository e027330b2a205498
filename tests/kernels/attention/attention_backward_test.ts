import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { Scope } from "../../../src/gpu/scope.ts";
import { attention, createAttentionWorkspace } from "../../../src/kernels/attention/attention.ts";
import { attentionBackward } from "../../../src/kernels/attention/attention_backward.ts";
import {
  attention as forwardOracle,
  type AttentionShape,
} from "../../oracles/attention/attention.ts";
import { attentionBackward as oracle } from "../../oracles/attention/attention_backward.ts";
import { centralDifferences, inner } from "../../oracles/central_differences.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";
import { strategyFor } from "../../../src/kernels/strategy.ts";

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

/** Loop iterations per dispatch that make a walk take several, at some heads or some queries. */
const WALKS: Record<number, number[]> = { 33: [1], 64: [120], 130: [1100, 350] };

const CASES = [
  shapeOf(1, 1, 4, 4, 8),
  shapeOf(3, 7, 6, 2, 16),
  shapeOf(2, 33, 3, 1, 20),
  shapeOf(2, 64, 4, 4, 32),
  shapeOf(1, 130, 8, 1, 40),
  shapeOf(70, 130, 4, 2, 8), // more rows than a texture, and more scores
  shapeOf(1, 67, 2, 1, 96),
  shapeOf(2, 100, 2, 2, 128),
  shapeOf(1, 40, 1, 1, 192),
  shapeOf(1, 70, 2, 1, 256),
  shapeOf(1, 1024, 3, 1, 32), // more work than a dispatch may do
  shapeOf(1, 256, 32, 1, 64), // a software adapter's loops would end before the last head
];

for (const shape of CASES) {
  const { batch, length, heads, keyValueHeads, headSize } = shape;
  const title = `B ${batch} T ${length} H ${heads} K ${keyValueHeads} D ${headSize}`;
  gpuTest(`attention_backward ${title} agrees with the oracle`, async (gpu) => {
    const rows = batch * length, width = heads * headSize, keyWidth = keyValueHeads * headSize;
    for (
      const dtype of [33, 64].includes(length)
        ? ["float32", "bfloat16"] as const
        : ["float32"] as const
    ) {
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
        delta: upload(gpu, "delta", [rows, 2 * heads]),
        ...shape,
      };
      const expected = oracle(qs, ks, vs, douts, shape);
      // Float32: sums of up to 3,072 products of size 1 that may cancel. bfloat16: the result is
      // rounded (2^-8), and delta is made of a rounded `out`, which shifts every ds of a row: by
      // 2^-9 of a sum of D products.
      const tolerance = dtype === "float32"
        ? { atol: 2e-5, rtol: 1e-5 }
        : { atol: 0.06, rtol: 0.01 };
      const walks = batch < 70 ? WALKS[length] ?? [] : [];
      const changes = [{}, ...walks.map((loopRounds) => ({ loopRounds }))];
      for (const strategy of strategies(gpu, changes)) {
        const workspace = createAttentionWorkspace(gpu, {
          ...shape,
          variant: strategyFor(gpu.capabilities).attention,
          backward: true,
          dtype,
        });
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
        assertClose(`dq, ${strategy}`, actual.dq, expected.dq, tolerance);
        assertClose(`dk, ${strategy}`, actual.dk, expected.dk, tolerance);
        assertClose(`dv, ${strategy}`, actual.dv, expected.dv, tolerance);
        assertEquals(await run(), actual, "the same bits twice");
      }
    }
  });
}

gpuTest(
  "attention_backward walks over more rows than a software adapter's loops have",
  async (gpu) => {
    // Gradients come in at the first and at the last 64 rows: the oracle needs no others, and the
    // walk of the first keys over the queries has to come to its end.
    const length = 7600, headSize = 64, some = 64 * headSize, size = length * headSize;
    const shape = shapeOf(1, length, 1, 1, headSize);
    const [qs, ks, vs, douts] = [1, 2, 3, 4].map((seed) => randomNormal(size, seed));
    douts.fill(0, some, size - some);
    const first = oracle(
      ...[qs.subarray(0, some), ks.subarray(0, some), vs.subarray(0, some)] as const,
      ...[douts.subarray(0, some), shapeOf(1, 64, 1, 1, headSize)] as const,
    );
    const last = oracle(
      ...[qs.subarray(-some), ks, vs, douts.subarray(-some), {
        ...shape,
        queryLength: 64,
      }] as const,
    );
    const expected = {
      dq: new Float64Array(size),
      dk: last.dk.map((value, i) => value + (first.dk[i] ?? 0)),
      dv: last.dv.map((value, i) => value + (first.dv[i] ?? 0)),
    };
    expected.dq.set(first.dq);
    expected.dq.set(last.dq, size - some);

    const make = (name: string, values?: Float32Array) =>
      upload(gpu, name, [length, headSize], values);
    const io = {
      ...{ q: make("q", qs), k: make("k", ks), v: make("v", vs), dout: make("dout", douts) },
      ...{ out: make("out"), dq: make("dq"), dk: make("dk"), dv: make("dv") },
      logsumexp: upload(gpu, "logsumexp", [length, 1]),
      delta: upload(gpu, "delta", [length, 2]),
    };
    const options = { ...shape, variant: "texture", backward: true } as const;
    using scope = new Scope(gpu);
    const workspace = createAttentionWorkspace(scope, options)!;
    runPass(gpu, (pass) => {
      attention(pass, { ...io, ...shape, workspace });
      attentionBackward(pass, { ...io, ...shape, workspace });
    });
    for (const name of ["dq", "dk", "dv"] as const) {
      // Sums of products of size 1 that may cancel.
      assertClose(name, await download(gpu, io[name]), expected[name], { atol: 2e-5, rtol: 1e-5 });
    }
    for (const made of Object.values(io)) gpu.release(made);
  },
);

gpuTest("attention_backward refuses gradients of another shape", (gpu) => {
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

testAlternatives(import.meta.url);
