/** `eval` on tasks, through the command line. */
import { assertAlmostEquals, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { EVAL_FIXTURES, goldenTasks } from "../eval/support.ts";
import { trainingTest } from "../train/support.ts";

const MODELS = fromFileUrl(import.meta.resolve("../fixtures/models/"));
const TEXT = fromFileUrl(import.meta.resolve("../../examples/data/tinyshakespeare.txt"));

async function run(...args: string[]) {
  const out: string[] = [], err: string[] = [];
  const code = await main(["eval", "--model", `${MODELS}llama-gqa-tied`, ...args], {
    stdout: (line) => out.push(line),
    stderr: (line) => err.push(line),
    write: (piece) => out.push(piece),
    interactive: false,
    signal: new AbortController().signal,
  });
  return { code, stdout: out.join("\n"), stderr: err.join("\n") };
}

const TASKS = `mmlu:${EVAL_FIXTURES}mmlu,qqp:${EVAL_FIXTURES}glue/QQP`;
const BYTES = ["--tokenizer", "bytes"];

trainingTest("tasks alone, as JSON: the harness' numbers", async () => {
  const { code, stdout, stderr } = await run(
    ...BYTES,
    ...["--tasks", `mmlu:${EVAL_FIXTURES}mmlu`, "--shots", "2", "--json"],
  );
  assertEquals(code, 0, stderr);
  const { tasks: [mmlu], ...rest } = JSON.parse(stdout);
  assertEquals(rest, {});
  assertEquals([mmlu.task, mmlu.questions, mmlu.groups.length], ["mmlu", 12, 5]);
  const { acc, acc_stderr } = goldenTasks.mmlu.all;
  assertAlmostEquals(mmlu.metrics.acc.value, acc, 1e-12);
  assertAlmostEquals(mmlu.metrics.acc.stderr, acc_stderr, 1e-12);
});

trainingTest("a text and tasks, against an earlier model: a table with differences", async () => {
  const folder = await Deno.makeTempDir();
  const text = `${folder}/text.txt`;
  await Deno.writeTextFile(text, (await Deno.readTextFile(TEXT)).slice(0, 600));
  const args = [...BYTES, "--data", text, "--tasks", TASKS, "--shots", "0", "--limit", "2"];
  const before = ["--before", `${MODELS}llama-gqa-tied`, "--batch-size", "4"];
  const { code, stdout, stderr } = await run(...args, ...before);
  await Deno.remove(folder, { recursive: true });
  assertEquals(code, 0, stderr);
  const lines = stdout.split("\n");
  assertMatch(lines[0], /^task +metric +before +after +difference +n$/);
  // The same model twice: no difference, and one line per measurement.
  assertEquals(lines.slice(1).map((line) => line.trim().split(/ {2,}/)[0]), [
    ...["text", "text", "mmlu", "stem", "humanities", "abstract_algebra", "anatomy", "philosophy"],
    ...["qqp", "qqp"],
  ]);
  for (const line of lines.slice(1)) assertMatch(line, / \+0\.0000 +\d+$/);
  assertMatch(lines[3], /^mmlu +acc +\d\.\d{4} ± \d\.\d{4} .* 6$/);
  assertStringIncludes(stderr, "note: qqp: skipped 1 malformed row of ");
});

trainingTest("--before beside --json holds the earlier model's results", async () => {
  const args = ["--tasks", `qqp:${EVAL_FIXTURES}glue/QQP`, "--before", `${MODELS}llama-gqa-tied`];
  const { code, stdout, stderr } = await run(...BYTES, ...args, "--json");
  assertEquals(code, 0, stderr);
  const { before, ...after } = JSON.parse(stdout);
  assertEquals(before, after);
  assertEquals(Object.keys(after.tasks[0].metrics), ["acc", "f1"]);
});

trainingTest(
  "what a sequence cannot hold is said: examples left out, positions missing",
  async () => {
    const args = ["--tasks", `mmlu:${EVAL_FIXTURES}mmlu`, "--shots", "2"];
    const cut = await run(...BYTES, ...args, "--seq-len", "200");
    assertEquals(cut.code, 0, cut.stderr);
    assertStringIncludes(cut.stderr, "prompts do not fit in 200 tokens and show fewer examples");
    const long = await run(...BYTES, ...args, "--seq-len", "4096", "--limit", "1");
    assertStringIncludes(
      long.stderr,
      "warning: the model has only 256 positions: using --seq-len 256",
    );
  },
);

for (
  const [what, args, code, message] of [
    ["neither a text nor tasks", [], 2, "--data: is required, or --tasks"],
    ["an unknown task", ["--tasks", "mmul:x"], 2, '--tasks: task "mmul" is not known: known are'],
    [
      "a task without choices",
      ["--tasks", "sts-b:x"],
      2,
      "--tasks: task stsb: is a regression, and has no answers to choose from; the others of GLUE",
    ],
    [
      "shots without tasks",
      ["--data", "x", "--shots", "1"],
      2,
      "--shots: applies only to --tasks, which",
    ],
    [
      "a folder that is not there",
      ["--tasks", "cola:/nowhere"],
      1,
      "cola: no such file: /nowhere",
    ],
  ] as const
) {
  trainingTest(`${what}: one message, exit ${code}`, async () => {
    const result = await run(...args);
    assertEquals(result.code, code);
    assertStringIncludes(result.stderr, message);
  });
}
