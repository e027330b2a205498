/** A job on a worker's machine, from its lease to its end. */
import { join } from "../../packages/std_path.ts";
import type { Task } from "../jobs/run_options.ts";
import type { Exit, StartTraining, TrainingProcess } from "../jobs/training_process.ts";
import {
  type Claimed,
  INPUTS,
  LEASE_LOST,
  type Orders,
  type Report,
  RUN,
  WAS_STOPPED,
} from "../pool/protocol.ts";
import type { ServerLog } from "../server_log.ts";
import type { StepEvent } from "../../train/events.ts";
import type { WorkerEvent } from "../worker/protocol.ts";
import type { Inputs } from "./inputs.ts";
import { Outbox } from "./outbox.ts";
import { Refusal, type ServerClient } from "./server_client.ts";
import { Uploads } from "./uploads.ts";
import { removeAll } from "../../files/remove_all.ts";

export interface JobParts {
  readonly client: ServerClient;
  readonly inputs: Inputs;
  readonly log: ServerLog;
  readonly startTraining: StartTraining;
  /** Of the worker's jobs: each has a folder in it while it runs. */
  readonly folder: string;
  /** What its processes are told of their cards. */
  readonly cards: Pick<Task, "environment" | "cards">;
  /** GiB that the run may use. */
  readonly gpuMemory: number | undefined;
  /** Called whenever the server has been heard from. */
  readonly onAlive: () => void;
  /** Saves, sends what is saved, and gives the job back. */
  readonly stop: AbortSignal;
}

/** Milliseconds that an answer to a report may take at least, however short the lease. */
const SHORTEST_MS = 5000;

export class Job {
  /** Ends whatever the job does here; the reason is what is wrong. */
  readonly #cut = new AbortController();
  /** The server no longer listens to it. */
  readonly #lost = new AbortController();
  readonly #outbox: Outbox;
  readonly #root: string;
  readonly #lease: string;
  #process: TrainingProcess | undefined;
  #lastStep: StepEvent | undefined;
  /** What the run came to: told of together with its end. */
  readonly #outcome: WorkerEvent[] = [];
  #isEnding = false;

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
      onFault: (error) => this.#giveUp(error),
    }, Math.min(2000, seconds * 1000 / 4));
  }

  /** Never throws; resolves to whether nothing on this machine, or between it and the server, failed. */
  async run(): Promise<boolean> {
    const { log, stop } = this.parts, { lease } = this.claimed;
    const onStop = () => this.#process?.stop();
    stop.addEventListener("abort", onStop);
    try {
      const exit = await this.#run();
      const left = stop.aborted ? WAS_STOPPED : undefined;
      this.#isEnding = true;
      await this.#outbox.close({ ...exit, left }, this.#outcome);
      this.#cut.signal.throwIfAborted();
      return true;
    } catch (error) {
      return await this.#failed((this.#cut.signal.reason ?? error) as Error);
    } finally {
      stop.removeEventListener("abort", onStop);
      await removeAll(this.#root).catch((error) => log.fault(error, { lease }));
    }
  }

  #giveUp(error: unknown): void {
    if (error instanceof Refusal && error.code === LEASE_LOST) this.#lost.abort(error);
    this.#cut.abort(error);
    this.#process?.kill();
  }

  /** As {@link run}. */
  async #failed(error: Error): Promise<boolean> {
    this.#giveUp(error);
    await this.#process?.exit;
    const { claimed: { lease }, parts: { log } } = this;
    if (this.#lost.signal.aborted) {
      // Of a report that was sent again, the first may have arrived.
      if (this.#isEnding) log.info("the server has no such lease any more", { lease });
      else log.warn(`a job was given up: ${error.message}`, { lease });
      await this.#outbox.close();
      return true;
    }
    log.fault(error, { lease });
    const left = `could not go on: ${error.message}`;
    const end = { code: 1, signal: null, log: error.stack ?? "", left };
    if (!await this.#outbox.close(end)) {
      await this.#report({ events: [], end }).catch(() => {}); // its lease ends anyway
    }
    return false;
  }

  async #run(): Promise<Exit> {
    const { claimed, parts } = this, { signal } = this.#cut;
    try {
      await parts.inputs.bring(claimed, this.#root, {
        signal: AbortSignal.any([signal, parts.stop]),
        onShare: (share) =>
          this.#outbox.add({ type: "preparation", what: "fetching inputs", share }),
      });
      parts.stop.throwIfAborted();
    } catch (error) {
      if (error !== parts.stop.reason) throw error;
      return { code: 0, signal: null, log: "" };
    }
    signal.throwIfAborted();
    const process = this.#process = parts.startTraining(this.#task());
    const uploads = new Uploads({
      client: parts.client,
      lease: this.#lease,
      root: this.#root,
      origins: claimed.origins,
      signal,
      onFault: (error) => this.#giveUp(error),
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
    } else if (event.type === "done" || event.type === "failure") {
      if (event.type === "done" && !event.interrupted) await uploads.result();
      this.#outcome.push(event);
    } else this.#outbox.add(event);
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
    const { gpuMemory, cards } = this.parts;
    return {
      ...task,
      ...cards,
      options: { ...options, ...own, ...(gpuMemory !== undefined && { gpuMemory }) },
      reads: [join(this.#root, INPUTS), join(this.#root, RUN)],
    };
  }

  async #report(body: Report): Promise<Orders> {
    // A call that hangs must not outlast the lease.
    const silence = Math.max(SHORTEST_MS, this.claimed.seconds * 1000 / 3);
    const { signal } = this.#lost;
    return await this.parts.client.json("POST", `${this.#lease}/reports`, {
      body,
      signal,
      silence,
    });
  }
}
