/** Runs a task: turns prompts into requests, and log-likelihoods into scores. */
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { UserError } from "../options/user_error.ts";
import type { LogLikelihoodRequest } from "../inference/log_likelihood.ts";
import { binaryScore, f1, matthews, meanScore, pooledScore, type Score } from "./metrics.ts";
import { encodePairs, type Scorer } from "./scoring.ts";
import {
  ANSWER_DELIMITER,
  type Metric,
  type Question,
  renderShot,
  type Task,
  type TaskPart,
} from "./task.ts";

/** Options of {@link evaluateTask}. */
export interface TaskOptions {
  /** The model's. */
  readonly tokenizer: Tokenizer;
  /** Scores the answers: `model.logLikelihoods`, or something else in its place. */
  readonly score: Scorer;
  /** Most input tokens of a prompt with an answer. */
  readonly length: number;
  /** Number of first questions of each part; by default all. */
  readonly limit?: number;
  /** Called with the number of questions answered. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Scores by metric. */
export type Scores = Partial<Record<Metric, Score>>;

/** Scores of a category or subject. */
export interface GroupResult {
  /** What the questions have in common. */
  readonly kind: "category" | "subject";
  /** Of the category or subject. */
  readonly name: string;
  /** Number of questions. */
  readonly questions: number;
  /** Over these questions. */
  readonly metrics: Scores;
}

/** What a model scores on a task. */
export interface TaskResult {
  /** Name of the task. */
  readonly task: string;
  /** Number of questions. */
  readonly questions: number;
  /** Over all questions, regardless of subject. */
  readonly metrics: Scores;
  /** Categories, then subjects, if the task has them. */
  readonly groups: readonly GroupResult[];
  /** What was skipped or truncated. */
  readonly notes: readonly string[];
}

/** The result of a question: log-likelihoods in the order of its choices. */
interface Answered {
  readonly question: Question;
  readonly logLikelihoods: readonly number[];
}

interface PartResult {
  readonly part: TaskPart;
  readonly size: number;
  readonly metrics: Scores;
}

/**
 * Asks every question of a task and scores the answers. Throws a {@link UserError} on a task that
 * has no question.
 */
export async function evaluateTask(task: Task, options: TaskOptions): Promise<TaskResult> {
  const parts = task.parts.map((part) => ({
    part,
    questions: part.questions.slice(0, options.limit),
  }));
  const total = parts.reduce((sum, { questions }) => sum + questions.length, 0);
  if (total === 0) throw new UserError(`${task.name}: has no question`);
  const cuts: Cuts = { fewerShots: 0, leftEnds: 0 };
  const results: PartResult[] = [];
  let done = 0;
  for (const { part, questions } of parts) {
    if (!questions.length) continue;
    const answered = await ask(part, questions, options, cuts, (share) => {
      options.onProgress?.(done + Math.floor(share * questions.length), total);
    });
    results.push({
      part,
      size: questions.length,
      metrics: scoresOf(answered, task.metrics),
    });
    done += questions.length;
  }
  return {
    task: task.name,
    questions: total,
    metrics: results.length === 1 ? results[0].metrics : pooled(results, task.metrics),
    groups: groupsOf(results, task.metrics),
    notes: [...task.notes, ...describeCuts(cuts, total, options.length)],
  };
}

/** Questions whose prompt did not fit entirely. */
interface Cuts {
  fewerShots: number;
  /** Those of which not even the description and the question fit entirely. */
  leftEnds: number;
}

async function ask(
  part: TaskPart,
  questions: readonly Question[],
  { tokenizer, score, length }: TaskOptions,
  cuts: Cuts,
  onProgress: (share: number) => void,
): Promise<Answered[]> {
  const shots = part.shots.map(renderShot);
  const requests: LogLikelihoodRequest[] = [];
  for (const question of questions) {
    const continuations = question.choices.map((choice) => ANSWER_DELIMITER + choice);
    let shown = shots.length, pairs: LogLikelihoodRequest[];
    for (;; shown--) {
      const prompt = part.description + shots.slice(0, shown).join("") + question.prompt;
      pairs = encodePairs(tokenizer, prompt, continuations);
      if (shown === 0 || pairs.every((pair) => fits(pair, length))) break;
    }
    if (shown < shots.length) cuts.fewerShots++;
    if (!pairs.every((pair) => fits(pair, length))) cuts.leftEnds++;
    requests.push(...pairs);
  }
  const answers = await score(requests, (done, total) => onProgress(done / total));
  let at = 0;
  return questions.map((question) => ({
    question,
    logLikelihoods: question.choices.map(() => answers[at++].logLikelihood),
  }));
}

/** The last token is only predicted, not an input. */
function fits({ context, continuation }: LogLikelihoodRequest, length: number): boolean {
  return context.length + continuation.length <= length + 1;
}

function describeCuts({ fewerShots, leftEnds }: Cuts, total: number, length: number): string[] {
  const notes = [];
  const tokens = `${length} tokens`;
  if (fewerShots) {
    notes.push(
      `${fewerShots} of ${total} prompts do not fit in ${tokens} and show fewer examples`,
    );
  }
  if (leftEnds) {
    notes.push(
      `${leftEnds} of ${total} prompts exceed ${tokens} on their own and lost their start`,
    );
  }
  return notes;
}

/** The index of the largest; the first if equal. */
function argmax(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

/** Normalising lengths of log-likelihoods. Characters are code points. */
const LENGTHS: Partial<Record<Metric, (choice: string) => number>> = {
  acc_norm: (choice) => [...choice].length,
  acc_bytes: (choice) => new TextEncoder().encode(choice).length,
};

function scoresOf(answered: readonly Answered[], metrics: readonly Metric[]): Scores {
  const gold = answered.map(({ question }) => question.answer);
  return Object.fromEntries(metrics.map((metric) => {
    const lengthOf = LENGTHS[metric] ?? (() => 1);
    const predicted = answered.map(({ question, logLikelihoods }) =>
      argmax(logLikelihoods.map((value, i) => value / lengthOf(question.choices[i])))
    );
    if (metric === "f1") return [metric, binaryScore(f1, gold, predicted)];
    if (metric === "mcc") return [metric, binaryScore(matthews, gold, predicted)];
    return [metric, meanScore(gold.map((answer, i) => Number(answer === predicted[i])))];
  }));
}

function pooled(results: readonly PartResult[], metrics: readonly Metric[]): Scores {
  return Object.fromEntries(metrics.map((metric) => [
    metric,
    pooledScore(results.map(({ size, metrics }) => ({ size, ...metrics[metric]! }))),
  ]));
}

function groupsOf(results: readonly PartResult[], metrics: readonly Metric[]): GroupResult[] {
  const categories = [...new Set(results.flatMap(({ part }) => part.category ?? []))];
  return [
    ...categories.map((name): GroupResult => {
      const members = results.filter(({ part }) => part.category === name);
      return {
        kind: "category",
        name,
        questions: members.reduce((sum, { size }) => sum + size, 0),
        metrics: pooled(members, metrics),
      };
    }),
    ...results.filter(({ part }) => part.name !== undefined).map((
      { part, size, metrics },
    ): GroupResult => ({ kind: "subject", name: part.name!, questions: size, metrics })),
  ];
}
