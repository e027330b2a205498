import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { chooseToken } from "../../../src/kernels/sampling/choose_token.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { candidates, type Choice, total } from "../../oracles/sampling/choose_token.ts";
import { gpuTest, randomNormal, randomStream, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";
import { assertRefuses } from "../../support_errors.ts";

/** What is chosen for each random number, of 32 bits. */
async function chosen(
  gpu: Gpu,
  values: Float32Array<ArrayBuffer>,
  choice: Choice,
  randoms: readonly number[],
): Promise<{ ids: number[]; token: number; occurrences: number[] }> {
  const vocabulary = values.length;
  const io = {
    logits: upload(gpu, "logits", [1, vocabulary], values),
    token: gpu.tensor({ name: "token", shape: [1], dtype: "uint32", purpose: "workspace" }),
    history: gpu.tensor({
      name: "history",
      shape: [randoms.length],
      dtype: "uint32",
      purpose: "workspace",
    }),
    occurrences: gpu.tensor({
      name: "occurrences",
      shape: [vocabulary],
      dtype: "uint32",
      purpose: "workspace",
    }),
  };
  const pass = new KernelPass(gpu);
  randoms.forEach((random, position) => chooseToken(pass, { ...io, ...choice, position, random }));
  pass.submit();
  const read = async (tensor: typeof io.token) =>
    Array.from(new Uint32Array((await gpu.read(tensor)).buffer)).slice(0, tensor.shape[0]);
  const result = {
    ids: await read(io.history),
    token: (await read(io.token))[0],
    occurrences: await read(io.occurrences),
  };
  Object.values(io).forEach((tensor) => gpu.release(tensor));
  return result;
}

/** Every id must be the one at which the running sum of probabilities passes its random number. */
function assertDrawn(
  values: Float32Array,
  choice: Choice,
  randoms: readonly number[],
  ids: readonly number[],
): void {
  const all = candidates(values, choice), sum = total(all);
  const starts = new Map<number, [number, number]>();
  let start = 0;
  for (const { id, weight } of all) {
    starts.set(id, [start / sum, (start + weight) / sum]);
    start += weight;
  }
  // exp in float32 is off by (3 + 2 |x|) units of 2^-24 (WGSL's accuracy of exp): for tokens that
  // count, with |x| up to 20, 3e-6 of the sum.
  const tolerance = 3e-6;
  randoms.forEach((random, index) => {
    const share = random / 2 ** 32, place = starts.get(ids[index]);
    assert(place, `${JSON.stringify(choice)}: ${ids[index]} for ${share} is filtered out`);
    const [from, to] = place;
    assert(
      from - tolerance <= share && share <= to + tolerance,
      `${JSON.stringify(choice)}: ${ids[index]} has [${from}, ${to}), not ${share}`,
    );
  });
}

const CHOICES: readonly Choice[] = [
  { temperature: 1 },
  { temperature: 0.7, topP: 0.9 },
  { temperature: 1.3, topK: 40 },
  { temperature: 2, minP: 0.05 },
  { temperature: 1, topK: 50, topP: 0.8, minP: 0.01 },
  { temperature: 0.01, topP: 0.5 },
  { temperature: 1, topP: 0 },
  { temperature: 1, topK: 1 },
];
/** One token, fewer than a quad, a row padded, more than a thread each, ids of more than 16 bits. */
const SIZES = [1, 3, 300, 1025, 5461, 70_001];

for (const vocabulary of SIZES) {
  gpuTest(`of ${vocabulary} tokens those are drawn that float64 would draw`, async (gpu) => {
    const values = randomNormal(vocabulary, 1, 4), next = randomStream(2);
    const randoms = [0, 2 ** 32 - 1, ...Array.from({ length: 24 }, () => next() * 2 ** 32 >>> 0)];
    for (const choice of CHOICES) {
      const { ids } = await chosen(gpu, values, choice, randoms);
      assertDrawn(values, choice, randoms, ids);
    }
    assertEquals(
      (await chosen(gpu, values, { temperature: 0 }, [0])).ids,
      [values.indexOf(Math.max(...values))],
    );
  });
}

gpuTest("draws fit the probabilities: chi-square", async (gpu) => {
  const values = randomNormal(40, 3, 1.5), draws = 4000, next = randomStream(4);
  const choice = { temperature: 0.9, topP: 0.95 };
  const randoms = Array.from({ length: draws }, () => next() * 2 ** 32 >>> 0);
  const { ids, token, occurrences } = await chosen(gpu, values, choice, randoms);
  const all = candidates(values, choice), sum = total(all);
  const chi = all.reduce((chi, { id, weight }) => {
    const expected = draws * weight / sum, count = ids.filter((each) => each === id).length;
    assertEquals(occurrences[id], count);
    return chi + (count - expected) ** 2 / expected;
  }, 0);
  // Mean n, variance 2n with n + 1 outcomes: five deviations are a one in 100,000 event.
  const freedom = all.length - 1;
  assert(freedom > 5 && chi < freedom + 5 * Math.sqrt(2 * freedom), `${chi} of ${freedom}`);
  assertEquals(token, ids.at(-1));
});

gpuTest(
  "equally likely tokens are ordered by id, and cut by top-p but not by top-k",
  async (gpu) => {
    const values = Float32Array.from({ length: 1000 }, (_, id) => id % 10);
    const at = (shares: readonly number[]) => shares.map((share) => Math.floor(share * 2 ** 32));
    const nine = Math.exp(9), eight = Math.exp(8), all = 100 * (nine + eight);
    const shares = [0, 2.5 * nine / all, (100 * nine + 41.5 * eight) / all, 1 - 1e-9];
    const { ids } = await chosen(gpu, values, { temperature: 1, topK: 101 }, at(shares));
    assertEquals(ids, [9, 29, 418, 998]);
    const half = { temperature: 1, topK: 100, topP: 0.5 };
    assertEquals((await chosen(gpu, values, half, at([0, 0.999]))).ids, [9, 499]);
    // Zeros of either sign are alike.
    const zeros = Float32Array.of(-1, -0, 0, -0, 0);
    assertEquals((await chosen(gpu, zeros, { temperature: 0 }, [0])).ids, [1]);
    assertEquals((await chosen(gpu, zeros, { temperature: 1, topK: 1 }, at([0.3, 0.9]))).ids, [
      2,
      4,
    ]);
  },
);

gpuTest("a vocabulary of one logit, of far apart ones and of what is no number", async (gpu) => {
  const draw = async (values: number[], temperature: number, share = 0.5) =>
    (await chosen(gpu, Float32Array.from(values), { temperature }, [share * 2 ** 32 >>> 0]))
      .ids[0];
  const same = new Array(70_000).fill(-3);
  assertEquals(await draw(same, 0), 0);
  assertEquals(await draw(same, 1), 35_000);
  assertEquals(await draw([1, 2, 3], 1e-300), 2);
  assertEquals(await draw([1, 2, 3], 1e300), 1);
  assertEquals(await draw([-3.4e38, 3.4e38, -3.4e38], 1, 0.999), 1);
  assertEquals(await draw([NaN, 1, NaN, 2], 0), 3);
  assertEquals(await draw([NaN, 1, NaN, 1], 1, 0.75), 3);
  assertEquals(await draw([NaN, NaN], 1), 0);
});

gpuTest("chooseToken refuses a place outside the history", (gpu) => {
  const make = (name: string, shape: number[], dtype: "uint32" | "float32" = "uint32") =>
    gpu.tensor({ name, shape, dtype, purpose: "workspace" });
  const io = {
    logits: make("logits", [1, 9], "float32"),
    token: make("token", [1]),
    history: make("history", [4]),
    occurrences: make("occurrences", [9]),
    temperature: 1,
    random: 0,
  };
  const cases = [
    [
      { ...io, position: 4 },
      "chooseToken: V must be at most 2097151 and position below 4, got 9 and 4",
    ],
    [
      { ...io, position: 0, occurrences: make("occurrences", [8]) },
      "chooseToken: occurrences must be (9), got (8)",
    ],
  ] as const;
  for (const [each, message] of cases) {
    assertRefuses(() => chooseToken(new KernelPass(gpu), each), ShapeError, message);
  }
});

testAlternatives(import.meta.url);
