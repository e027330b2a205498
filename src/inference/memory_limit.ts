/** What does not fit is refused before its first byte is allocated, with the numbers. */
import { PlanAllocator } from "../gpu/allocator.ts";
import { OutOfMemoryError } from "../gpu/errors.ts";
import { machineOf } from "../kernels/machine.ts";
import { createDecoderBuffers, type DecodedModel, Decoder } from "./decoder.ts";

const amount = (bytes: number) =>
  bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(2)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;

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
    `${what} need ${amount(bytes)} of GPU memory, ${amount(left)} are left of ` +
      amount(limit),
  );
}

/** A decoder, unless its cache and its activations are more than the model's limit leaves. */
export function createDecoder(model: LimitedModel, positions: number): Decoder {
  const { gpu, memoryLimit } = model;
  if (memoryLimit !== undefined) {
    const plan = new PlanAllocator();
    createDecoderBuffers(plan, model, { positions, machine: machineOf(gpu) });
    const what = `${positions} tokens of prompt and answer`;
    assertMemory(what, plan.account.peak, memoryLimit, gpu.account.live);
  }
  return new Decoder(model, { positions });
}

export interface LimitedModel extends DecodedModel {
  /** Bytes that the model and what it is doing may take together; undefined: nobody knows. */
  readonly memoryLimit?: number;
}
