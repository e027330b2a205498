/** How much a run will write to disk, without starting it, and whether there is room for it. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { DiskFullError } from "../files/disk_error.ts";
import { formatBytes } from "../text.ts";
import { PlanAllocator } from "../gpu/allocator.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { elementsOf } from "../numbers/layout.ts";
import type { LlamaConfig } from "../model/config.ts";
import { resultOf } from "../model/lora_shape.ts";
import { type LlamaParameters, type Parameter, wholeParameters } from "../model/parameters.ts";
import { freeBytes } from "../files/stat.ts";
import type { RunOptions, TrainingData } from "./recipe.ts";
import { buildTraining, type TrainingShape } from "./build.ts";
import { outerBytes } from "./outer_state.ts";
import { stateTensors } from "./state.ts";

export interface DiskPlan {
  /** Size of one checkpoint. */
  readonly checkpointBytes: number;
  /** Size of the resulting weights, a model or an adapter. */
  readonly resultBytes: number;
}

/**
 * Counts the tensors that a checkpoint writes; manifests and tokenizers are negligible. It holds those
 * of all of `localRanks`, where ranks train by themselves.
 */
export function planDisk(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
  localRanks = 0,
): DiskPlan {
  const training = buildTraining(new PlanAllocator(), config, shape, capabilities);
  const { parameters } = training.model, isAdapter = resultOf(shape.lora) === "adapter";
  const saved = isAdapter
    ? savedWithAdapter(parameters)
    : wholeParameters(parameters).map(({ parameter }) => parameter);
  // An adapter is saved as float32 whatever the model's format.
  const bytesPerWeight = isAdapter || shape.dtype === "float32" ? 4 : 2;
  const own = sum(stateTensors(training).map(({ tensor }) => tensor.byteLength));
  return {
    checkpointBytes: localRanks ? localRanks * own + outerBytes(training) : own,
    resultBytes: sum(saved.map((each) => elementsOf(each) * bytesPerWeight)),
  };
}

/** Bytes of a run at most: its checkpoints while one more is written, and the result. */
export function runBytes(
  { checkpointBytes, resultBytes }: DiskPlan,
  { saves, keep }: { readonly saves: number; readonly keep: number },
): number {
  return Math.min(saves, keep + 1) * checkpointBytes + resultBytes;
}

/**
 * Refuses a run that will not have the room to save what it trains, and returns a warning for one
 * that may not have it for checkpoints by minutes. `done` are the steps of the checkpoint that it
 * continues from, whose room is taken already.
 */
export async function assertRoom(
  { output, saveEvery, saveMinutes, keepCheckpoints, loadBestModelAtEnd }: Pick<
    RunOptions,
    "output" | "saveEvery" | "saveMinutes" | "keepCheckpoints" | "loadBestModelAtEnd"
  >,
  { steps, stepsPerEpoch = steps }: Pick<TrainingData, "steps" | "stepsPerEpoch">,
  plan: DiskPlan,
  done = 0,
): Promise<Phrase | undefined> {
  const free = await freeBytes(output);
  if (free === undefined) return undefined;
  const every = saveEvery === "epoch" ? stepsPerEpoch : saveEvery || steps;
  const saves = Math.ceil((steps - done) / every) + (loadBestModelAtEnd ? 1 : 0);
  const keep = keepCheckpoints + (loadBestModelAtEnd ? 1 : 0) - (done > 0 ? 1 : 0);
  const message = (needed: number) =>
    phrase`${option("output", output)}: ${formatBytes(free)} of the disk are free, but the run will
      need ${formatBytes(needed)}: ${formatBytes(plan.checkpointBytes)} per checkpoint and
      ${formatBytes(plan.resultBytes)} for the result`;
  const hint = phrase`free some space, keep fewer checkpoints with ${option("keepCheckpoints", 1)},
    or choose another ${option("output")}`;
  const needed = runBytes(plan, { saves, keep });
  if (needed > free) throw new DiskFullError(message(needed), hint);
  const most = runBytes(plan, { saves: saveMinutes === 0 ? saves : Infinity, keep });
  return most > free
    ? phrase`if it lasts longer than ${option("saveMinutes", saveMinutes)}: ${
      message(most)
    }; ${hint}`
    : undefined;
}

/** What is trained; a tied head is saved as well. */
function savedWithAdapter({ all, embedding, head }: LlamaParameters): Parameter[] {
  const trained = all.filter(({ trainable }) => trainable);
  return head === embedding && embedding.trainable ? [...trained, head] : trained;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
