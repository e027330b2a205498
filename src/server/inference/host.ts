/** Runs models for inference, at most one on the GPU at a time, in a separate process. */
import { unlessAborted } from "../../train/unless_aborted.ts";
import { ApiError } from "../api_error.ts";
import { onFirstCard } from "../jobs/slots.ts";
import type { ServerOptions } from "../options.ts";
import type { ServerLog } from "../server_log.ts";
import type {
  GenerationEvent,
  GenerationRequest,
  Inference,
  ModelRecord,
  Models,
  OwnWorker,
} from "../services.ts";
import { placesOf } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { ModelProcess } from "./model_process.ts";
import { Turns } from "./turns.ts";

/** After this a stalled reader loses its turn, so that the others get theirs. */
const STALL_MS = 60_000;
/** Largest delay of a timer. */
const LONGEST_MS = 2 ** 31 - 1;

export interface HostParts {
  readonly options: Pick<ServerOptions, "modelIdle" | "gpuMemory" | "maxWaiting">;
  readonly models: Pick<Models, "get">;
  readonly serverLog: ServerLog;
  readonly store: { readonly jobs: Pick<Store["jobs"], "withStatus"> };
  /** The workers of this machine. */
  readonly own: readonly OwnWorker[];
  /** Called before the model of a checkpoint is loaded, to create its folder. */
  readonly materialize?: (model: ModelRecord) => Promise<void>;
  /** For tests: patience with slow readers. */
  readonly stallMs?: number;
}

export class InferenceHost implements Inference {
  readonly #turns: Turns;
  #process: ModelProcess | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly parts: HostParts) {
    this.#turns = new Turns(parts.options.maxWaiting);
  }

  get loaded(): string | undefined {
    return this.#process?.ready ? this.#process.model.name : undefined;
  }

  /** The id of the process that has the model. */
  get pid(): number | undefined {
    return this.#process?.ready ? this.#process.pid : undefined;
  }

  async *generate(
    request: GenerationRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GenerationEvent, void, void> {
    // Report an unknown model immediately.
    await this.parts.models.get(request.model);
    const end = await this.#turns.take(signal);
    clearTimeout(this.#idle);
    const loading = signal.aborted
      ? Promise.reject<never>(signal.reason)
      : this.#load(request.model);
    const process = await unlessAborted(loading, signal).catch((error) => {
      // What is being loaded cannot be stopped, and serves the next request.
      loading.catch(() => {}).finally(() => this.#end(end));
      throw error;
    });
    const generation = process.generate(request, signal, this.parts.stallMs ?? STALL_MS);
    generation.ended.then(() => this.#end(end));
    yield* generation.events;
  }

  /** Waits only for the answer in progress. */
  async unload(): Promise<void> {
    const end = await this.#turns.takeNext();
    try {
      await this.#process?.end();
      this.#process = undefined;
    } finally {
      end();
    }
  }

  /** Ends the answer in progress immediately; waiting clients get a 503. */
  async stop(): Promise<void> {
    clearTimeout(this.#idle);
    this.#turns.close(
      new ApiError(503, {
        message: "the server is stopping: try again when it is back",
        type: "server_error",
        code: "server_stopping",
      }),
    );
    await this.#process?.end();
  }

  async #load(name: string): Promise<ModelProcess> {
    if (this.#process?.ready && this.#process.model.name === name) return this.#process;
    await this.#process?.end();
    this.#process = undefined;
    // It may have been deleted in the meantime.
    const model = await this.parts.models.get(name);
    if (model.kind === "checkpoint") await this.parts.materialize?.(model);
    this.#turns.check();
    const process = this.#process = new ModelProcess(model, this.parts.serverLog);
    await process.load(this.#gpuMemory());
    return process;
  }

  /** GiB left by jobs of the same card. */
  #gpuMemory(): number | undefined {
    const { options: { gpuMemory }, store, own } = this.parts;
    if (gpuMemory === undefined) return undefined;
    const sharing = onFirstCard(own);
    const taken = store.jobs.withStatus("running")
      .flatMap(({ runsOn, plan }) => placesOf(runsOn).map(({ worker }) => ({ worker, plan })))
      .filter(({ worker }) => sharing.includes(worker))
      .reduce((sum, { plan }) => sum + plan.plannedPeakBytes, 0);
    return Math.max(0, gpuMemory - taken / 2 ** 30);
  }

  #end(endTurn: () => void): void {
    endTurn();
    if (!this.#turns.idle) return;
    const ms = Math.min(this.parts.options.modelIdle * 60_000, LONGEST_MS);
    this.#idle = setTimeout(() => this.unload().catch(() => {}), ms);
  }
}
