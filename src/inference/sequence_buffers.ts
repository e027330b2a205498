/** What a cached sequence allocates: its model's workspaces, KV cache and activations. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { type Activations, createActivations } from "../model/activations.ts";
import { recordNorms } from "../model/dora.ts";
import type { KeyValueCache } from "../model/forward.ts";
import { createLlama, type Llama, uploadRope } from "../model/llama.ts";
import { activationRows } from "./activation_rows.ts";
import type { RunnableModel } from "./runnable_model.ts";
import { type ChoiceBuffers, createChoiceBuffers } from "./token_choice.ts";

export interface CachedSequenceOptions {
  /** Initial capacity in tokens; see {@link CachedSequence.reserve}. */
  readonly positions: number;
  /**
   * Most tokens per pass. Activations are allocated for this many, however long the prompt; below a
   * few hundred, matrix products are inefficient.
   */
  readonly chunk?: number;
}

/** Tokens of a pass, unless told otherwise. */
export const CHUNK = 512;

export interface SequenceBuffers {
  readonly llama: Llama;
  readonly cache: KeyValueCache;
  readonly activations: Activations; // of a chunk
  readonly single: Activations; // of one token, in the same memory
  readonly last: Tensor; // (1, C)
  readonly logits: Tensor; // (1, V)
  readonly choice: ChoiceBuffers;
}

/** The same on the device. */
export type Buffers = SequenceBuffers & { readonly scope: Scope };

/** Allocated, with RoPE's table and DoRA's lengths in them. */
export function createBuffers(model: RunnableModel, capacity: number, chunk: number): Buffers {
  const { gpu } = model, scope = new Scope(gpu);
  const buffers = createSequenceBuffers(scope, model, {
    positions: capacity,
    chunk,
    capabilities: gpu.capabilities,
  });
  uploadRope(gpu, buffers.llama);
  const pass = new KernelPass(gpu);
  recordNorms(pass, buffers.llama);
  pass.submit();
  return { ...buffers, scope };
}

/** Everything a cached sequence allocates; with a PlanAllocator, its memory plan. */
export function createSequenceBuffers(
  allocator: Allocator,
  { config, parameters, dtype }: Omit<RunnableModel, "gpu">,
  { positions: capacity, chunk = CHUNK, capabilities }: CachedSequenceOptions & {
    readonly capabilities: Capabilities;
  },
): SequenceBuffers {
  const make = (name: string, shape: readonly number[], format: Tensor["dtype"] = dtype) =>
    allocator.tensor({ name, shape, dtype: format, purpose: "activations" });
  const length = Math.min(chunk, capacity);
  const llama = createLlama(allocator, config, parameters, {
    capabilities,
    batch: 1,
    length,
    positions: capacity,
    headRows: 1,
    backward: false,
    dtype,
  });
  const keys = config.keyValueHeads * config.headSize;
  const cache: KeyValueCache = {
    layers: parameters.layers.map((_, layer) => ({
      key: make(`cache.${layer}.key`, [capacity, keys]),
      value: make(`cache.${layer}.value`, [capacity, keys]),
    })),
    capacity,
    length: 0,
  };
  const activations = createActivations(allocator, config, {
    batch: 1,
    length,
    dtype,
    keep: "nothing",
  });
  return {
    llama,
    cache,
    activations,
    single: activationRows(activations, 1),
    last: make("last", [1, config.hiddenSize]),
    logits: make("logits", [1, config.vocabSize], "float32"),
    choice: createChoiceBuffers(allocator, config, capacity),
  };
}
