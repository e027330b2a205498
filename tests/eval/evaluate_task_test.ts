/**
 * Whole tasks: log-likelihoods and metrics against lm-evaluation-harness, limits and truncation.
 */
import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { evaluateTask, type Scores } from "../../src/eval/evaluate_task.ts";
import type { Scorer } from "../../src/eval/scoring.ts";
import type { Task } from "../../src/eval/task.ts";
import { loadTask } from "../../src/eval/tasks.ts";
import { UserError } from "../../src/options/user_error.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { assertClose, gpuTest } from "../support.ts";
import { goldenTasks, type HarnessTask, pathOf } from "./support.ts";

const MODEL = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));
const tokenizer = await loadTokenizer("bytes");

/** Metrics by the harness' names; bootstrapped errors differ by their draws. */
function sameMetrics(actual: Scores, expected: Readonly<Record<string, number>>) {
  for (const [metric, { value, stderr }] of Object.entries(actual)) {
    assertAlmostEquals(value, expected[metric], 1e-12, metric);
    if (metric.startsWith("acc")) {
      assertAlmostEquals(stderr!, expected[`${metric}_stderr`], 1e-12, metric);
    }
  }
  assertEquals(
    Object.keys(actual),
    Object.keys(expected).filter((key) => !key.endsWith("_stderr")),
  );
}

gpuTest("log-likelihoods and metrics of every task are the harness'", async (gpu) => {
  const model = await LlamaForCausalLM.fromPretrained(MODEL, { gpu });
  const length = model.config.maxPositions;
  for (const name of Object.keys(goldenTasks)) {
    const golden = name === "mmlu"
      ? Object.values(goldenTasks.mmlu.subjects)
      : [goldenTasks[name as "choices"]];
    const found: number[] = [];
    const score: Scorer = async (requests) => {
      const answers = await model.logLikelihoods(requests, { batch: 8, length });
      found.push(...answers.map(({ logLikelihood }) => logLikelihood));
      return answers;
    };
    const task = await loadTask({ name, path: pathOf(name) }, golden[0].shots);
    const result = await evaluateTask(task, { tokenizer, score, length });
    // As in log_likelihood_test.ts: the sums of a few float32 losses.
    const expected = golden.flatMap((part: HarnessTask) => part.logLikelihoods.flat());
    assertClose(name, found, expected, { atol: 1e-4, rtol: 1e-5 });
    assertEquals(result.questions, golden.flatMap(({ prompts }) => prompts).length);
    if (name !== "mmlu") {
      sameMetrics(result.metrics, golden[0].metrics);
      assertEquals(result.groups, []);
      continue;
    }
    sameMetrics(result.metrics, goldenTasks.mmlu.all);
    sameMetrics(result.groups[0].metrics, goldenTasks.mmlu.stem);
    assertEquals(result.groups.map(({ kind, name, questions }) => [kind, name, questions]), [
      ["category", "stem", 7],
      ["category", "humanities", 5],
      ["subject", "abstract_algebra", 4],
      ["subject", "anatomy", 3],
      ["subject", "philosophy", 5],
    ]);
    golden.forEach(({ metrics }, i) => sameMetrics(result.groups[2 + i].metrics, metrics));
  }
  model.release();
});

/** Scores every answer by its length, except those that start with " B". */
function fakeScorer(seen: { tokens: number[] }): Scorer {
  return (requests) =>
    Promise.resolve(requests.map(({ context, continuation }) => {
      seen.tokens.push(context.length + continuation.length);
      const likely = tokenizer.decode(continuation).startsWith(" B");
      return { logLikelihood: likely ? -1 : -10 * continuation.length, dropped: 0 };
    }));
}

const question = (answer: number, prompt = "q\nAnswer:") => ({
  prompt,
  choices: ["A", "B", "C", "D"],
  answer,
});

function taskOf(parts: Task["parts"]): Task {
  return { name: "mmlu", metrics: ["acc"], parts, notes: ["as read"] };
}

Deno.test("a limit holds for each part; the total weighs parts by their questions", async () => {
  const part = (name: string, answers: number[]) => ({
    name,
    category: "stem",
    description: "",
    shots: [],
    questions: answers.map((answer) => question(answer)),
  });
  const task = taskOf([part("a", [1, 1, 1, 1, 0]), part("b", [0, 1])]);
  const run = (limit?: number) =>
    evaluateTask(task, { tokenizer, score: fakeScorer({ tokens: [] }), length: 64, limit });
  const all = await run();
  assertAlmostEquals(all.metrics.acc!.value, 5 / 7, 1e-12);
  assertEquals(all.groups[0].metrics, all.metrics);
  const limited = await run(4);
  assertEquals(limited.questions, 6);
  assertAlmostEquals(limited.metrics.acc!.value, 5 / 6, 1e-12);
  const single = await run(1);
  assertEquals(single.metrics.acc, { value: 0.5, stderr: null });
});

Deno.test("examples that do not fit are left out from the last on; then the start is cut", async () => {
  const shots = [question(0, "first"), question(1, "second")];
  const long = question(1, "x".repeat(60));
  const task = taskOf([{ description: "", shots, questions: [question(1), long] }]);
  const sizes = async (length: number) => {
    const seen = { tokens: [] as number[] };
    const { notes } = await evaluateTask(task, { tokenizer, score: fakeScorer(seen), length });
    return { tokens: [...new Set(seen.tokens)], notes };
  };
  // "first A\n\n" is 9 bytes, "second B\n\n" 10, "q\nAnswer: B" 11, the long question with " B" 62.
  assertEquals(await sizes(80), { tokens: [30, 81], notes: ["as read"] });
  assertEquals((await sizes(79)).tokens, [30, 71]);
  assertEquals((await sizes(79)).notes, [
    "as read",
    "1 of 2 prompts do not fit in 79 tokens and show fewer examples",
  ]);
  assertEquals((await sizes(60)).tokens, [30, 62]);
  assertEquals((await sizes(60)).notes.slice(2), [
    "1 of 2 prompts exceed 60 tokens on their own and lost their start",
  ]);
});

Deno.test("normalised accuracies divide by characters and by bytes", async () => {
  const task: Task = {
    name: "choices",
    metrics: ["acc", "acc_norm", "acc_bytes"],
    parts: [{
      description: "",
      shots: [],
      questions: [{ prompt: "q", choices: ["xxxxxx", "ééééé", "y"], answer: 0 }],
    }],
    notes: [],
  };
  // A character: -5, -5.2, -4.9 less; a byte: -5, -2.6, -4.9.
  const score: Scorer = () =>
    Promise.resolve([-30, -26, -4.9].map((logLikelihood) => ({ logLikelihood, dropped: 0 })));
  const chosen = async (answer: number) => {
    const [part] = task.parts;
    const questions = [{ ...part.questions[0], answer }];
    const { metrics } = await evaluateTask({ ...task, parts: [{ ...part, questions }] }, {
      tokenizer,
      score,
      length: 64,
    });
    return Object.values(metrics).map(({ value }) => value);
  };
  assertEquals(await chosen(1), [0, 0, 1]);
  assertEquals(await chosen(2), [1, 1, 0]);
});

Deno.test("a task without a question is refused", async () => {
  const task = taskOf([{ description: "", shots: [], questions: [] }]);
  await assertRejects(
    () => evaluateTask(task, { tokenizer, score: fakeScorer({ tokens: [] }), length: 64 }),
    UserError,
    "mmlu: has no question",
  );
});
