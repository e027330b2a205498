/**
 * MMLU (Hendrycks et al. 2021): questions with four answers, from the folders of its archive,
 * `dev/<subject>_dev.csv`, `test/<subject>_test.csv`, `val/<subject>_val.csv`. Prompts are those of
 * lm-evaluation-harness' `mmlu` (templates of version 1.0, the group of version 2), which equal
 * those of the original code except that questions are trimmed.
 */
import { parse } from "../../packages/std_csv.ts";
import { join } from "../../packages/std_path.ts";
import { UserError } from "../../options/user_error.ts";
import { option, type Phrase, phrase } from "../../options/phrase.ts";
import type { Question, Task, TaskPart } from "../task.ts";
import { isFolder, namesIn, readText, takeShots } from "./files.ts";
import { MMLU_CATEGORIES } from "./mmlu_subjects.ts";
import { quoted } from "../../text.ts";

export const MMLU_SHOTS = 5;

const LETTERS = ["A", "B", "C", "D"] as const;
const COLUMNS = ["question", ...LETTERS, "answer"] as const;

export async function loadMmlu(folder: string, shots = MMLU_SHOTS): Promise<Task> {
  const notes = [];
  let split = "test";
  if (!await isFolder(join(folder, split)) && await isFolder(join(folder, "val"))) {
    split = "val";
    notes.push(`${folder} has no test folder: using the questions of val`);
  }
  const ending = `_${split}.csv`;
  const subjects = (await namesIn("mmlu", join(folder, split)))
    .filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length));
  if (!subjects.length) {
    throw new UserError(`mmlu: ${join(folder, split)} has no <subject>${ending}`);
  }
  const parts = [];
  for (const subject of subjects) {
    const path = join(folder, split, subject + ending);
    const dev = join(folder, "dev", `${subject}_dev.csv`);
    parts.push({
      name: subject,
      category: MMLU_CATEGORIES.get(subject),
      description: "The following are multiple choice questions (with answers) about " +
        `${subject.replaceAll("_", " ")}.\n\n`,
      shots: shots ? takeShots(await readQuestions(dev, WITHOUT_SHOTS), shots, dev) : [],
      questions: await readQuestions(path),
    });
  }
  const own = parts.filter(({ category }) => !category).map(({ name }) => name);
  if (own.length) notes.push(`in no category, counted only in the total: ${own.join(", ")}`);
  return { name: "mmlu", metrics: ["acc"], parts: parts satisfies TaskPart[], notes };
}

const WITHOUT_SHOTS = phrase`${option("shots", 0)} asks zero-shot`;

async function readQuestions(path: string, hint?: Phrase): Promise<Question[]> {
  const text = await readText("mmlu", path, hint);
  let rows: string[][];
  try {
    rows = parse(text);
  } catch (error) {
    throw new UserError(`${path}: is not valid CSV: ${(error as Error).message}`);
  }
  const lines = lineNumbers(text, rows);
  return rows.map((row, index) => toQuestion(row, `${path}:${lines[index]}`));
}

function toQuestion(row: readonly string[], where: string): Question {
  if (row.length !== COLUMNS.length) {
    throw new UserError(
      `${where}: must have ${COLUMNS.length} columns (${COLUMNS.join(", ")}), got ${row.length}`,
    );
  }
  const [question, ...rest] = row;
  const options = rest.slice(0, LETTERS.length), letter = rest[LETTERS.length].trim();
  const answer = LETTERS.findIndex((each) => each === letter);
  if (answer < 0) {
    throw new UserError(`${where}: the answer must be A, B, C or D, got ${quoted(letter)}`);
  }
  const lines = options.map((option, i) => `${LETTERS[i]}. ${option}\n`);
  return { prompt: `${question.trim()}\n${lines.join("")}Answer:`, choices: LETTERS, answer };
}

/** The line that each row starts on: the parser skips empty lines, and fields may span lines. */
function lineNumbers(text: string, rows: readonly string[][]): number[] {
  const lines = text.split("\n");
  let line = 0;
  return rows.map((row) => {
    while (lines[line]?.replace(/\r$/, "") === "") line++;
    const start = line + 1;
    line += 1 + row.reduce((sum, field) => sum + field.split("\n").length - 1, 0);
    return start;
  });
}
