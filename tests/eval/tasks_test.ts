/** Readers of tasks: prompts and answers against lm-evaluation-harness, and refusals. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { dirname, join } from "@std/path";
import { renderShot, type Task } from "../../src/eval/task.ts";
import { loadTask, parseTaskSpecs } from "../../src/eval/tasks.ts";
import { MMLU_CATEGORIES } from "../../src/eval/tasks/mmlu_subjects.ts";
import { UserError } from "../../src/options/user_error.ts";
import { EVAL_FIXTURES, goldenTasks, type HarnessTask, pathOf } from "./support.ts";

/** Prompts as the model sees them. */
function prompts(task: Task, index = 0): string[] {
  const { description, shots, questions } = task.parts[index];
  return questions.map(({ prompt }) => description + shots.map(renderShot).join("") + prompt);
}

function sameAs(task: Task, expected: HarnessTask, index = 0) {
  assertEquals(prompts(task, index), expected.prompts);
  const choices = task.parts[index].questions.map(({ choices }) => choices.map((c) => ` ${c}`));
  assertEquals(choices, expected.continuations);
}

Deno.test("mmlu: prompts are the harness', subject by subject", async () => {
  const task = await loadTask({ name: "mmlu", path: pathOf("mmlu") }, 2);
  const { subjects } = goldenTasks.mmlu;
  assertEquals(task.parts.map(({ name }) => name), Object.keys(subjects));
  assertEquals(task.parts.map(({ category }) => category), ["stem", "stem", "humanities"]);
  Object.values(subjects).forEach((subject, index) => sameAs(task, subject, index));
  assertEquals(task.parts[0].questions.map(({ answer }) => answer), [1, 2, 0, 3]);
});

for (const name of Object.keys(goldenTasks).filter((name) => name !== "mmlu")) {
  Deno.test(`${name}: prompts and answers are the harness'`, async () => {
    const expected = goldenTasks[name as "choices"];
    sameAs(await loadTask({ name, path: pathOf(name) }, expected.shots), expected);
  });
}

Deno.test("57 subjects of MMLU have a category", () => {
  assertEquals(MMLU_CATEGORIES.size, 57);
  const sizes: Record<string, number> = {};
  for (const category of MMLU_CATEGORIES.values()) sizes[category] = (sizes[category] ?? 0) + 1;
  assertEquals(sizes, { stem: 19, humanities: 13, "social sciences": 12, other: 13 });
});

Deno.test("tasks are asked for by name and path", () => {
  assertEquals(parseTaskSpecs("mmlu:data/mmlu,choices:a,b.jsonl,SST-2:/glue/SST-2"), [
    { name: "mmlu", path: "data/mmlu" },
    { name: "choices", path: "a,b.jsonl" },
    { name: "sst2", path: "/glue/SST-2" },
  ]);
  assertThrows(
    () => parseTaskSpecs("mmul:data"),
    UserError,
    'task "mmul" is not known: known are mmlu, choices, cola, sst2, mrpc, qqp, mnli, ' +
      "mnli_mismatch, qnli, rte, wnli",
  );
  assertThrows(() => parseTaskSpecs("mmlu"), UserError, "task mmlu: needs a path: mmlu:<path>");
  assertThrows(() => parseTaskSpecs("sts-b:x"), UserError, "task stsb: is a regression");
});

/** Writes the files to a temporary folder and loads a task from it. */
async function loadFrom(
  name: string,
  files: Record<string, string>,
  { path = "", shots }: { path?: string; shots?: number } = {},
): Promise<Task> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [file, text] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(folder, file)), { recursive: true });
      await Deno.writeTextFile(join(folder, file), text);
    }
    return await loadTask({ name, path: join(folder, path) }, shots);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const refuses = (load: Promise<unknown>, message: string) =>
  assertRejects(() => load, UserError, message);

Deno.test("mmlu: what is missing or wrong is named by file and line", async () => {
  const load = (text: string, shots = 0) =>
    loadFrom("mmlu", { "test/house_rules_test.csv": text }, { shots });
  const good = '"Two\nlines?",1,2,3,4,B\n\n';
  await refuses(
    load(`${good}one,two,three\n`),
    "house_rules_test.csv:4: must have 6 columns (question, A, B, C, D, answer), got 3",
  );
  await refuses(
    load(`${good}q?,1,2,3,4,E\n`),
    'house_rules_test.csv:4: the answer must be A, B, C or D, got "E"',
  );
  await refuses(load('a"b,1,2,3,4,A\n'), "house_rules_test.csv: is not valid CSV");
  await refuses(load(good, 5), "dev/house_rules_dev.csv");
  await refuses(loadFrom("mmlu", { "test/readme.txt": "" }), "has no <subject>_test.csv");
  await refuses(loadTask({ name: "mmlu", path: "/nowhere" }), "mmlu: no such folder: /nowhere");
  await refuses(
    loadTask({ name: "mmlu", path: pathOf("mmlu") }),
    "abstract_algebra_dev.csv: has 3 examples to show, shots asks for 5",
  );
  const own = await load(good);
  assertEquals(own.parts[0].category, undefined);
  assertEquals(own.notes, ["in no category, counted only in the total: house_rules"]);
});

Deno.test("mmlu: val replaces a missing test set, with a note", async () => {
  const task = await loadFrom("mmlu", { "val/anatomy_val.csv": "q?,1,2,3,4,D\n" }, { shots: 0 });
  assertEquals(task.parts[0].questions[0].answer, 3);
  assertEquals(task.notes[0].includes("using the questions of val"), true);
});

Deno.test("choices: answers as index, letter, label or text; records at fault are named", async () => {
  const load = (...records: unknown[]) =>
    loadFrom("choices", { "q.jsonl": records.map((each) => JSON.stringify(each)).join("\n") }, {
      path: "q.jsonl",
    });
  const question = "q?", choices = ["x", "y", "z"];
  const task = await load(
    ...[1, "B", "y"].map((answer) => ({ question, choices, answer })),
    { question, choices: { text: choices, label: ["1", "2", "3"] }, answerKey: "2" },
  );
  assertEquals(task.name, "choices/q");
  assertEquals(task.parts[0].questions.map(({ answer }) => answer), [1, 1, 1, 1]);
  const good = { question, choices, answer: 0 };
  for (const answer of [3, -1, 1.5, "D", "0", null]) {
    await refuses(
      load(good, { question, choices, answer }),
      "q.jsonl:2: answer must be an index from 0 to 2, one of A, B, C, or the text of a choice",
    );
  }
  await refuses(
    load({ question, choices: ["B", "A"], answer: "A" }),
    'q.jsonl:1: answer "A" is the label of one choice and the text of another',
  );
  await refuses(load({ question, choices: ["x", ""], answer: 0 }), "choices must be a list of two");
  await refuses(load({ choices, answer: 0 }), "q.jsonl:1: question must be a text, got undefined");
  await refuses(load(5), "q.jsonl:1: must be a JSON object");
  await refuses(loadTask({ name: "choices", path: "/nowhere" }), "choices: no such file: /nowhere");
});

Deno.test("choices: examples come from dev.jsonl beside the file", async () => {
  const record = (question: string) => JSON.stringify({ question, choices: ["x", "y"], answer: 1 });
  const files = { "q.jsonl": record("asked?"), "dev.jsonl": record("shown?") };
  const task = await loadFrom("choices", files, { path: "q.jsonl", shots: 1 });
  assertEquals(prompts(task), ["Question: shown?\nAnswer: y\n\nQuestion: asked?\nAnswer:"]);
  await refuses(
    loadFrom("choices", files, { path: "q.jsonl", shots: 2 }),
    "dev.jsonl: has 1 examples to show, shots asks for 2",
  );
  await refuses(
    loadFrom("choices", files, { path: "dev.jsonl", shots: 1 }),
    "there is no dev.jsonl or train.jsonl beside",
  );
});

Deno.test("glue: files at fault are named by line; QQP's broken rows are counted", async () => {
  const load = (name: string, text: string, file = "dev.tsv") => loadFrom(name, { [file]: text });
  await refuses(
    load("rte", "index\tsentence1\tsentence2\tlabel\n1\tb\tentailment\n"),
    "dev.tsv:2: " +
      "must have 4 columns (index, sentence1, sentence2, label), got 3",
  );
  await refuses(
    load("sst2", "sentence\tlabel\ngood\t2\n"),
    'dev.tsv:2: label must be one of 0, 1, got "2"',
  );
  await refuses(load("sst2", "good\t1\n"), "dev.tsv:1: the header must name label, got good, 1");
  await refuses(load("mnli", "x", "dev.tsv"), "mnli: no such file");
  const { notes } = await loadTask({ name: "qqp", path: pathOf("qqp") });
  assertEquals(notes, [`skipped 1 malformed row of ${EVAL_FIXTURES}glue/QQP/dev.tsv`]);
  // CRLF line ends and a byte order mark are not part of the fields.
  const task = await load("sst2", "\ufeffsentence\tlabel\r\ngood \t1\r\n");
  assertEquals(task.parts[0].questions[0].prompt.split("\n")[0], "good ");
  assertEquals(task.parts[0].questions[0].answer, 1);
});
