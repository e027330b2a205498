/** What a run will write, before there is one. */
import { PlanAllocator } from "../gpu/allocator.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { elementsOf } from "../numbers/layout.ts";
import type { LlamaConfig } from "../model/config.ts";
import { buildTraining, type TrainingShape } from "./build.ts";
import { stateTensors } from "./state.ts";

export interface DiskPlan {
  /** Of one checkpoint. */
  readonly checkpointBytes: number;
  /** Of the weights of the result, a model or an adapter. */
  readonly resultBytes: number;
}

/** Plans by the tensors that a checkpoint writes; manifests and tokenizers are small beside them. */
export function planDisk(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
): DiskPlan {
  const training = buildTraining(new PlanAllocator(), config, shape, capabilities);
  const { all } = training.model.parameters;
  const adapters = all.filter(({ kind }) => kind === "adapter");
  const saved = adapters.length ? adapters : all;
  // An adapter is saved as float32 whatever the model is.
  const bytesPerWeight = adapters.length || shape.dtype === "float32" ? 4 : 2;
  return {
    checkpointBytes: sum(stateTensors(training).map(({ tensor }) => tensor.byteLength)),
    resultBytes: sum(saved.map((each) => elementsOf(each) * bytesPerWeight)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
