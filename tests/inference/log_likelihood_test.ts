import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { logLikelihoods } from "../../src/inference/log_likelihood.ts";
import {
  type LogLikelihoodRequest,
  planRows,
  planRuns,
} from "../../src/inference/log_likelihood_plan.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { assertClose, gpuTest } from "../support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));
const MODEL = `${FIXTURES}models/llama-gqa-tied`;

/** By lm-evaluation-harness and PyTorch: tests/golden/make_log_likelihoods.py. */
const { requests, cases }: {
  requests: LogLikelihoodRequest[];
  cases: { length: number; values: number[] }[];
} = JSON.parse(await Deno.readTextFile(`${FIXTURES}eval/log_likelihoods.json`));

/** Sums of up to 40 losses, each within float32's rounding of another order of summation. */
const EXACT = { atol: 1e-4, rtol: 1e-5 };
const PLAN = { length: 40, vocabSize: 320 };

for (const { length, values } of cases) {
  gpuTest(`log-likelihoods are the harness' with ${length} positions`, async (gpu) => {
    const model = await LlamaForCausalLM.fromPretrained(MODEL, { gpu });
    const before = gpu.account.live;
    for (const batch of [1, 4, 64]) {
      const progress: number[] = [];
      const answers = await logLikelihoods(model, requests, {
        batch,
        length,
        onProgress: (done, total) => progress.push(done / total),
      });
      const got = answers.map(({ logLikelihood }) => logLikelihood);
      assertClose(`batch ${batch}`, got, values, EXACT);
      assertEquals(
        answers.map(({ dropped }) => dropped),
        requests.map(({ context, continuation }) =>
          Math.max(0, context.length + continuation.length - length - 1)
        ),
      );
      assertEquals(progress.at(-1), 1);
    }
    assertEquals(gpu.account.live, before, "the buffers are freed");
    model.release();
  });
}

gpuTest("bfloat16 activations come near; an empty context is BOS", async (gpu) => {
  const exact = await LlamaForCausalLM.fromPretrained(MODEL, { gpu });
  const rough = await LlamaForCausalLM.fromPretrained(MODEL, { gpu, dtype: "bfloat16" });
  const options = { batch: 8, length: 128 };
  const answers = await rough.logLikelihoods(requests, options);
  // 8 bits a number through two layers, on losses of some units each: measured 0.2 percent.
  assertClose(
    "bfloat16",
    answers.map(({ logLikelihood }) => logLikelihood),
    cases[1].values,
    { atol: 0.02, rtol: 0.005 },
  );
  const { bosTokenId } = exact.config;
  const [empty, spelled, other] = await exact.logLikelihoods([
    { context: [], continuation: [7, 8] },
    { context: [bosTokenId!], continuation: [7, 8] },
    { context: [9], continuation: [7, 8] },
  ], options);
  assertEquals(empty, spelled);
  assertEquals(empty.logLikelihood === other.logLikelihood, false);
  const [given] = await exact.logLikelihoods(
    [{ context: [], continuation: [7, 8] }],
    { ...options, prefixToken: 9 },
  );
  assertClose("a given prefix", [given.logLikelihood], [other.logLikelihood], EXACT);
  for (const model of [exact, rough]) model.release();
});

gpuTest("what cannot be scored is refused, and a signal stops", async (gpu) => {
  const model = await LlamaForCausalLM.fromPretrained(MODEL, { gpu });
  const score = (continuation: number[], options = {}) =>
    model.logLikelihoods([{ context: [1], continuation }], { batch: 2, length: 4, ...options });
  await assertRejects(() => score([]), UserError, "continuation 0 has no token");
  await assertRejects(() => score([1, 2, 3, 4, 5]), UserError, "has 5 tokens, at most 4");
  await assertRejects(
    () => score([320]),
    UserError,
    "token id 320 of request 0 is outside the vocabulary of 320",
  );
  await assertRejects(
    () => score([1], { signal: AbortSignal.abort(new Error("enough")) }),
    Error,
    "enough",
  );
  assertEquals(await model.logLikelihoods([], { batch: 2 }), []);
  model.release();
});

Deno.test("one-token answers to one question share a pass", () => {
  const context = [5, 6, 7];
  const questions = [[1], [2], [3], [4]].map((continuation) => ({ context, continuation }));
  const rows = planRows([...questions, { context: [5, 6], continuation: [7, 9] }], PLAN);
  assertEquals(rows.map(({ inputs }) => inputs), [[5, 6, 7]]);
  assertEquals(rows[0].targets.map(({ request }) => request), [0, 1, 2, 3, 4]);
  // The longer answers of one question do not: their inputs differ.
  assertEquals(
    planRows([[1, 2], [3, 2]].map((continuation) => ({ context, continuation })), PLAN)
      .length,
    2,
  );
});

Deno.test("without a prefix token an empty context is refused", async () => {
  await assertRejects(
    () => Promise.resolve().then(() => planRows([{ context: [], continuation: [1] }], PLAN)),
    UserError,
    "the model has neither a BOS nor an EOS token",
  );
});

Deno.test("batches hold sequences of like length, the longest first", () => {
  const lengths = [3, 100, 40, 99, 38, 90, 100, 41];
  const rows = planRows(
    lengths.map((length, i) => ({ context: Array(length).fill(i), continuation: [1] })),
    { ...PLAN, length: 100 },
  );
  const runs = planRuns(rows, 2);
  assertEquals(
    runs.map(({ length, batches }) => [length, batches.map((b) => b.map((r) => r.inputs.length))]),
    [[100, [[100, 100], [99, 90]]], [41, [[41, 40], [38, 3]]]],
  );
  assertEquals(runs.map(({ batch, targets }) => [batch, targets]), [[2, 2], [2, 2]]);
});
