/** The buffers of a model for forward passes only. */
import type { Allocator } from "../gpu/allocator.ts";
import { createActivations } from "../model/activations.ts";
import { createHeadWorkspace } from "../model/head_workspace.ts";
import { createLlama, uploadRope } from "../model/llama.ts";
import type { ForwardBuffers } from "../model/pass.ts";
import type { RunnableModel } from "./runnable_model.ts";

export interface ForwardShape {
  readonly batch: number; // B
  readonly length: number; // T
  /** Positions per batch that the head processes; all B·T by default. */
  readonly targets?: number;
}

/** For consecutive passes over batches of this shape. */
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
