/** One run of a comparison, from its first step or its checkpoint to its record. */
import { join } from "../packages/std_path.ts";
import { checkpointSteps } from "../formats/checkpoint/reader.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { readLines } from "../report/lines.ts";
import { reportedRun } from "../report/reported_run.ts";
import { pruneCheckpoints } from "../train/checkpoint.ts";
import { NotFiniteError } from "../train/divergence.ts";
import type { StepMetrics, Summary } from "../train/events.ts";
import type { FinetuneOptions } from "../train/finetune_options.ts";
import { gpuMemoryLimit } from "../train/gpu_memory.ts";
import { METRICS_FILE } from "../train/metrics.ts";
import type { PretrainOptions } from "../train/options.ts";
import type { MemoryPlan } from "../train/plan.ts";
import { Trainer } from "../train/trainer.ts";
import type { ComparedRun, CompareEvent, Comparing } from "./events.ts";
import { type ComparedMethod, runOptions, serialisable } from "./methods.ts";
import type { ComparedKind } from "./options.ts";
import type { MadeWith, RunRecord } from "./record.ts";
import { lacksMemory } from "./sweep.ts";
import { removeAll } from "../files/remove_all.ts";

type Values = Readonly<Record<string, unknown>>;
type Ending = Pick<RunRecord, "status" | "message">;

/** The share of a run whose losses stand for its end. */
const TAIL = 0.1;

/** A run, and where and of what it is made. */
export interface RunToTrain {
  readonly gpu: Gpu;
  readonly kind: ComparedKind;
  readonly method: ComparedMethod;
  readonly run: ComparedRun;
  /** Steps of a whole run. */
  readonly wholeSteps: number;
  /** The comparison's output folder. */
  readonly folder: string;
  readonly plan: MemoryPlan;
  readonly made: MadeWith;
}

/** Undefined if it was stopped; it is then saved. What is no result of the method is thrown. */
export async function* trainRun(
  given: RunToTrain,
  { signal, onPreparation, onProgress }: Comparing,
): AsyncGenerator<CompareEvent, RunRecord | undefined> {
  const { gpu, kind, method, run, folder } = given, { purpose, seed, lr, steps } = run;
  const output = join(folder, run.folder), isSweep = purpose === "sweep";
  const resume = (await checkpointSteps(output)).length ? "auto" : undefined;
  const change = isSweep ? sweepOptions(method, steps / given.wholeSteps) : undefined;
  const options = runOptions(kind, method, { seed, lr, steps, output, resume, ...change });
  let ending: Ending, summary: Partial<Summary> = {};
  try {
    using trainer = kind === "pretrain"
      ? await Trainer.pretrain(gpu, options as unknown as PretrainOptions, {
        onPreparation,
        signal,
      })
      : await Trainer.finetune(gpu, options as unknown as FinetuneOptions, {
        onPreparation,
        signal,
      });
    const running = { signal, onProgress };
    for await (const event of isSweep ? trainer.run(running) : reportedRun(trainer, running)) {
      if (event.type === "done") summary = event.summary;
      yield { type: "run_event", folder: run.folder, event };
      if (event.type === "done" && event.interrupted) return undefined;
    }
    ending = { status: summary.diverged ? "diverged" : "done" };
  } catch (error) {
    if (signal?.aborted && (error as Error).name === "AbortError") return undefined;
    ending = endingOf(error, given);
  }
  const record = await recordOf(given, ending, summary);
  // One that the driver stopped continues at the next sitting.
  if (!lacksMemory(record)) await tidy(output, isSweep);
  return record;
}

function endingOf(error: unknown, { gpu, method, plan }: RunToTrain): Ending {
  if (error instanceof NotFiniteError) return { status: "diverged", message: error.message };
  if (!(error instanceof OutOfMemoryError)) throw error;
  const { hint } = error.explanation, message = hint ? `${error.message}; ${hint}` : error.message;
  const limit = gpuMemoryLimit(gpu, method.options.gpuMemory as number | undefined);
  const { maxBufferSize } = gpu.capabilities.limits;
  const isTooLarge = plan.allocatedBytes > limit || plan.largest.bytes > maxBufferSize;
  return { status: isTooLarge ? "does_not_fit" : "out_of_memory", message };
}

/** What of a whole run's options does not go with a short one. */
function sweepOptions({ options }: ComparedMethod, share: number): Values {
  const { warmupSteps } = options;
  const warmup = warmupSteps === undefined
    ? undefined
    : { warmupSteps: Math.round(Number(warmupSteps) * share) };
  const without = [
    "samplePrompt",
    "sampleTokens",
    "loadBestModelAtEnd",
    "earlyStoppingPatience",
    "earlyStoppingThreshold",
    "jaggedRestartSteps",
    "jaggedRestartWarmupSteps",
  ].map((name) => [name, undefined]);
  return { ...Object.fromEntries(without), evalEvery: 0, saveEvery: 0, ...warmup };
}

async function recordOf(
  { method, run, folder, plan, made }: RunToTrain,
  ending: Ending,
  summary: Partial<Summary>,
): Promise<RunRecord> {
  const { lines } = await readLines<StepMetrics>(join(folder, run.folder, METRICS_FILE));
  const tail = lines.slice(-Math.ceil(TAIL * run.steps)), last = lines.at(-1);
  return {
    ...run,
    options: serialisable(method.options),
    ...ending,
    first_loss: summary.first_loss ?? lines[0]?.loss,
    final_loss: summary.final_loss ?? last?.loss,
    tail_loss: tail.length
      ? tail.reduce((sum, { loss }) => sum + loss, 0) / tail.length
      : undefined,
    eval_loss: summary.eval_loss,
    eval_perplexity: summary.eval_perplexity,
    tokens: summary.tokens ?? last?.tokens,
    planned_peak_bytes: summary.planned_peak_bytes ?? plan.plannedPeakBytes,
    gpu_peak_bytes: summary.gpu_peak_bytes ?? last?.gpu_peak_bytes,
    by_purpose: plan.byPurpose,
    subspace_refreshes: summary.subspace_refreshes,
    subspace_refreshes_fixed_interval: summary.subspace_refreshes_fixed_interval,
    // The first step finds the subspace of every matrix that has one.
    subspaces: lines[0]?.refreshed?.length,
    seconds: lines.reduce((sum, { step_ms }) => sum + step_ms, 0) / 1000,
    made_with: made,
  };
}

/** A run that is done is never resumed, and the model of one that tried a rate is of no use. */
async function tidy(output: string, isSweep: boolean): Promise<void> {
  await pruneCheckpoints(output, 0);
  for (const name of isSweep ? ["model", "adapter"] : []) {
    await removeAll(join(output, name));
  }
}
