/**
 * GLUE (Wang et al. 2019) from the official TSV files, as text: prompts, answers and metrics of
 * lm-evaluation-harness' `glue` tasks (versions 1.0; qqp and wnli 2.0). Questions come from
 * `dev.tsv`, because the labels of `test.tsv` are not public; few-shot examples from `train.tsv`.
 */
import { join } from "../../packages/std_path.ts";
import { UserError } from "../../options/user_error.ts";
import type { Metric, Question, Task } from "../task.ts";
import { readText, takeShots } from "./files.ts";
import { quoted } from "../../text.ts";

type Fields = Readonly<Record<string, string>>;

interface GlueTask {
  readonly file: string;
  /** Column names of files without a header. */
  readonly columns?: readonly string[];
  readonly label: string;
  /** Labels in the files, in the order of the answers. */
  readonly labels: readonly string[];
  readonly answers: readonly string[];
  readonly prompt: (fields: Fields) => string;
  readonly metrics: readonly Metric[];
  /** Skips rows known to be broken, as the Hugging Face data set does. */
  readonly skipBroken?: boolean;
}

const DEV = "dev.tsv", TRAIN = "train.tsv";
const BINARY = ["0", "1"];
const ENTAILMENT = ["entailment", "not_entailment"];

const MNLI: GlueTask = {
  file: "dev_matched.tsv",
  label: "gold_label",
  labels: ["entailment", "neutral", "contradiction"],
  answers: ["True", "Neither", "False"],
  prompt: ({ sentence1, sentence2 }) => {
    const hypothesis = sentence2.trim();
    const stop = hypothesis.endsWith(".") ? "" : ".";
    return `${sentence1}\nQuestion: ${hypothesis}${stop} True, False or Neither?\nAnswer:`;
  },
  metrics: ["acc"],
};

export const GLUE_TASKS: Readonly<Record<string, GlueTask>> = {
  cola: {
    file: DEV,
    columns: ["source", "label", "mark", "sentence"],
    label: "label",
    labels: BINARY,
    answers: ["no", "yes"],
    prompt: ({ sentence }) => `${sentence}\nQuestion: Does this sentence make sense?\nAnswer:`,
    metrics: ["mcc"],
  },
  sst2: {
    file: DEV,
    label: "label",
    labels: BINARY,
    answers: ["negative", "positive"],
    prompt: ({ sentence }) =>
      `${sentence}\nQuestion: Is this sentence positive or negative?\nAnswer:`,
    metrics: ["acc"],
  },
  mrpc: {
    file: DEV,
    label: "Quality",
    labels: BINARY,
    answers: ["no", "yes"],
    prompt: (fields) =>
      `Sentence 1: ${fields["#1 String"]}\nSentence 2: ${fields["#2 String"]}\n` +
      "Question: Do both sentences mean the same thing?\nAnswer:",
    metrics: ["acc", "f1"],
  },
  qqp: {
    file: DEV,
    label: "is_duplicate",
    labels: BINARY,
    answers: ["no", "yes"],
    prompt: ({ question1, question2 }) =>
      `Question 1: ${question1}\nQuestion 2: ${question2}\n` +
      "Question: Do both questions ask the same thing?\nAnswer:",
    metrics: ["acc", "f1"],
    skipBroken: true,
  },
  mnli: MNLI,
  mnli_mismatch: { ...MNLI, file: "dev_mismatched.tsv" },
  qnli: {
    file: DEV,
    label: "label",
    labels: ENTAILMENT,
    answers: ["yes", "no"],
    prompt: ({ question, sentence }) =>
      `${question}\n${sentence}\nQuestion: Does this response answer the question?\nAnswer:`,
    metrics: ["acc"],
  },
  rte: {
    file: DEV,
    label: "label",
    labels: ENTAILMENT,
    answers: ["True", "False"],
    prompt: trueOrFalse,
    metrics: ["acc"],
  },
  wnli: {
    file: DEV,
    label: "label",
    labels: BINARY,
    answers: ["False", "True"],
    prompt: trueOrFalse,
    metrics: ["acc"],
  },
};

function trueOrFalse({ sentence1, sentence2 }: Fields): string {
  return `${sentence1}\nQuestion: ${sentence2} True or False?\nAnswer:`;
}

/** Reads one of {@link GLUE_TASKS} from its folder. */
export async function loadGlue(name: string, folder: string, shots = 0): Promise<Task> {
  const task = GLUE_TASKS[name];
  const { questions, skipped } = await readQuestions(name, task, join(folder, task.file));
  const train = join(folder, TRAIN);
  return {
    name,
    metrics: task.metrics,
    parts: [{
      description: "",
      shots: shots ? takeShots(await readTrain(name, task, train), shots, train) : [],
      questions,
    }],
    notes: skipped ? [describeSkipped(skipped, join(folder, task.file))] : [],
  };
}

function describeSkipped(count: number, file: string): string {
  return `skipped ${count} malformed ${count === 1 ? "row" : "rows"} of ${file}`;
}

async function readTrain(name: string, task: GlueTask, path: string): Promise<Question[]> {
  return (await readQuestions(name, task, path)).questions;
}

/** Strictly tab-separated: quotes are part of the text and often unpaired. */
async function readQuestions(
  name: string,
  task: GlueTask,
  path: string,
): Promise<{ questions: Question[]; skipped: number }> {
  const lines = (await readText(name, path)).split(/\r?\n/);
  const columns = task.columns ?? lines[0].split("\t");
  if (!columns.includes(task.label)) {
    throw new UserError(
      `${path}:1: the header must name ${task.label}, got ${columns.join(", ")}`,
      "is it the TSV file of GLUE's own archive?",
    );
  }
  const questions: Question[] = [];
  let skipped = 0;
  for (let line = task.columns ? 0 : 1; line < lines.length; line++) {
    if (lines[line] === "") continue;
    const row = lines[line].split("\t"), where = `${path}:${line + 1}`;
    if (row.length !== columns.length) {
      if (task.skipBroken) {
        skipped++;
        continue;
      }
      throw new UserError(
        `${where}: must have ${columns.length} columns (${columns.join(", ")}), got ${row.length}`,
      );
    }
    questions.push(toQuestion(task, columns, row, where));
  }
  return { questions, skipped };
}

function toQuestion(
  { label, labels, answers, prompt }: GlueTask,
  columns: readonly string[],
  row: readonly string[],
  where: string,
): Question {
  const fields = Object.fromEntries(columns.map((column, i) => [column, row[i]]));
  const answer = labels.indexOf(fields[label]);
  if (answer < 0) {
    throw new UserError(
      `${where}: ${label} must be one of ${labels.join(", ")}, got ${quoted(fields[label])}`,
    );
  }
  return { prompt: prompt(fields), choices: answers, answer };
}
