/** What a model is run in where it learns nothing. */
import type { Allocator } from "../gpu/allocator.ts";
import { createActivations } from "../model/activations.ts";
import { createHeadWorkspace } from "../model/head.ts";
import { createLlama, uploadRope } from "../model/llama.ts";
import type { ForwardBuffers } from "../model/pass.ts";
import type { RunnableModel } from "./runnable_model.ts";

export interface ForwardShape {
  readonly batch: number; // B
  readonly length: number; // T
  /** Positions that the head sees of a batch; all B·T unless given. */
  readonly targets?: number;
}

/** For passes over batches of this shape, one after the other. */
export function createForwardBuffers(
  allocator: Allocator,
  { gpu, config, parameters, dtype }: RunnableModel,
  { batch, length, targets = batch * length }: ForwardShape,
): ForwardBuffers {
  const head = createHeadWorkspace(allocator, config, targets);
  const model = createLlama(allocator, config, parameters, {
    capabilities: gpu.capabilities,
    batch,
    length,
    headRows: head.chunk,
    backward: false,
    dtype,
  });
  uploadRope(gpu, model);
  const use = { batch, length, dtype, keep: "nothing" } as const;
  return { model, head, activations: createActivations(allocator, config, use) };
}
