import { assertEquals } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { attention, createAttentionWorkspace } from "../../../src/kernels/attention/attention.ts";
import { attention as oracle, type AttentionShape } from "../../oracles/attention/attention.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { sharings, testAlternatives } from "../support_strategies.ts";
import { strategyFor } from "../../../src/kernels/strategy.ts";
import { assertRefuses } from "../../support_errors.ts";

type Format = "float32" | "bfloat16";

function training(
  batch: number,
  length: number,
  heads: number,
  keyValueHeads: number,
  headSize: number,
): AttentionShape {
  return {
    batch,
    queryLength: length,
    keyLength: length,
    keyCapacity: length,
    heads,
    keyValueHeads,
    headSize,
  };
}

/** The last number: of rounds of loops in a dispatch, for a walk over keys to take several. */
const CASES: [title: string, shape: AttentionShape, formats: Format[], loopRounds?: number][] = [
  ["one token", training(1, 1, 4, 4, 8), ["float32"]],
  ["short, shared keys", training(3, 7, 6, 2, 16), ["float32", "bfloat16"]],
  ["odd head, padded rows", training(2, 33, 3, 1, 20), ["float32", "bfloat16"]],
  ["two blocks", training(2, 64, 4, 4, 64), ["float32", "bfloat16"]],
  ["ragged blocks, one key head", training(1, 130, 8, 1, 64), ["float32"]],
  ["more work than a dispatch may do", training(1, 1024, 3, 1, 64), ["float32"]],
  ["head of 96", training(1, 67, 2, 1, 96), ["float32", "bfloat16"]],
  ["head of 128", training(1, 130, 1, 1, 128), ["float32", "bfloat16"]],
  ["head of 192", training(1, 33, 1, 1, 192), ["float32"]],
  ["wide head", training(1, 33, 1, 1, 256), ["float32", "bfloat16"]],
  ["decoding", { ...training(1, 1, 4, 2, 64), keyLength: 50, keyCapacity: 80 }, ["float32"]],
  ["decoding, groups of 6", {
    ...training(2, 3, 12, 2, 96),
    keyLength: 700,
    keyCapacity: 720,
  }, ["float32", "bfloat16"]],
  [
    "decoding in walks",
    {
      ...training(1, 1, 3, 1, 256),
      keyLength: 600,
      keyCapacity: 600,
    },
    ["float32"],
    1,
  ],
  ["a chunk after others", { ...training(2, 9, 4, 2, 64), keyLength: 70, keyCapacity: 72 }, [
    "float32",
    "bfloat16",
  ]],
  ["in two or three walks", training(2, 130, 4, 2, 64), ["float32", "bfloat16"], 520],
  ["in many walks, padded rows", training(2, 70, 3, 1, 20), ["float32"], 1],
  [
    "a chunk after others in walks",
    {
      ...training(2, 9, 4, 2, 64),
      keyLength: 70,
      keyCapacity: 72,
    },
    ["float32"],
    200,
  ],
];

for (const [title, shape, formats, loopRounds] of CASES) {
  // In one case subgroups of four as well, as few adapters have them.
  const sizes = title === "odd head, padded rows" ? [null, 4] : [null];
  gpuTest(`attention agrees with the oracle: ${title}`, async (gpu) => {
    const { batch, queryLength, keyCapacity, heads, keyValueHeads, headSize } = shape;
    const rows = batch * queryLength, width = heads * headSize;
    const keyRows = batch * keyCapacity, keyWidth = keyValueHeads * headSize;
    for (const dtype of formats) {
      // Scores of standard deviation 3: neither flat nor one-hot.
      const qs = rounded(randomNormal(rows * width, 1, 3), dtype);
      const ks = rounded(randomNormal(keyRows * keyWidth, 2), dtype);
      const vs = rounded(randomNormal(keyRows * keyWidth, 3), dtype);
      const expected = oracle(qs, ks, vs, shape);
      // What lies beyond the keys that are there must not be looked at.
      for (let row = 0; row < keyRows; row++) {
        if (row % keyCapacity < shape.keyLength) continue;
        ks.fill(NaN, row * keyWidth, (row + 1) * keyWidth);
        vs.fill(NaN, row * keyWidth, (row + 1) * keyWidth);
      }
      const q = upload(gpu, "q", [rows, width], qs, dtype);
      const k = upload(gpu, "k", [keyRows, keyWidth], ks, dtype);
      const v = upload(gpu, "v", [keyRows, keyWidth], vs, dtype);
      for (const strategy of sharings(gpu, [loopRounds ? { loopRounds } : {}], sizes)) {
        const workspace = createAttentionWorkspace(gpu, {
          ...shape,
          variant: strategyFor(gpu.capabilities).attention,
          length: shape.keyLength,
          backward: false,
          dtype,
        });
        const out = upload(gpu, "out", [rows, width], undefined, dtype);
        const logsumexp = upload(gpu, "logsumexp", [rows, heads]);
        const io = { q, k, v, out, logsumexp, workspace, ...shape };
        runPass(gpu, (pass) => attention(pass, io));
        // Float32 scores of up to 12 are 1e-6 off, and a probability is off by as much, relatively.
        const rtol = 3e-6 + OUTPUT_ROUNDING[dtype];
        // The outs of walks before, of size up to 4, are rounded too.
        const atol = 5e-6 + (loopRounds ? 4 * 2 * OUTPUT_ROUNDING[dtype] : 0);
        const outs = await download(gpu, out);
        assertClose(`out ${strategy}`, outs, expected.out, { atol, rtol });
        const statistics = await download(gpu, logsumexp);
        assertClose("logsumexp", statistics, expected.logsumexp, { atol: 3e-6, rtol: 1e-6 });
        runPass(gpu, (pass) => attention(pass, io));
        assertEquals(await download(gpu, out), outs, "the same bits twice");
      }
    }
  });
}

gpuTest(
  "attention walks over more keys than a software adapter's loops have rounds",
  async (gpu) => {
    // Some 35 rounds for four keys: 65,535 end at key 7,488, in the texture variant.
    const length = 7600, headSize = 64, shape = training(1, length, 1, 1, headSize);
    const size = length * headSize;
    const [qs, ks, vs] = [randomNormal(size, 1, 3), randomNormal(size, 2), randomNormal(size, 3)];
    const [q, k, v] = [qs, ks, vs].map((values) => upload(gpu, "x", [length, headSize], values));
    const out = upload(gpu, "out", [length, headSize]), logsumexp = upload(gpu, "lse", [length, 1]);
    const options = { ...shape, length, variant: "texture", backward: false } as const;
    const workspace = createAttentionWorkspace(gpu, options)!;
    runPass(gpu, (pass) => attention(pass, { q, k, v, out, logsumexp, workspace, ...shape }));
    const outs = await download(gpu, out), statistics = await download(gpu, logsumexp);
    // Queries in the middle, around the end of a first walk, and the last: each as if it were new.
    for (const end of [3000, 7000, 7040, 7500, length]) {
      const queryLength = 16, start = end - queryLength;
      const newest = { ...shape, queryLength, keyLength: end };
      const expected = oracle(qs.subarray(start * headSize, end * headSize), ks, vs, newest);
      const close = { atol: 5e-6, rtol: 3e-6 };
      assertClose("out", outs.subarray(start * headSize, end * headSize), expected.out, close);
      assertClose("logsumexp", statistics.subarray(start, end), expected.logsumexp, close);
    }
    for (const made of [q, k, v, out, ...Object.values(workspace)]) if (made) gpu.release(made);
  },
);

gpuTest("a few queries see tens of thousands of keys", async (gpu) => {
  // Too many for the textures: what a long text and a few new tokens come to.
  const keyLength = 40_000,
    shape = { ...training(1, 9, 1, 1, 64), keyLength, keyCapacity: keyLength };
  const qs = randomNormal(9 * 64, 1, 3), ks = randomNormal(keyLength * 64, 2);
  const vs = randomNormal(keyLength * 64, 3), expected = oracle(qs, ks, vs, shape);
  const q = upload(gpu, "q", [9, 64], qs), k = upload(gpu, "k", [keyLength, 64], ks);
  const v = upload(gpu, "v", [keyLength, 64], vs), out = upload(gpu, "out", [9, 64]);
  const logsumexp = upload(gpu, "logsumexp", [9, 1]);
  runPass(gpu, (pass) => attention(pass, { q, k, v, out, logsumexp, ...shape }));
  const close = { atol: 5e-6, rtol: 3e-6 };
  assertClose("out", await download(gpu, out), expected.out, close);
  assertClose("logsumexp", await download(gpu, logsumexp), expected.logsumexp, close);
  gpu.release(k);
  gpu.release(v);
});

gpuTest("attention survives scores in the thousands", async (gpu) => {
  const shape = training(1, 40, 4, 4, 64), size = 40 * 256;
  const [qs, ks, vs] = [
    randomNormal(size, 1, 100),
    randomNormal(size, 2, 100),
    randomNormal(size, 3),
  ];
  const [q, k, v] = [qs, ks, vs].map((values) => upload(gpu, "x", [40, 256], values));
  const out = upload(gpu, "out", [40, 256]), logsumexp = upload(gpu, "logsumexp", [40, 4]);
  runPass(gpu, (pass) => attention(pass, { q, k, v, out, logsumexp, ...shape }));
  // Scores of some 30,000 are 1e-2 off in float32; nearly all rows are one-hot all the same.
  const expected = oracle(qs, ks, vs, shape);
  assertClose("out", await download(gpu, out), expected.out, { atol: 0.05, rtol: 0 });
});

gpuTest("attention refuses a workspace made for shorter sequences", (gpu) => {
  const x = upload(gpu, "x", [12, 32]), logsumexp = upload(gpu, "logsumexp", [12, 4]);
  const shape = training(1, 12, 4, 4, 8);
  const options = { ...shape, variant: "texture", length: 8, backward: false } as const;
  const workspace = createAttentionWorkspace(gpu, options);
  assertRefuses(
    () =>
      attention(new KernelPass(gpu), { q: x, k: x, v: x, out: x, logsumexp, workspace, ...shape }),
    ShapeError,
    "attention: the workspace holds 8 rows of x, (12, 32) are needed\n" +
      "  hint: was it made for another model, or for shorter sequences?",
  );
});

gpuTest("attention refuses impossible heads, lengths and shapes", (gpu) => {
  const x = upload(gpu, "x", [12, 32]), logsumexp = upload(gpu, "logsumexp", [12, 4]);
  const shape = training(2, 6, 4, 4, 8);
  const cases: [Partial<AttentionShape>, string][] = [
    [{ headSize: 6 }, "attention: the head size must be a multiple of 4 from 4 to 256, got 6"],
    [{ keyValueHeads: 3 }, "attention: 3 key/value heads must divide 4 heads evenly"],
    [
      { queryLength: 7 },
      "attention: lengths must be 1 ≤ queries ≤ keys ≤ capacity, got 7, 6, 6",
    ],
    [{ batch: 1 }, "attention: q must be (6, 32), got (12, 32)"],
    [{ keyValueHeads: 2 }, "attention: k must be (12, 16), got (12, 32)"],
  ];
  for (const [change, message] of cases) {
    const io = { q: x, k: x, v: x, out: x, logsumexp, ...shape, ...change };
    assertRefuses(() => attention(new KernelPass(gpu), io), ShapeError, message);
  }
});

testAlternatives(import.meta.url);
