/** What every use of a model requires. */
import type { Gpu } from "../gpu/gpu.ts";
import type { ActivationType } from "../kernels/format.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { LlamaParameters } from "../model/parameters.ts";

/** A model that can be run, such as `LlamaForCausalLM`. */
export interface RunnableModel {
  /** The device that holds it. */
  readonly gpu: Gpu;
  /** Its shape. */
  readonly config: LlamaConfig;
  /** Its weights. */
  readonly parameters: LlamaParameters;
  /** Format of activations. */
  readonly dtype: ActivationType;
  /** Bytes for the model and its use together; undefined if unknown. */
  readonly memoryLimit?: number;
}
