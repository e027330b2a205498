/** Results of `eval` as a table: one line per metric. */
import type { Scores, TaskResult } from "../eval/evaluate_task.ts";
import type { Evaluation } from "../inference/perplexity.ts";

/** Results of one model: on the text, the tasks, or both. */
export interface Measured extends Partial<Evaluation> {
  readonly tasks?: readonly TaskResult[];
}

interface Line {
  readonly name: string;
  readonly metric: string;
  readonly value: number;
  readonly stderr: number | null;
  /** Number of questions or tokens. */
  readonly count: number;
}

/** With `before`, adds columns for the model before training and the difference. */
export function evalTable(after: Measured, before?: Measured): string {
  const earlier = before ? linesOf(before) : [];
  const header = before
    ? ["task", "metric", "before", "after", "difference", "n"]
    : ["task", "metric", "value", "n"];
  const rows = linesOf(after).map((line, index) => {
    const { name, metric, value, count } = line;
    const was = earlier[index];
    const measured = was ? [score(was), score(line), signed(value - was.value)] : [score(line)];
    return [name, metric, ...measured, String(count)];
  });
  return align([header, ...rows]);
}

function linesOf({ loss, perplexity, tokens, tasks = [] }: Measured): Line[] {
  const text = { name: "text", stderr: null, count: tokens! };
  return [
    ...(tokens === undefined ? [] : [
      { ...text, metric: "loss", value: loss! },
      { ...text, metric: "perplexity", value: perplexity! },
    ]),
    ...tasks.flatMap(taskLines),
  ];
}

/** The task, then its categories, then its subjects, each indented further. */
function taskLines({ task, questions, metrics, groups }: TaskResult): Line[] {
  const indent = { category: "  ", subject: "    " };
  return [
    ...metricLines(task, metrics, questions),
    ...groups.flatMap(({ kind, name, questions, metrics }) =>
      metricLines(indent[kind] + name, metrics, questions)
    ),
  ];
}

function metricLines(name: string, metrics: Scores, count: number): Line[] {
  return Object.entries(metrics).map(([metric, score]) => ({ name, metric, count, ...score }));
}

function score({ value, stderr }: Line): string {
  return value.toFixed(4) + (stderr === null ? "" : ` ± ${stderr.toFixed(4)}`);
}

function signed(value: number): string {
  return (value < 0 ? "" : "+") + value.toFixed(4);
}

/** Two spaces between columns; numbers right-aligned. */
function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
    ).join("  ").trimEnd()
  ).join("\n");
}
