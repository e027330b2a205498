/** The tasks by name, and the syntax of specifications: `mmlu:<folder>,choices:<file>`. */
import { UserError } from "../options/user_error.ts";
import type { Task } from "./task.ts";
import { loadChoices } from "./tasks/choices.ts";
import { GLUE_TASKS, loadGlue } from "./tasks/glue.ts";
import { loadMmlu } from "./tasks/mmlu.ts";
import { quoted } from "../text.ts";

/** A task to load. */
export interface TaskSpec {
  /** One of {@link TASK_NAMES}. */
  readonly name: string;
  /** Its file or folder. */
  readonly path: string;
}

type Loader = (path: string, shots?: number) => Promise<Task>;

const LOADERS: Readonly<Record<string, Loader>> = {
  mmlu: loadMmlu,
  choices: loadChoices,
  ...Object.fromEntries(
    Object.keys(GLUE_TASKS).map((name): [string, Loader] => [
      name,
      (path, shots) => loadGlue(name, path, shots),
    ]),
  ),
};

/** The tasks that {@link loadTask} knows. */
export const TASK_NAMES: readonly string[] = Object.keys(LOADERS);

const ALIASES: Readonly<Record<string, string>> = {
  sst: "sst2",
  "sst-2": "sst2",
  mnli_matched: "mnli",
  mnli_mismatched: "mnli_mismatch",
  "sts-b": "stsb",
};

/** Reads `name:path,name:path`. Throws a {@link UserError} on an unknown name. */
export function parseTaskSpecs(text: string): TaskSpec[] {
  // A comma separates only before a name and a colon, because paths may contain commas.
  return text.split(/,(?=[\w-]+:)/).map((spec) => {
    const colon = spec.indexOf(":");
    const written = (colon < 0 ? spec : spec.slice(0, colon)).trim();
    const path = colon < 0 ? "" : spec.slice(colon + 1).trim();
    const lower = written.toLowerCase(), name = ALIASES[lower] ?? lower;
    if (name === "stsb") {
      throw new UserError(
        "task stsb: is a regression, and has no answers to choose from",
        `the others of GLUE are ${Object.keys(GLUE_TASKS).join(", ")}`,
      );
    }
    if (!Object.hasOwn(LOADERS, name)) {
      throw new UserError(
        `task ${quoted(written)} is not known: known are ${TASK_NAMES.join(", ")}`,
      );
    }
    if (!path) throw new UserError(`task ${name}: needs a path: ${name}:<path>`);
    return { name, path };
  });
}

/** Reads a task's files. `shots` examples go before each question; by default the task's own. */
export function loadTask({ name, path }: TaskSpec, shots?: number): Promise<Task> {
  return LOADERS[name](path, shots);
}
