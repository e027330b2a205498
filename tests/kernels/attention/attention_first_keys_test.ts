/** Attention with a first key for each query, forward and backward: windows, packed examples. */
import { strategyFor } from "../../../src/kernels/strategy.ts";
import { strategies } from "../support_strategies.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { attention, createAttentionWorkspace } from "../../../src/kernels/attention/attention.ts";
import { attentionBackward } from "../../../src/kernels/attention/attention_backward.ts";
import {
  attention as forwardOracle,
  type MaskedAttentionShape,
} from "../../oracles/attention/attention.ts";
import { attentionBackward as backwardOracle } from "../../oracles/attention/attention_backward.ts";
import { centralDifferences, inner } from "../../oracles/central_differences.ts";
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

type Format = "float32" | "bfloat16";

/** Each of the last `queries` of so many positions sees `window` keys, itself the last. */
const windowed = (positions: number, window: number, queries = positions) =>
  Array.from({ length: queries }, (_, i) => Math.max(0, positions - queries + i - window + 1));

/** Examples of these lengths, one after the other: each position sees its own from the start. */
const packed = (...lengths: number[]) =>
  lengths.flatMap((length, i) => {
    const start = lengths.slice(0, i).reduce((sum, each) => sum + each, 0);
    return Array<number>(length).fill(start);
  });

const laterOf = (a: number[], b: number[]) => a.map((first, i) => Math.max(first, b[i]));

/** Whole sequences, one for each list of first keys. */
function training(
  firstKeys: number[][],
  heads: number,
  keyValueHeads: number,
  headSize: number,
): MaskedAttentionShape & { length: number; firstKeys: number[] } {
  const batch = firstKeys.length, length = firstKeys[0].length;
  const lengths = { length, queryLength: length, keyLength: length, keyCapacity: length };
  return { batch, ...lengths, heads, keyValueHeads, headSize, firstKeys: firstKeys.flat() };
}

const three = (firstKeys: number[]) => [firstKeys, firstKeys, firstKeys];
const EXAMPLES = [packed(1, 7, 64, 65), packed(65, 64, 7, 1), packed(137)];

interface Case {
  readonly shape: ReturnType<typeof training>;
  readonly formats?: Format[];
  /** Loop iterations per dispatch; a walk takes several dispatches where they are few. */
  readonly loopRounds?: (number | undefined)[];
}

const CASES: Record<string, Case> = {
  "a window of 1": { shape: training(three(windowed(33, 1)), 3, 1, 20) },
  "a window of 8": {
    shape: training(three(windowed(70, 8)), 4, 2, 32),
    formats: ["float32", "bfloat16"],
    loopRounds: [undefined, 120, 1],
  },
  "a window of 40, beyond a block": {
    shape: training([windowed(130, 40)], 8, 1, 40),
    loopRounds: [undefined, 350, 1],
  },
  "a window longer than the sequence": { shape: training([windowed(33, 100)], 3, 1, 20) },
  "packed examples, others in each sequence": {
    shape: training(EXAMPLES, 8, 1, 32),
    formats: ["float32", "bfloat16"],
    loopRounds: [undefined, 2000],
  },
  // Not in bfloat16: tiles would round dk and dv after each of some 40 dispatches.
  "packed examples, head by head and block by block": {
    shape: training(EXAMPLES, 8, 1, 32),
    loopRounds: [300, 1],
  },
  "packed examples with a window": {
    shape: training(EXAMPLES.map((each) => laterOf(each, windowed(137, 8))), 4, 4, 32),
    loopRounds: [undefined, 1],
  },
  "four heads of 256 on one": {
    shape: training([windowed(70, 8)], 4, 1, 256),
    formats: ["float32", "bfloat16"],
  },
  "more sequences than the textures hold": {
    shape: training(Array.from({ length: 70 }, (_, i) => packed(i + 1, 129 - i)), 1, 1, 8),
  },
  "more work than a dispatch may do": { shape: training([windowed(1024, 64)], 3, 1, 32) },
};

function operands(gpu: Gpu, shape: Case["shape"], dtype: Format) {
  const { batch, length, heads, keyValueHeads, headSize } = shape;
  const rows = batch * length, width = heads * headSize, keyWidth = keyValueHeads * headSize;
  const values = (seed: number, columns: number, scale = 1) =>
    rounded(randomNormal(rows * columns, seed, scale), dtype);
  const given = {
    ...{ q: values(1, width, 1.5), k: values(2, keyWidth), v: values(3, keyWidth) },
    dout: values(4, width, 1.5),
  };
  const make = (name: string, columns: number, values?: Float32Array) =>
    upload(gpu, name, [rows, columns], values, dtype);
  const io = {
    ...shape,
    ...{ q: make("q", width, given.q), dout: make("dout", width, given.dout) },
    ...{ k: make("k", keyWidth, given.k), v: make("v", keyWidth, given.v) },
    ...{ out: make("out", width), dq: make("dq", width) },
    ...{ dk: make("dk", keyWidth), dv: make("dv", keyWidth) },
    logsumexp: upload(gpu, "logsumexp", [rows, heads]),
    delta: upload(gpu, "delta", [rows, 2 * heads]),
    firstKeys: upload(gpu, "first_keys", [rows], shape.firstKeys, "uint32"),
  };
  return { given, io };
}

type Io = ReturnType<typeof operands>["io"];

/** Forward and backward; what they wrote. */
async function run(
  gpu: Gpu,
  io: Omit<Io, "firstKeys"> & Partial<Pick<Io, "firstKeys">>,
): Promise<Record<"out" | "logsumexp" | "dq" | "dk" | "dv", Float32Array>> {
  const variant = strategyFor(gpu.capabilities).attention;
  const workspace = createAttentionWorkspace(gpu, { ...io, variant, backward: true });
  runPass(gpu, (pass) => {
    attention(pass, { ...io, workspace });
    attentionBackward(pass, { ...io, workspace });
  });
  return {
    out: await download(gpu, io.out),
    logsumexp: await download(gpu, io.logsumexp),
    dq: await download(gpu, io.dq),
    dk: await download(gpu, io.dk),
    dv: await download(gpu, io.dv),
  };
}

/** Loop iterations of a dispatch as a change of the strategy. */
const roundsOf = (loopRounds: readonly (number | undefined)[]) =>
  loopRounds.map((each) => each === undefined ? {} : { loopRounds: each });

Deno.test("the oracles agree with central differences where queries have first keys", () => {
  const shape = training([packed(2, 3), windowed(5, 2)], 4, 2, 4);
  const [q, dout] = [1, 2].map((seed) => Float64Array.from(randomNormal(160, seed)));
  const [k, v] = [3, 4].map((seed) => Float64Array.from(randomNormal(80, seed)));
  const { dq, dk, dv } = backwardOracle(q, k, v, dout, shape);
  const loss = (q: Float64Array, k: Float64Array, v: Float64Array) =>
    inner(dout, forwardOracle(q, k, v, shape).out);
  const close = { atol: 1e-7, rtol: 1e-6 };
  assertClose("dq", dq, centralDifferences(q, (moved) => loss(moved, k, v)), close);
  assertClose("dk", dk, centralDifferences(k, (moved) => loss(q, moved, v)), close);
  assertClose("dv", dv, centralDifferences(v, (moved) => loss(q, k, moved)), close);
});

for (const [title, { shape, formats, loopRounds = [undefined] }] of Object.entries(CASES)) {
  gpuTest(`attention with first keys agrees with the oracle: ${title}`, async (gpu) => {
    for (const dtype of formats ?? ["float32"] as const) {
      const { given, io } = operands(gpu, shape, dtype);
      const { q, k, v, dout } = given;
      const expected = {
        ...forwardOracle(q, k, v, shape),
        ...backwardOracle(q, k, v, dout, shape),
      };
      for (const rounds of roundsOf(loopRounds)) {
        for (const strategy of strategies(gpu, [rounds])) {
          const actual = await run(gpu, io);
          const what = (name: string) => `${dtype}, ${strategy}: ${name}`;
          // As in attention_test.ts: scores of up to 12 are 1e-6 off, and the outs of walks before,
          // of size up to 4, are rounded too.
          const once = OUTPUT_ROUNDING[dtype];
          assertClose(what("out"), actual.out, expected.out, {
            atol: 5e-6 + (rounds.loopRounds ? 4 * 2 * once : 0),
            rtol: 3e-6 + once,
          });
          const close = { atol: 3e-6, rtol: 1e-6 };
          assertClose(what("logsumexp"), actual.logsumexp, expected.logsumexp, close);
          // As in attention_backward_test.ts: sums of products of size 1 that may cancel; in
          // bfloat16 a rounded `out` shifts every ds of a row.
          const tolerance = dtype === "float32"
            ? { atol: 2e-5, rtol: 1e-5 }
            : { atol: 0.06, rtol: 0.01 };
          for (const name of ["dq", "dk", "dv"] as const) {
            assertClose(what(name), actual[name], expected[name], tolerance);
          }
          assertEquals(await run(gpu, io), actual, "the same bits twice");
        }
      }
    }
  });
}

gpuTest("attention with no first keys is that with zeros, bit for bit", async (gpu) => {
  const shape = training([packed(70), packed(70)], 4, 2, 32);
  const { io } = operands(gpu, shape, "bfloat16");
  for (const strategy of strategies(gpu)) {
    const zeros = await run(gpu, io);
    assertEquals(await run(gpu, { ...io, firstKeys: undefined }), zeros, strategy);
  }
});

gpuTest("attention reads no block of another example", async (gpu) => {
  // Of three examples that each begin with a block, the one in the middle is of NaN alone: what is
  // masked would be 0 · NaN, so blocks must be left out, in all kernels and in every walk.
  const shape = training([packed(64, 64, 40)], 2, 1, 20);
  const { io } = operands(gpu, shape, "float32");
  const clean = new Map<string, Awaited<ReturnType<typeof run>>>();
  const walks = roundsOf([undefined, 1]);
  for (const strategy of strategies(gpu, walks)) clean.set(strategy, await run(gpu, io));
  const spoilt = { ...io };
  for (const name of ["q", "k", "v", "dout"] as const) {
    const values = await download(gpu, io[name]), width = values.length / 168;
    spoilt[name] = upload(gpu, name, [168, width], values.fill(NaN, 64 * width, 128 * width));
  }
  for (const strategy of strategies(gpu, walks)) {
    const expected = clean.get(strategy)!;
    const actual = await run(gpu, spoilt);
    for (const name of ["out", "logsumexp", "dq", "dk", "dv"] as const) {
      const width = actual[name].length / 168;
      const others = (values: Float32Array) => [
        ...values.subarray(0, 64 * width),
        ...values.subarray(128 * width),
      ];
      assert(Number.isNaN(actual[name][64 * width]), `${name} of the example in the middle`);
      assertEquals(others(actual[name]), others(expected[name]), `${strategy} ${name}`);
    }
  }
});

/** Tokens after others, in a cache with room for more: one, and a few at once. */
const DECODING: [queries: number, keyLength: number, window: number][] = [
  [1, 50, 1],
  [1, 50, 8],
  [1, 50, 80],
  [9, 70, 8],
  [9, 70, 33],
];

for (const [queryLength, keyLength, window] of DECODING) {
  const title = `${queryLength} after ${keyLength - queryLength}, a window of ${window}`;
  gpuTest(`attention decodes within a window: ${title}`, async (gpu) => {
    const batch = 3, keyCapacity = 80, heads = 4, keyValueHeads = 1, headSize = 32;
    const first = three(windowed(keyLength, window, queryLength)).flat();
    const shape = {
      ...{ batch, queryLength, keyLength, keyCapacity, heads, keyValueHeads, headSize },
      firstKeys: first,
    };
    const rows = batch * queryLength, keyRows = batch * keyCapacity;
    const qs = randomNormal(rows * heads * headSize, 1, 3);
    const ks = randomNormal(keyRows * headSize, 2), vs = randomNormal(keyRows * headSize, 3);
    const expected = forwardOracle(qs, ks, vs, shape);
    // Neither blocks before the window nor what lies beyond the keys may be looked at.
    const needed = Math.floor(first[0] / 32) * 32;
    for (let row = 0; row < keyRows; row++) {
      const key = row % keyCapacity;
      if (needed <= key && key < keyLength) continue;
      for (const values of [ks, vs]) values.fill(NaN, row * headSize, (row + 1) * headSize);
    }
    const io = {
      ...shape,
      q: upload(gpu, "q", [rows, heads * headSize], qs),
      k: upload(gpu, "k", [keyRows, headSize], ks),
      v: upload(gpu, "v", [keyRows, headSize], vs),
      firstKeys: upload(gpu, "first_keys", [rows], first, "uint32"),
    };
    for (const strategy of strategies(gpu, roundsOf([undefined, 1]))) {
      const variant = strategyFor(gpu.capabilities).attention;
      const options = { ...shape, variant, length: keyLength, backward: false };
      const workspace = createAttentionWorkspace(gpu, options);
      const out = upload(gpu, "out", [rows, heads * headSize]);
      const logsumexp = upload(gpu, "logsumexp", [rows, heads]);
      runPass(gpu, (pass) => attention(pass, { ...io, out, logsumexp, workspace }));
      const close = { atol: 5e-6, rtol: 3e-6 };
      assertClose(strategy, await download(gpu, out), expected.out, close);
      assertClose("logsumexp", await download(gpu, logsumexp), expected.logsumexp, close);
    }
  });
}

gpuTest("attention refuses first keys of another shape or format", (gpu) => {
  const { io } = operands(gpu, training([packed(6), packed(6)], 4, 2, 8), "float32");
  const pass = new KernelPass(gpu);
  const few = upload(gpu, "first_keys", [6], undefined, "uint32");
  const floats = upload(gpu, "first_keys", [12]);
  const cases = [
    [few, "firstKeys must be (12), got (6)"],
    [floats, "firstKeys must be uint32, got float32"],
  ] as const;
  for (const [firstKeys, message] of cases) {
    const bad = { ...io, firstKeys };
    assertThrows(() => attention(pass, bad), ShapeError, `attention: ${message}`);
    assertThrows(() => attentionBackward(pass, bad), ShapeError, `attentionBackward: ${message}`);
  }
});
