/** The backward pass on software adapters where scores do not all fit the textures at once. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import { Scope } from "../../../src/gpu/scope.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { attention, createAttentionWorkspace } from "../../../src/kernels/attention/attention.ts";
import { attentionBackward } from "../../../src/kernels/attention/attention_backward.ts";
import { createScores, slices } from "../../../src/kernels/attention/attention_slices.ts";
import { attention as forwardOracle } from "../../oracles/attention/attention.ts";
import { attentionBackward as oracle } from "../../oracles/attention/attention_backward.ts";
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

Deno.test("slices: heads and queries whose scores fit their texture", () => {
  const sliced = (heads: number, keyValueHeads: number, length: number, sequences: number) => {
    const shape = { batch: sequences, length, heads, keyValueHeads, headSize: 8 };
    const allocator = new PlanAllocator(), scores = createScores(allocator, shape);
    const all = [...slices(scores, shape, sequences)];
    for (const { key_heads, members, first_query, end_query } of all) {
      const queries = Math.ceil((end_query - first_query) / 8) * 8;
      assert(key_heads * members * queries <= 4 * scores.p.height);
    }
    const several = all.some(({ accumulate }) => accumulate === 1);
    assertEquals(scores.dk.shape, [several ? 8 * length : 1]);
    assertEquals(scores.dv.shape, scores.dk.shape);
    const textures = 2 * 16 * scores.p.width * scores.p.height;
    assertEquals(allocator.account.live, textures + 2 * 4 * 8 * (several ? length : 1));
    return all.map((slice) => [
      [slice.first_key_head, slice.key_heads],
      [slice.first_member, slice.members],
      [slice.first_query, slice.end_query],
      [slice.accumulate, slice.last],
    ]);
  };
  assertEquals(sliced(4, 2, 130, 3), [[[0, 6], [0, 2], [0, 130], [0, 1]]]);
  // A head of 1,024 queries takes 256 of 1,020 rows.
  assertEquals(sliced(4, 4, 1024, 1), [
    [[0, 3], [0, 1], [0, 1024], [0, 1]],
    [[3, 1], [0, 1], [0, 1024], [0, 1]],
  ]);
  // Sums are of one key/value head, so its slices follow each other; they are of the same size.
  assertEquals(sliced(8, 2, 1024, 1), [
    [[0, 1], [0, 2], [0, 1024], [0, 0]],
    [[0, 1], [2, 2], [0, 1024], [1, 1]],
    [[1, 1], [0, 2], [0, 1024], [0, 0]],
    [[1, 1], [2, 2], [0, 1024], [1, 1]],
  ]);
  // Of 4,000 keys 261 rows fit, so 260: four slices, of 125 blocks.
  assertEquals(sliced(1, 1, 4000, 1).map(([, , queries, sums]) => [queries, sums]), [
    [[0, 1000], [0, 0]],
    [[1000, 2000], [1, 0]],
    [[2000, 3000], [1, 0]],
    [[3000, 4000], [1, 1]],
  ]);
});

Deno.test("slices: refuses a workspace made for another shape", () => {
  const shape = { batch: 2, length: 64, heads: 4, keyValueHeads: 4, headSize: 8 };
  const refused = (texels: number, change: object, message: string) =>
    assertThrows(
      () => [
        ...slices(createScores(new PlanAllocator(), shape, texels), { ...shape, ...change }, 1),
      ],
      ShapeError,
      `attentionBackward: the workspace holds ${message} are needed`,
    );
  refused(1e6, { length: 128 }, "68 keys, 128");
  refused(16 * 68, { keyValueHeads: 1 }, "1 sums, 512");
});

/** First keys of packed examples. */
const packed = (...lengths: number[]) =>
  lengths.flatMap((length, i) => Array<number>(length).fill(lengths.slice(0, i).reduce(add, 0)));
const add = (a: number, b: number) => a + b;

/** Rows of texels, two a block of queries: of heads of 70 queries 18 are needed. */
const ROWS = [2, 6, 18, 40];

gpuTest("attention_backward rounds dk and dv once, however many slices there are", async (gpu) => {
  const batch = 2, length = 70, heads = 6, keyValueHeads = 2, headSize = 12;
  const lengths = { length, queryLength: length, keyLength: length, keyCapacity: length };
  const firstKeys = [...packed(70), ...packed(13, 40, 17)];
  const shape = { batch, ...lengths, heads, keyValueHeads, headSize, firstKeys };
  const rows = batch * length, width = heads * headSize, keyWidth = keyValueHeads * headSize;
  for (const dtype of ["float32", "bfloat16"] as const) {
    const values = (seed: number, columns: number) =>
      rounded(randomNormal(rows * columns, seed), dtype);
    const [qs, ks, vs, douts] = [width, keyWidth, keyWidth, width].map((columns, i) =>
      values(i + 1, columns)
    );
    using scope = new Scope(gpu);
    const make = (name: string, columns: number, given?: Float32Array) =>
      upload(gpu, name, [rows, columns], given, dtype);
    const io = {
      ...{ q: make("q", width, qs), dout: make("dout", width, douts) },
      ...{ k: make("k", keyWidth, ks), v: make("v", keyWidth, vs) },
      ...{ out: make("out", width), dq: make("dq", width) },
      ...{ dk: make("dk", keyWidth), dv: make("dv", keyWidth) },
      logsumexp: upload(gpu, "logsumexp", [rows, heads]),
      delta: upload(gpu, "delta", [rows, 2 * heads]),
    };
    const tensors = { ...io, firstKeys: upload(gpu, "first_keys", [rows], firstKeys, "uint32") };
    const options = { ...shape, dtype, variant: "texture", backward: true } as const;
    const { backward, ...staged } = createAttentionWorkspace(scope, options)!;
    const expected = oracle(qs, ks, vs, douts, shape), { out } = forwardOracle(qs, ks, vs, shape);
    for (const most of ROWS) {
      const texels = most * (72 + 4), kept = createScores(scope, shape, texels);
      assertEquals([kept.p.height, kept.dk.shape[0]], [most, most < 3 * 18 ? 12 * 70 : 1]);
      const workspace = { ...staged, backward: { ...backward!, ...kept } };
      const run = async () => {
        runPass(gpu, (pass) => {
          attention(pass, { ...shape, ...tensors, workspace });
          attentionBackward(pass, { ...shape, ...tensors, workspace });
        });
        return {
          dq: await download(gpu, io.dq),
          dk: await download(gpu, io.dk),
          dv: await download(gpu, io.dv),
        };
      };
      const actual = await run(), what = (name: string) => `${dtype}, ${most} rows: ${name}`;
      // Delta is made of the rounded `out`. What that adds to dk, Σ p (delta − its delta) q / sqrt(D),
      // is the dv of other douts.
      const outs = await download(gpu, io.out);
      const changed = Float64Array.from(qs, (value, i) => {
        const head = Math.floor(i / headSize) * headSize;
        let delta = 0;
        for (let d = head; d < head + headSize; d++) delta += douts[d] * (out[d] - outs[d]);
        return value * delta / Math.sqrt(headSize);
      });
      const added = oracle(qs, ks, vs, changed, shape).dv;
      // Sums of products of size 1 that may cancel, rounded once.
      const close = { atol: 2e-5, rtol: 1e-5 + OUTPUT_ROUNDING[dtype] };
      assertClose(what("dk"), actual.dk, expected.dk.map((dk, i) => dk + added[i]), close);
      assertClose(what("dv"), actual.dv, expected.dv, close);
      // Of dq it moves every ds of a row.
      const moved = dtype === "float32" ? close : { atol: 0.06, rtol: 0.01 };
      assertClose(what("dq"), actual.dq, expected.dq, moved);
      assertEquals(await run(), actual, "the same bits twice");
    }
    for (const made of Object.values(tensors)) gpu.release(made);
  }
});
