/** What running a model takes, whatever is asked of it. */
import type { Gpu } from "../gpu/gpu.ts";
import type { ActivationType } from "../kernels/format.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { LlamaParameters } from "../model/parameters.ts";

/** A model that can be run: a `LlamaForCausalLM` is one. */
export interface RunnableModel {
  /** The device that holds it. */
  readonly gpu: Gpu;
  /** Its shape. */
  readonly config: LlamaConfig;
  /** Its weights. */
  readonly parameters: LlamaParameters;
  /** Format of activations. */
  readonly dtype: ActivationType;
  /** Bytes that the model and what it is doing may take together; undefined: nobody knows. */
  readonly memoryLimit?: number;
}
