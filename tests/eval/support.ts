/** Results of lm-evaluation-harness on the files in tests/fixtures/eval. */

import { fromFileUrl } from "@std/path";
export interface HarnessTask {
  readonly shots: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly prompts: string[];
  readonly continuations: string[][];
  readonly logLikelihoods: number[][];
}

export interface HarnessMmlu {
  readonly subjects: Readonly<Record<string, HarnessTask>>;
  readonly all: Readonly<Record<string, number>>;
  readonly stem: Readonly<Record<string, number>>;
}

export const EVAL_FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/eval/"));

/**
 * By tests/golden/make_log_likelihoods.py, with the model llama-gqa-tied and one token per byte.
 */
export const goldenTasks:
  & { readonly mmlu: HarnessMmlu; readonly choices: HarnessTask }
  & Readonly<Record<string, HarnessTask & { readonly folder: string }>> = JSON.parse(
    await Deno.readTextFile(`${EVAL_FIXTURES}tasks.json`),
  );

/** Where the files of a task are. */
export function pathOf(name: string): string {
  if (name === "mmlu") return `${EVAL_FIXTURES}mmlu`;
  if (name === "choices") return `${EVAL_FIXTURES}choices/test.jsonl`;
  return `${EVAL_FIXTURES}glue/${goldenTasks[name].folder}`;
}
