/** All models: those in the models folder, and results of jobs. */
import { join } from "../../packages/std_path.ts";
import { methodNamed, methodOf, resultOfMethod } from "../../train/methods.ts";
import { ApiError } from "../api_error.ts";
import { checkpointModelFolder } from "../jobs/checkpoint_models.ts";
import { type FoundModel, scanModels } from "./scan.ts";
import { checkpointModelName } from "../protocol/job.ts";
import { FINAL_STATUSES, JOB_STATUSES, type JobRecord } from "../store/records.ts";
import type { Inference, ModelRecord, Models, Services } from "../services.ts";

/** Milliseconds for which a scan of the models folder is cached: many requests come at once. */
const FRESH_MS = 1000;

const UNFINISHED = JOB_STATUSES.filter((status) => !FINAL_STATUSES.includes(status));

interface Scanned {
  readonly at: number;
  readonly models: Promise<FoundModel[]>;
  isOver: boolean;
}

export interface ModelParts extends Pick<Services, "store" | "storage"> {
  readonly options: Pick<Services["options"], "modelsFolder">;
  /** Lazy, because inference depends on the models. */
  readonly inference: () => Pick<Inference, "loaded" | "unload">;
}

export class ModelFolder implements Models {
  #scanned: Scanned | undefined;

  constructor(readonly parts: ModelParts) {}

  async list(): Promise<ModelRecord[]> {
    const records = new Map<string, ModelRecord>();
    for (const found of await this.#scan()) records.set(found.name, { ...found, kind: "base" });
    // Oldest first, so that a result follows its base model.
    for (const job of this.parts.store.jobs.resultModels()) {
      const record = this.#resultOf(job, records);
      if (record) records.set(record.name, record);
    }
    return [...records.values(), ...this.#checkpoints(records)];
  }

  async get(name: string): Promise<ModelRecord> {
    const find = async () => (await this.list()).find((each) => each.name === name);
    let model = await find();
    if (!model) {
      // It may have come since the folder was scanned.
      this.#outdate();
      model = await find();
    }
    if (model) return model;
    throw new ApiError(404, {
      message: `The model '${name}' does not exist: GET /v1/models lists all models`,
      param: "model",
      code: "model_not_found",
    });
  }

  async delete(name: string): Promise<void> {
    const { store, inference } = this.parts;
    const { kind, jobId } = await this.get(name);
    if (kind !== "result") throw notDeletable(name, kind);
    this.#refuseIfNeeded(name);
    // Remove the name first: after a crash a folder without a name does no harm, unlike the
    // reverse. On a full disk, removing the folder makes the room for that.
    store.jobs.settle(jobId!, { resultModel: null });
    if (!store.jobs.isHeld(jobId!)) await store.sync();
    if (inference().loaded === name) await inference().unload();
    await this.#remove(resultFolder(store.jobs.get(jobId!)!, this.parts.storage));
    store.held.attempt();
  }

  #scan(): Promise<FoundModel[]> {
    const now = performance.now();
    if (!this.#scanned || now - this.#scanned.at > FRESH_MS) {
      const scanned: Scanned = {
        at: now,
        models: scanModels(this.parts.options.modelsFolder).finally(() => scanned.isOver = true),
        isOver: false,
      };
      this.#scanned = scanned;
    }
    return this.#scanned.models;
  }

  /** Has the next list scan anew, unless a scan is in progress: of many requests one scans. */
  #outdate(): void {
    if (this.#scanned?.isOver) this.#scanned = undefined;
  }

  /** Undefined if the base model of an adapter is gone. */
  #resultOf(
    job: JobRecord,
    known: ReadonlyMap<string, ModelRecord>,
  ): ModelRecord | undefined {
    const base = {
      name: job.resultModel!,
      createdAt: job.finishedAt ?? job.createdAt,
      kind: "result" as const,
      jobId: job.id,
    };
    const folder = resultFolder(job, this.parts.storage);
    if (!hasAdapter(job)) return { ...base, path: folder };
    const model = known.get(job.model);
    return model && { ...base, path: model.path, adapter: folder };
  }

  #checkpoints(known: ReadonlyMap<string, ModelRecord>): ModelRecord[] {
    const { store, storage } = this.parts;
    const jobs = new Map<string, JobRecord>();
    return store.checkpoints.all().flatMap(({ jobId, step, createdAt }) => {
      const job = jobs.get(jobId) ?? store.jobs.get(jobId)!;
      jobs.set(jobId, job);
      const folder = checkpointModelFolder(storage.jobFolder(jobId), step);
      const places = hasAdapter(job)
        ? { path: known.get(job.model)?.path, adapter: join(folder, "adapter") }
        : { path: join(folder, "model") };
      if (!places.path) return [];
      const name = checkpointModelName(job, step);
      return [{ ...places, path: places.path, name, createdAt, kind: "checkpoint", jobId, step }];
    });
  }

  #refuseIfNeeded(name: string): void {
    const { jobs } = this.parts.store;
    const training = jobs.withStatus(...UNFINISHED)
      .filter(({ model, options }) => model === name || options.tokenizer === name);
    if (training.length) {
      const ids = training.map(({ id }) => id).join(", ");
      throw inUse(name, `${ids} trains it: cancel it or wait until it ends`);
    }
    const upon = jobs.resultModels().filter((job) => job.model === name && hasAdapter(job));
    if (upon.length) {
      const names = upon.map(({ resultModel }) => resultModel).join(", ");
      throw inUse(name, `${names} is an adapter of it: delete that first`);
    }
  }

  async #remove(folder: string): Promise<void> {
    let bytes = 0;
    try {
      for await (const { name, isFile } of Deno.readDir(folder)) {
        if (isFile) bytes += (await Deno.stat(join(folder, name))).size;
      }
      await Deno.remove(folder, { recursive: true });
      this.parts.storage.account(-bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Whether its result is an adapter of its base model. */
function hasAdapter({ kind, options }: Pick<JobRecord, "kind" | "options">): boolean {
  const method = methodNamed(options.optimizer);
  const isRandom = kind === "pretraining" && options.from === undefined;
  return !!method && resultOfMethod(methodOf(method), { isRandom }) === "adapter";
}

function resultFolder(job: JobRecord, storage: Services["storage"]): string {
  return join(storage.jobFolder(job.id), hasAdapter(job) ? "adapter" : "model");
}

function notDeletable(name: string, kind: ModelRecord["kind"]): ApiError {
  const why = kind === "base"
    ? "it is in the models folder, which the server only reads"
    : "it is a checkpoint and is deleted with its job's";
  return new ApiError(403, {
    message: `The model '${name}' cannot be deleted: ${why}`,
    param: "model",
    code: "model_not_deletable",
  });
}

function inUse(name: string, why: string): ApiError {
  return new ApiError(409, {
    message: `The model '${name}' is in use: ${why}`,
    param: "model",
    code: "model_in_use",
  });
}
