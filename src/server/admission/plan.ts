/** Checks before accepting a job that it fits the GPU's memory and the disk. */
import type { LlamaConfig } from "../../model/config.ts";
import { spell } from "../../options/phrase.ts";
import { formatBytes } from "../../text.ts";
import type { TrainingShape } from "../../train/build.ts";
import type { FinetuneOptions } from "../../train/finetune_options.ts";
import type { PretrainOptions } from "../../train/options.ts";
import { type DiskPlan, planDisk } from "../../train/disk.ts";
import { gpuMemoryLimit } from "../../train/gpu_memory.ts";
import { alternativesTo, describeAlternatives, neededText } from "../../train/does_not_fit.ts";
import { type Fit, type Planning, whatFits } from "../../train/fit.ts";
import { planMemory } from "../../train/plan.ts";
import { withBatchesOf } from "../../train/rank_options.ts";
import { ApiError } from "../api_error.ts";
import { onFirstCard } from "../jobs/slots.ts";
import { REQUEST } from "../protocol/spelling.ts";
import type { JobPlan, PlannedJob, Services } from "../services.ts";
import { ranksOf } from "../store/records.ts";

type PlanServices = Pick<Services, "options" | "device" | "store" | "own">;

/**
 * Plans with the allocating code itself: a few milliseconds for a model of 8 billion parameters.
 * `options` and `shape` are those of each of its processes.
 */
export function planJob(
  services: PlanServices,
  run: {
    readonly kind: JobPlan["kind"];
    readonly config: LlamaConfig;
    readonly options: PretrainOptions | FinetuneOptions;
    readonly shape: TrainingShape;
    readonly ranks: number;
  },
): PlannedJob {
  const { kind, config, shape, ranks } = run, { localSteps } = run.options;
  const { capabilities } = services.device, { maxBufferSize } = capabilities.limits;
  const plan = planMemory(config, shape, capabilities);
  const limit = memoryLimit(services);
  const ofAll = { ...run, options: withBatchesOf(run.options, ranks) };
  // The first of several processes writes what others keep, too.
  const whole = { ...shape, optimizer: { ...shape.optimizer, shares: undefined } };
  const fits = plan.allocatedBytes <= (limit ?? Infinity) && plan.largest.bytes <= maxBufferSize;
  return {
    kind,
    run: ofAll,
    plan,
    limit,
    disk: planDisk(config, whole, capabilities, localSteps && ranks),
    maxBufferSize,
    fits,
    alternatives: fits ? [] : limit && alternativesTo(ofAll, limit, capabilities) || undefined,
  };
}

/**
 * What fits with the job's method and rank: the largest batch by length and options that save memory.
 * Nothing where the memory is not known. Lets other requests be answered meanwhile; ends early with
 * the request that asks.
 */
export async function largestBatches(
  { device: { capabilities } }: PlanServices,
  { run, limit }: PlannedJob,
  signal: AbortSignal,
): Promise<Fit[]> {
  if (limit === undefined) return [];
  const { seqLen: _, batchSize: __, ...options } = run.options;
  const { projection, rank = projection?.rank } = run.shape?.optimizer ?? {};
  const settled = { ...run, options: { ...options, rank } };
  return await patiently(whatFits(settled, limit, capabilities), signal);
}

/** Milliseconds for which other requests wait at most. */
const TURN_MS = 10;

async function patiently<Result>(planning: Planning<Result>, signal: AbortSignal): Promise<Result> {
  for (let since = performance.now();;) {
    const { done, value } = planning.next();
    if (done) return value;
    if (performance.now() - since < TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    signal.throwIfAborted();
    since = performance.now();
  }
}

/**
 * Bytes that a job may use; undefined if unknown. The workers of a card share its memory. Where the
 * processor is the GPU, memory of the running jobs will be free when the next ones start.
 */
function memoryLimit({ options, device, store, own }: PlanServices): number | undefined {
  const limit = gpuMemoryLimit(device, options.gpuMemory);
  if (limit === Infinity) return undefined;
  // Cards are dealt in turn: the first has the most.
  const sharing = Math.max(1, onFirstCard(own).length);
  if (options.gpuMemory !== undefined) return limit / sharing;
  const running = store.jobs.withStatus("running").filter(({ runsOn }) => !runsOn?.lease)
    .reduce((bytes, job) => bytes + ranksOf(job) * job.plan.plannedPeakBytes, 0);
  return Math.min(limit + running, Deno.systemMemoryInfo().total) / sharing;
}

/** Throws an ApiError 400 with the plan, the limit, and what would fit. */
export function assertFitsMemory({ plan, limit, maxBufferSize, fits, alternatives }: PlannedJob) {
  if (fits) return;
  const refuse = (message: string) => {
    throw new ApiError(400, { message, code: "insufficient_gpu_memory" });
  };
  const { largest, byPurpose } = plan;
  if (largest.bytes > maxBufferSize) {
    refuse(
      `tensor ${largest.name} needs one buffer of ${amount(largest.bytes)}, this GPU allows ` +
        amount(maxBufferSize),
    );
  }
  const parts = Object.entries(byPurpose).filter(([, bytes]) => bytes > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([purpose, bytes]) => `${purpose.replaceAll("_", " ")} ${amount(bytes)}`);
  refuse(
    `this job needs ${neededText(plan, parts)}, ` +
      `${amount(limit!)} available; ${spell(describeAlternatives(alternatives), REQUEST)}`,
  );
}

/**
 * The kept checkpoints, the one written before the oldest is removed, and the result must fit.
 * Throws an ApiError 400 with the numbers.
 */
export async function assertFitsDisk(
  { disk }: PlannedJob,
  { options: { keepCheckpoints }, storage, room }: Pick<Services, "options" | "storage" | "room">,
): Promise<void> {
  const { checkpointBytes, resultBytes } = disk, needed = diskBytes(disk, keepCheckpoints);
  if (await room.makeRoom(needed)) return;
  const free = await storage.free();
  throw new ApiError(400, {
    message: `this job needs ${amount(needed)} of disk (${keepCheckpoints + 1} checkpoints of ` +
      `${amount(checkpointBytes)} and a result of ${amount(resultBytes)}), ` +
      `${amount(free)} are free; delete files or models you do not need`,
    code: "insufficient_storage",
  });
}

/** While a checkpoint is written, the oldest kept one still exists. */
export function diskBytes(
  { checkpointBytes, resultBytes }: DiskPlan,
  keepCheckpoints: number,
): number {
  return checkpointBytes * (keepCheckpoints + 1) + resultBytes;
}

/** Four digits, because required and available amounts are often close. */
const amount = (bytes: number) => formatBytes(bytes, 4);
