/** Refuses what does not fit, with the numbers, before allocating anything. */
import { PlanAllocator } from "../gpu/allocator.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import { formatBytes } from "../text.ts";
import { CachedSequence } from "./cached_sequence.ts";
import { createSequenceBuffers } from "./sequence_buffers.ts";
import type { RunnableModel } from "./runnable_model.ts";

/** Four digits, because required and available amounts are often close. */
const amount = (bytes: number) => formatBytes(bytes, 4);

/**
 * Throws an {@link OutOfMemoryError} if `bytes` more do not fit.
 *
 * @param what the subject of the message: "the weights of llama3"
 * @param limit bytes in total; undefined if unknown, when only the allocation itself can fail
 * @param live bytes already in use
 */
export function assertMemory(
  what: string,
  bytes: number,
  limit: number | undefined,
  live = 0,
): void {
  if (limit === undefined || live + bytes <= limit) return;
  const left = Math.max(0, limit - live);
  throw new OutOfMemoryError(
    `${what} need ${amount(bytes)} of GPU memory, ${amount(left)} of ` +
      `${amount(limit)} available`,
  );
}

/** Creates an empty sequence, if its cache and activations fit the model's memory limit. */
export function createSequence(model: RunnableModel, positions: number): CachedSequence {
  const { gpu, memoryLimit } = model;
  if (memoryLimit !== undefined) {
    const plan = new PlanAllocator();
    createSequenceBuffers(plan, model, { positions, capabilities: gpu.capabilities });
    const what = `${positions} tokens of prompt and answer`;
    assertMemory(what, plan.account.peak, memoryLimit, gpu.account.live);
  }
  return new CachedSequence(model, { positions });
}
