/** A job on a worker's machine, from its lease to its end. */
import { join } from "../../packages/std_path.ts";
import type { Exit, StartTraining, TrainingProcess } from "../jobs/training_process.ts";
import { type Claimed, INPUTS, type Orders, type Report, RUN } from "../pool/protocol.ts";
import type { ServerLog } from "../server_log.ts";
import type { StepEvent } from "../../train/events.ts";
import type { WorkerEvent } from "../worker/protocol.ts";
import type { Inputs } from "./inputs.ts";
import { Outbox } from "./outbox.ts";
import { Refusal, type ServerClient } from "./server_client.ts";
import { Uploads } from "./uploads.ts";

export interface JobParts {
  readonly client: ServerClient;
  readonly inputs: Inputs;
  readonly log: ServerLog;
  readonly startTraining: StartTraining;
  /** Of the worker's jobs: each has a folder in it while it runs. */
  readonly folder: string;
  /** GiB that the run may use. */
  readonly gpuMemory: number | undefined;
  /** Called whenever the server has been heard from. */
  readonly onAlive: () => void;
  /** Saves, sends what is saved, and gives the job back. */
  readonly stop: AbortSignal;
}

export class Job {
  readonly #lost = new AbortController();
  readonly #outbox: Outbox;
  readonly #root: string;
  readonly #lease: string;
  #process: TrainingProcess | undefined;
  #lastStep: StepEvent | undefined;

  constructor(readonly claimed: Claimed, readonly parts: JobParts) {
    const { lease, seconds } = claimed;
    this.#root = join(parts.folder, lease);
    this.#lease = `/leases/${lease}`;
    this.#outbox = new Outbox({
      send: (report) => this.#report(report),
      onOrders: ({ stop }) => {
        parts.onAlive();
        if (stop) this.#process?.stop();
      },
      onLost: (refusal) => {
        parts.log.warn(`a job was given up: ${refusal.message}`, { lease });
        this.#lost.abort(refusal);
        this.#process?.kill();
      },
    }, Math.min(2000, seconds * 1000 / 4));
  }

  /** Never throws. */
  async run(): Promise<void> {
    const { log, stop } = this.parts, { lease } = this.claimed;
    const onStop = () => this.#process?.stop();
    stop.addEventListener("abort", onStop);
    try {
      const exit = await this.#run();
      await this.#outbox.close();
      const left = stop.aborted ? "was stopped" : undefined;
      await this.#report({ events: [], end: { ...exit, left } });
    } catch (error) {
      await this.#failed(error as Error);
    } finally {
      stop.removeEventListener("abort", onStop);
      await Deno.remove(this.#root, { recursive: true }).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) log.fault(error, { lease });
      });
    }
  }

  async #failed(error: Error): Promise<void> {
    if (this.#lost.signal.aborted) return;
    const { lease } = this.claimed;
    this.parts.log.fault(error, { lease });
    this.#process?.kill();
    await this.#process?.exit;
    await this.#outbox.close();
    if (error instanceof Refusal) return;
    const left = `could not go on: ${error.message}`;
    const end = { code: 1, signal: null, log: error.stack ?? "", left };
    await this.#report({ events: [], end }).catch(() => {}); // its lease ends anyway
  }

  async #run(): Promise<Exit> {
    const signal = this.#lost.signal, { claimed, parts } = this;
    await parts.inputs.bring(claimed, this.#root, {
      signal,
      onShare: (share) => this.#outbox.add({ type: "preparation", what: "fetching inputs", share }),
    });
    if (parts.stop.aborted) return { code: 0, signal: null, log: "" };
    const process = this.#process = parts.startTraining(this.#task());
    const uploads = new Uploads({
      client: parts.client,
      lease: this.#lease,
      root: this.#root,
      origins: claimed.origins,
      signal,
    });
    for await (const event of process.events) await this.#relay(event, uploads);
    const exit = await process.exit;
    await uploads.idle();
    signal.throwIfAborted();
    return exit;
  }

  /** What has been saved is told of when the server has it. */
  async #relay(event: WorkerEvent, uploads: Uploads): Promise<void> {
    if (event.type === "step") this.#lastStep = event;
    if (event.type === "checkpoint") {
      const step = this.#lastStep;
      // Its step comes once more, for the server's record of the checkpoint.
      await uploads.checkpoint(
        `checkpoint-${event.step}`,
        () => this.#outbox.add(...step?.step === event.step ? [step, event] : [event]),
      );
    } else {
      if (event.type === "done" && !event.interrupted) await uploads.result();
      this.#outbox.add(event);
    }
  }

  /** The task with this machine's paths. */
  #task() {
    const { task, paths } = this.claimed;
    const here = (place: string) => join(this.#root, place);
    const own = Object.fromEntries(
      Object.entries(paths).map(([name, place]) => [
        name,
        typeof place === "string" ? here(place) : place.map(here),
      ]),
    );
    const { gpuMemory: _, ...options } = task.options;
    const { gpuMemory } = this.parts;
    return {
      ...task,
      options: { ...options, ...own, ...(gpuMemory !== undefined && { gpuMemory }) },
      reads: [join(this.#root, INPUTS), join(this.#root, RUN)],
    };
  }

  async #report(body: Report): Promise<Orders> {
    const signal = this.#lost.signal;
    return await this.parts.client.json("POST", `${this.#lease}/reports`, { body, signal });
  }
}
