/** What does not fit is refused before its first byte is allocated, with the numbers. */
import { PlanAllocator } from "../gpu/allocator.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import { formatBytes } from "../text.ts";
import { CachedSequence, createSequenceBuffers } from "./cached_sequence.ts";
import type { RunnableModel } from "./runnable_model.ts";

/** Four digits: what is needed and what is left are often close. */
const amount = (bytes: number) => formatBytes(bytes, 4);

/**
 * Throws an {@link OutOfMemoryError} where `bytes` more are too many.
 *
 * @param what the subject of the message: "the weights of llama3"
 * @param limit bytes in all; undefined where nobody knows, and the allocation itself must tell
 * @param live bytes that are taken already
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

/** An empty sequence, unless its cache and activations are more than the model's limit leaves. */
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
