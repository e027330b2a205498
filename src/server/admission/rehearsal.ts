/**
 * Opens what a job would train on before it is accepted, with the run's own code, in a process of its
 * own: whatever is wrong is known at once, not when the job's turn comes.
 */
import { firstOption, onAScreen, type Phrase } from "../../options/phrase.ts";
import type { Explanation } from "../../options/user_error.ts";
import { fileOf } from "../jobs/inputs.ts";
import { trainingTask } from "../jobs/run_options.ts";
import { inClientTerms } from "../jobs/wording.ts";
import { ask } from "../processes/ask.ts";
import { denoProcess } from "../processes/deno_process.ts";
import { jsonLine } from "../processes/lines.ts";
import type { NewJob, Rehearsed, Rehearsing, Services } from "../services.ts";
import { newId } from "../store/ids.ts";

/** The process's output. */
export type Opened =
  | { readonly warnings: readonly Phrase[] }
  | { readonly refused: Explanation };

/** Milliseconds; what takes longer is found out by the run. */
const PATIENCE = 20_000;

const PROGRAM = new URL("./rehearsal_process.ts", import.meta.url).href;

export class Rehearsal implements Rehearsing {
  /** One after another, so that each has a core to itself. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly parts: Pick<Services, "options" | "models" | "storage" | "store">,
    readonly patience: number = PATIENCE,
  ) {}

  rehearse(job: NewJob): Promise<Rehearsed | undefined> {
    const deadline = performance.now() + this.patience;
    const turn = this.#last.then(() => this.#run(job, deadline - performance.now()));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #run(job: NewJob, patience: number): Promise<Rehearsed | undefined> {
    if (patience <= 0) return undefined;
    const { store, storage } = this.parts, id = newId(PREFIXES[job.kind]);
    const folder = storage.jobFolder(id);
    try {
      const { reads, ...task } = await trainingTask({ ...job, id }, {
        ...this.parts,
        file: (id) => fileOf(store, id),
      });
      const command = denoProcess(PROGRAM, { read: [folder, ...reads] }, { stdin: "piped" });
      const child = spawned(command);
      if (!child) return undefined;
      const writer = child.stdin.getWriter();
      // A process that has ended already answers by its end.
      writer.write(jsonLine(task)).then(() => writer.close()).catch(() => {});
      const asked = await ask<Opened>(child, patience);
      // It took too long, or needs more memory than is free now: the run will find out.
      if (!("answer" in asked)) return undefined;
      const worded = (explanation: Explanation) =>
        inClientTerms(explanation, { ...job, id }, this.parts);
      const { answer } = asked;
      return "refused" in answer
        ? { refused: worded(answer.refused), option: firstOption(answer.refused.message) }
        : { warnings: answer.warnings.map((each) => worded({ message: onAScreen(each) })) };
    } finally {
      // Nothing but a configuration that was part of the request.
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
  }
}

/** Undefined if the system does not start a process now: a run that it does not start is paused. */
function spawned(command: Deno.Command): Deno.ChildProcess | undefined {
  try {
    return command.spawn();
  } catch {
    return undefined;
  }
}

const PREFIXES = { fine_tuning: "ftjob", pretraining: "ptjob" } as const;
