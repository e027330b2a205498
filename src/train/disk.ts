/** How much a run will write to disk, without starting it. */
import { PlanAllocator } from "../gpu/allocator.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { elementsOf } from "../numbers/layout.ts";
import type { LlamaConfig } from "../model/config.ts";
import { buildTraining, type TrainingShape } from "./build.ts";
import { stateTensors } from "./state.ts";

export interface DiskPlan {
  /** Size of one checkpoint. */
  readonly checkpointBytes: number;
  /** Size of the resulting weights, a model or an adapter. */
  readonly resultBytes: number;
}

/** Counts the tensors that a checkpoint writes; manifests and tokenizers are negligible. */
export function planDisk(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
): DiskPlan {
  const training = buildTraining(new PlanAllocator(), config, shape, capabilities);
  const { all } = training.model.parameters;
  const adapters = all.filter(({ kind }) => kind === "adapter");
  const saved = adapters.length ? adapters : all;
  // An adapter is saved as float32 whatever the model's format.
  const bytesPerWeight = adapters.length || shape.dtype === "float32" ? 4 : 2;
  return {
    checkpointBytes: sum(stateTensors(training).map(({ tensor }) => tensor.byteLength)),
    resultBytes: sum(saved.map((each) => elementsOf(each) * bytesPerWeight)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
