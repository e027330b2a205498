/** One attempt of a job: its process from start to end, and its events. */
import type { DataFinding, StepEvent, Summary, WarningEvent } from "../../train/events.ts";
import { isDiskFault } from "../../files/disk_error.ts";
import { removeAll } from "../../files/remove_all.ts";
import { join } from "../../packages/std_path.ts";
import { newId } from "../store/ids.ts";
import type { JobRecord } from "../store/records.ts";
import { folderBytes } from "../storage/data_folder.ts";
import type { FailureEvent, WorkerEvent } from "../worker/protocol.ts";
import { forgetCheckpoints } from "./checkpoint_models.ts";
import { jobEvent, message } from "./job_events.ts";
import type { QueueParts } from "./queue_parts.ts";
import { recoverJournal, untilFree } from "./recover_journal.ts";
import { type Hindered, hinderedByDisk, hindranceOf, noRoom } from "./hindrance.ts";
import { assertFiles, fileOf } from "./inputs.ts";
import { type Task, trainingTask } from "./run_options.ts";
import { inClientTerms } from "./wording.ts";
import { failed, type Intent, leading, type Outcome, outcomeOf } from "./outcome.ts";
import { type Exit, startTraining, type TrainingProcess } from "./training_process.ts";
import { unixSeconds } from "../store/unix_seconds.ts";

/** The estimated finish is not stored at every step. */
const ESTIMATE_INTERVAL_MS = 5000;

export class JobRun {
  #intent: Intent | undefined;
  #process: TrainingProcess | undefined;
  #totalSteps = 0;
  #lastStep: StepEvent | undefined;
  #estimated = 0;
  #summary: Summary | undefined;
  #failure: FailureEvent | undefined;
  /** Why the server ended it. */
  #hindered: Hindered | undefined;
  /** Events since then are in the run's journal alone: the next attempt records them. */
  #unrecorded = false;

  constructor(
    readonly job: JobRecord,
    readonly parts: QueueParts & Required<Pick<QueueParts, "moments">>,
    /** A process that an earlier server started elsewhere. */
    readonly attached?: TrainingProcess,
  ) {}

  /** Whether someone has cancelled it, though it may have succeeded before. */
  get isCancelled(): boolean {
    return this.#intent === "cancel";
  }

  /** Takes effect within a step. Of several intents, the first final one counts. */
  end(intent: Intent): void {
    if (this.#intent === "cancel") return;
    this.#intent = intent;
    // A run that has not started has nothing to save, and a cancelled one need not save.
    const { leave } = this.#process ?? {};
    if (intent === "shutdown" && leave) leave.call(this.#process);
    else if (intent === "cancel" || !this.#totalSteps) this.#process?.kill();
    else this.#process?.stop();
  }

  /** Runs to any outcome, after which no process is left; never throws. */
  async run(): Promise<Outcome> {
    const outcome = await this.#attempt();
    // Whatever else came in between, a job that is to be cancelled is.
    const cancelled = this.isCancelled && outcome.type !== "succeeded";
    return cancelled ? { type: "stopped", intent: "cancel" } : outcome;
  }

  async #attempt(): Promise<Outcome> {
    try {
      return await this.#explained(await this.#run());
    } catch (error) {
      this.#process?.kill();
      await this.#process?.exit.catch(() => {});
      return outcomeOf(error, this.job.id, this.parts.serverLog);
    }
  }

  async #run(): Promise<Outcome> {
    const process = this.attached ? this.#takeUp(this.attached) : await this.#start();
    if (!process) return { type: "stopped", intent: this.#intent! };
    if ("type" in process) return process;
    for await (const event of process.events) await this.#receive(event);
    return this.#outcome(await process.exit);
  }

  /** What it told of its plan is in the store. */
  #takeUp(process: TrainingProcess): TrainingProcess {
    const [plan] = this.parts.store.events.keyed(this.job.id, "plan", 1);
    this.#totalSteps = Number(plan?.data.steps ?? 0);
    return this.#process = process;
  }

  /** Undefined if it is to end before it has begun. */
  async #start(): Promise<TrainingProcess | Hindered | undefined> {
    const { job, parts } = this, folder = parts.storage.jobFolder(job.id);
    await Deno.mkdir(folder, { recursive: true });
    await untilFree(folder, () => this.#intent !== undefined);
    await recoverJournal(folder, (event) => this.#onEvent(event), () => parts.store.sync());
    // Recovered events belong to an earlier attempt: this one must report its own end.
    this.#totalSteps = 0;
    this.#summary = this.#failure = this.#hindered = undefined;
    const task = { ...await this.#task(), timings: await parts.timings?.all() };
    await removeResult(folder);
    parts.storage.remeasure();
    const missing = job.plan.diskBytes - await folderBytes(folder);
    if (!await parts.room.makeRoom(missing)) {
      return noRoom(await parts.storage.free(), missing);
    }
    // Do not await between this check and spawning: end() must have a process to signal.
    if (this.#intent) return undefined;
    return this.#process = (parts.startTraining ?? startTraining)(task);
  }

  /** Throws if something that the run needs is not there. */
  async #task(): Promise<Task> {
    const { job, parts } = this;
    await assertFiles(job, parts);
    return await trainingTask(job, { ...parts, file: (id) => fileOf(parts.store, id) });
  }

  /** Ends the run for a reason of the server. */
  #hinder(hindered: Hindered): void {
    this.#hindered ??= hindered;
    this.#process?.stop();
  }

  /** The stack, which its process wrote. */
  #logFault({ log }: Exit): void {
    const { serverLog } = this.parts, fields = { job_id: this.job.id };
    serverLog.entry("error", "A fault ended the training process", fields, log);
  }

  #outcome(exit: Exit): Outcome {
    const finished = this.#summary && !this.#unrecorded;
    if (this.#hindered && !finished) return this.#hindered;
    const failure = this.#failure, asked = this.#asked(exit);
    if (failure?.follows && asked) this.#noteLeft(failure);
    else if (failure) {
      if (failure.code === "internal_error") this.#logFault(exit);
      return failed(failure);
    }
    if (this.#summary) return { type: "succeeded", summary: this.#summary };
    return asked ?? { type: "crashed", exit };
  }

  /** What its end is where someone has asked for one. */
  #asked({ lost }: Exit): Outcome | undefined {
    if (this.#intent) return { type: "stopped", intent: this.#intent };
    return lost && { type: "lost", ...lost };
  }

  /** A run that was to stop, and whose processes did not all come to do so: it is at its last save. */
  #noteLeft(failure: FailureEvent): void {
    const { job, parts } = this;
    const text = inClientTerms(failure, job, parts);
    parts.log.append(job.id, { ...message(text), level: "warn" });
  }

  /** A run without a result may have lacked something, whatever its process made of that. */
  async #explained(outcome: Outcome): Promise<Outcome> {
    if (outcome.type !== "failed" && outcome.type !== "crashed") return outcome;
    const { job, parts } = this;
    if (outcome.type === "failed" && isDiskFault(outcome.code)) {
      // Omit the hint, which is for command-line users.
      const message = inClientTerms({ message: outcome.message }, job, parts);
      return hinderedByDisk(outcome.code, message);
    }
    try {
      await this.#task();
    } catch (error) {
      const hindered = hindranceOf(error);
      if (hindered) return hindered;
    }
    parts.storage.remeasure();
    if (outcome.type === "crashed" && !await parts.room.makeRoom(1)) {
      return noRoom(0);
    }
    return outcome;
  }

  /** An event that the store cannot take ends the run, as do all after it. */
  async #receive(event: WorkerEvent): Promise<void> {
    if (this.#unrecorded) return;
    try {
      await this.#onEvent(event);
    } catch (error) {
      const hindered = hindranceOf(error);
      if (!hindered) throw error;
      this.#unrecorded = true;
      this.#hinder(hindered);
    }
  }

  async #onEvent(event: WorkerEvent): Promise<void> {
    const { job, parts } = this;
    switch (event.type) {
      case "preparation":
        parts.moments.set(job.id, { preparation: event });
        return;
      case "progress":
        parts.moments.set(job.id, { activity: event });
        return;
      case "timings":
        await parts.timings?.remember(event.key, event.tiles);
        return;
      case "failure":
        this.#failure = leading(this.#failure, event);
        return;
      case "waiting":
        parts.log.append(job.id, { ...message(event.message), level: "warn" });
        return;
      case "done":
        if (event.interrupted) return;
        this.#summary = event.summary;
        break;
      case "failed":
        // The failure itself follows.
        return;
      case "plan":
        this.#totalSteps = event.steps;
        parts.moments.set(job.id, {});
        break;
      case "step":
        this.#lastStep = event;
        this.#estimate(event);
        break;
      case "eval":
        if (this.#hasEvaluation(event.step)) return;
        break;
      case "data":
        event = { ...event, findings: event.findings.map((each) => this.#finding(each)) };
        break;
      case "warning":
        if (isAboutResuming(event)) return;
        event = {
          type: event.type,
          message: inClientTerms({ message: event.phrase ?? event.message }, job, parts),
        };
        break;
      case "checkpoint":
        await this.#recordCheckpoint(event.step);
        break;
    }
    const entry = jobEvent(event, this.#totalSteps);
    if (entry) parts.log.append(job.id, entry);
  }

  #finding(finding: DataFinding): DataFinding {
    const worded = (message: string) => inClientTerms({ message }, this.job, this.parts);
    return { ...finding, message: worded(finding.message), first: finding.first.map(worded) };
  }

  /** An evaluation comes with its step, unless a stop came between the two. */
  #hasEvaluation(step: number): boolean {
    const latest = this.parts.store.events.latest(this.job.id);
    return latest?.step === step && latest.data.valid_loss !== undefined;
  }

  #estimate({ step, step_ms }: StepEvent): void {
    if (performance.now() - this.#estimated < ESTIMATE_INTERVAL_MS) return;
    this.#estimated = performance.now();
    const left = (this.#totalSteps - step) * step_ms;
    const estimatedFinish = Math.round((Date.now() + left) / 1000);
    this.parts.store.jobs.update(this.job.id, { estimatedFinish });
  }

  async #recordCheckpoint(step: number): Promise<void> {
    const { job, parts } = this, last = this.#lastStep;
    parts.store.checkpoints.insert({
      id: newId("ftckpt"),
      jobId: job.id,
      step,
      createdAt: unixSeconds(),
      metrics: last?.step === step
        ? {
          train_loss: last.loss,
          ...(last.eval_loss === undefined ? undefined : { valid_loss: last.eval_loss }),
        }
        : {},
    });
    // It may have replaced an older one.
    await forgetCheckpoints(job.id, parts);
    parts.storage.remeasure();
    if (!await parts.room.makeRoom(1)) this.#hinder(noRoom(0));
  }
}

/** An attempt that ended before its result was recorded may have left one: this one makes its own. */
async function removeResult(folder: string): Promise<void> {
  for (const name of ["model", "adapter"]) await removeAll(join(folder, name));
}

/** Every attempt resumes what is there; that a job has saved nothing yet is no news to its client. */
function isAboutResuming({ phrase }: WarningEvent): boolean {
  const first = typeof phrase === "object" ? phrase.find((piece) => piece !== "") : undefined;
  return typeof first === "object" && "option" in first && first.option === "resume";
}
