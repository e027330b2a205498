/**
 * Custom questions: JSON records with `question`, `choices` and `answer`. Prompts are those of
 * lm-evaluation-harness' `arc_easy`, whose own records are accepted too.
 */
import { basename, dirname, extname, join } from "../../packages/std_path.ts";
import { openBytes } from "../../data/formats.ts";
import { jsonRecords } from "../../data/jsonl_reader.ts";
import { isObject } from "../../files/fields.ts";
import { UserError } from "../../options/user_error.ts";
import { option, phrase } from "../../options/phrase.ts";
import type { Question, Task } from "../task.ts";
import { isFile, takeShots } from "./files.ts";
import { quoted } from "../../text.ts";

/** Files with few-shot examples, beside the file of questions; the first that exists. */
const SHOT_FILES = ["dev.jsonl", "train.jsonl"];

/** Reads a file; with shots, `dev.jsonl` or else `train.jsonl` of the same folder as well. */
export async function loadChoices(path: string, shots = 0): Promise<Task> {
  if (!await isFile(path)) throw new UserError(`choices: no such file: ${path}`);
  const questions = await readQuestions(path);
  return {
    name: `choices/${basename(path, extname(path))}`,
    metrics: ["acc", "acc_norm", "acc_bytes"],
    parts: [{
      description: "",
      shots: shots ? await readShots(path, shots) : [],
      questions,
    }],
    notes: [],
  };
}

async function readShots(path: string, shots: number): Promise<Question[]> {
  for (const name of SHOT_FILES) {
    const beside = join(dirname(path), name);
    if (name !== basename(path) && await isFile(beside)) {
      return takeShots(await readQuestions(beside), shots, beside);
    }
  }
  throw new UserError(
    phrase`choices: ${option("shots", shots)} needs examples, but there is no
      ${SHOT_FILES.join(" or ")} beside ${path}`,
  );
}

async function readQuestions(path: string): Promise<Question[]> {
  const questions = [];
  const { source } = await openBytes({ path });
  for await (const { value, where } of jsonRecords(source)) {
    questions.push(toQuestion(value, where));
  }
  return questions;
}

function toQuestion(record: unknown, where: string): Question {
  if (!isObject(record)) throw new UserError(`${where}: must be a JSON object`);
  const { question } = record;
  if (typeof question !== "string" || question === "") {
    throw new UserError(`${where}: question must be a text, got ${quoted(question)}`);
  }
  const { choices, labels } = readChoices(record.choices, where);
  const answer = answerOf(record.answer ?? record.answerKey, choices, labels, where);
  return { prompt: `Question: ${question}\nAnswer:`, choices, answer };
}

/** A list of texts, or ARC's `{ "text": [...], "label": [...] }`. */
function readChoices(
  value: unknown,
  where: string,
): { choices: readonly string[]; labels: readonly string[] } {
  const choices = isObject(value) ? value.text : value;
  if (!isTexts(choices) || choices.length < 2) {
    throw new UserError(
      `${where}: choices must be a list of two texts or more, none empty, got ${quoted(choices)}`,
    );
  }
  const letters = choices.map((_, i) => String.fromCharCode(65 + i));
  const labels = isObject(value) && value.label !== undefined ? value.label : letters;
  if (!isTexts(labels) || labels.length !== choices.length) {
    throw new UserError(`${where}: choices.label must have one text for each of choices.text`);
  }
  return { choices, labels };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string" && each !== "");
}

/** An index from 0, a label (letters by default), or the text of the answer. */
function answerOf(
  answer: unknown,
  choices: readonly string[],
  labels: readonly string[],
  where: string,
): number {
  if (typeof answer === "number") {
    if (Number.isInteger(answer) && answer >= 0 && answer < choices.length) return answer;
  } else if (typeof answer === "string") {
    const label = labels.indexOf(answer), text = choices.indexOf(answer);
    if (label >= 0 && text >= 0 && label !== text) {
      throw new UserError(
        `${where}: answer ${quoted(answer)} is the label of one choice and the text of ` +
          "another",
        "give its index, from 0",
      );
    }
    if (label >= 0 || text >= 0) return Math.max(label, text);
  }
  throw new UserError(
    `${where}: answer must be an index from 0 to ${choices.length - 1}, one of ` +
      `${labels.join(", ")}, or the text of a choice, got ${quoted(answer)}`,
  );
}
