/** A task: multiple-choice questions, answered by the likeliest choice. */

/** A question with the answers to choose from. */
export interface Question {
  /** Ends where the answer would start, without a space. */
  readonly prompt: string;
  /** The answers. */
  readonly choices: readonly string[];
  /** Index of the correct choice. */
  readonly answer: number;
}

/** Questions with the same description and shots: a subject of MMLU, or a whole task. */
export interface TaskPart {
  /** Name of the subject; undefined for the only part of a task. */
  readonly name?: string;
  /** The category that the subject belongs to. */
  readonly category?: string;
  /** Text before everything else, with its line breaks. */
  readonly description: string;
  /** Answered questions to show first (few-shot examples). */
  readonly shots: readonly Question[];
  /** Those to ask. */
  readonly questions: readonly Question[];
}

/**
 * - `acc`: share of questions whose correct answer has the highest log-likelihood;
 * - `acc_norm`, `acc_bytes`: the same with log-likelihoods divided by the answers' characters, or
 *   bytes (as lm-evaluation-harness counts them: without the space before an answer);
 * - `f1`, `mcc`: for two classes, the second answer being the positive one.
 */
export type Metric = "acc" | "acc_norm" | "acc_bytes" | "f1" | "mcc";

/** A benchmark of questions with given answers. */
export interface Task {
  /** As {@link TaskSpec.name}. */
  readonly name: string;
  /** What is reported, the main one first. */
  readonly metrics: readonly Metric[];
  /** Its questions, by subject. */
  readonly parts: readonly TaskPart[];
  /** Notes of its reader, for example on skipped questions. */
  readonly notes: readonly string[];
}

/** Separator before an answer, part of the continuation rather than the prompt. */
export const ANSWER_DELIMITER = " ";

/** A question with its answer, as a few-shot example. */
export function renderShot({ prompt, choices, answer }: Question): string {
  return `${prompt}${ANSWER_DELIMITER}${choices[answer]}\n\n`;
}
