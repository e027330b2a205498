/** What a task is: questions with given answers, of which a model has to find one the likeliest. */

/** A question with the answers to choose from. */
export interface Question {
  /** Ends where the answer would begin, without a blank. */
  readonly prompt: string;
  /** The answers. */
  readonly choices: readonly string[];
  /** The index of the right one. */
  readonly answer: number;
}

/** Questions with the same beginning: a subject of MMLU, or all of a task. */
export interface TaskPart {
  /** Of a subject; undefined for the only part of a task. */
  readonly name?: string;
  /** The category that the subject belongs to. */
  readonly category?: string;
  /** What stands before everything, with its line breaks. */
  readonly description: string;
  /** Answered questions to show first. */
  readonly shots: readonly Question[];
  /** Those to ask. */
  readonly questions: readonly Question[];
}

/**
 * - `acc`: share of questions whose right answer has the highest log-likelihood;
 * - `acc_norm`, `acc_bytes`: the same with log-likelihoods divided by the answers' characters, or
 *   bytes (as lm-evaluation-harness counts them: without the blank before an answer);
 * - `f1`, `mcc`: of two classes, the second answer being the positive one.
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
  /** What its reader left out, and the like. */
  readonly notes: readonly string[];
}

/** What a task's answer is introduced by: it goes into the continuation, not into the prompt. */
export const ANSWER_DELIMITER = " ";

/** A question with its answer, as it stands before the one that is asked. */
export function renderShot({ prompt, choices, answer }: Question): string {
  return `${prompt}${ANSWER_DELIMITER}${choices[answer]}\n\n`;
}
