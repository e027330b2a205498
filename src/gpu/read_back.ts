/**
 * Reads device memory through staging buffers, several of them in flight: a map takes 11 ms or more
 * in Deno however little it reads, and many at once take no longer than one. What is asked for at
 * the same time shares a buffer.
 */
import { GpuError } from "./errors.ts";
import { MAP_MODE } from "./usage.ts";

/**
 * Bytes of a staging buffer, and how many there may be: together they hide the wait for a map, and
 * they are memory of the host, once more while Deno copies what is mapped of one.
 */
const STAGING_BYTES = 4 << 20, STAGING_COUNT = 4;

/** A device, as far as reading from it is concerned. */
export interface ReadDevice {
  readonly device: GPUDevice;
  /** Makes a staging buffer. */
  readonly staging: (bytes: number) => GPUBuffer;
  /** Throws the first error that the device reported, if any. */
  readonly check: () => Promise<void>;
  /** What to report for an error. */
  readonly causeOf: (error: Error) => Promise<Error>;
}

/** Where to read, a multiple of 4. */
export interface ReadSource {
  /** Of the tensor, for messages. */
  readonly name: string;
  readonly buffer: GPUBuffer;
  readonly offset: number;
  /** Throws if the buffer must not be read any more. */
  readonly assertHeld: () => void;
}

/** A part of a read that passes through one staging buffer. */
interface Part {
  readonly from: ReadSource;
  readonly offset: number;
  readonly length: number;
  readonly arrive: (bytes: Uint8Array) => void;
  readonly fail: (error: unknown) => void;
}

export class ReadBack {
  readonly #queue: Part[] = [];
  #scheduled = false;
  /** Unused ones. One is kept; the others are released when nothing is left to read. */
  readonly #free: GPUBuffer[];
  #count = 1;
  #inFlight = 0;

  constructor(private readonly of: ReadDevice) {
    this.#free = [of.staging(STAGING_BYTES)];
  }

  /**
   * Fills `into` with bytes of a buffer. They are those of now, unless other reads keep all staging
   * buffers busy: then those of the moment when one becomes free.
   */
  async read(from: ReadSource, into: Uint8Array): Promise<void> {
    from.assertHeld();
    const parts: Promise<void>[] = [];
    for (let at = 0; at < into.length; at += STAGING_BYTES) {
      const target = into.subarray(at, Math.min(into.length, at + STAGING_BYTES));
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const arrive = (bytes: Uint8Array) => {
        target.set(bytes);
        resolve();
      };
      const { length } = target;
      this.#queue.push({ from, offset: from.offset + at, length, arrive, fail: reject });
      parts.push(promise);
    }
    this.#schedule();
    await Promise.all(parts);
    await this.of.check();
  }

  /** Reads that are asked for in one go are submitted together, and before any other work. */
  #schedule(): void {
    if (this.#scheduled || !this.#queue.length) return;
    this.#scheduled = true;
    queueMicrotask(() => this.submit());
  }

  /** Gives the queue the copies that were asked for, as far as staging buffers are free. */
  submit(): void {
    this.#scheduled = false;
    while (this.#queue.length) {
      const staging = this.#takeStaging();
      if (!staging) return;
      this.#fill(staging);
    }
  }

  #takeStaging(): GPUBuffer | undefined {
    if (this.#free.length || this.#count === STAGING_COUNT) return this.#free.pop();
    this.#count++;
    return this.of.staging(STAGING_BYTES);
  }

  /** Copies the first parts of the queue, as many as fit. */
  #fill(staging: GPUBuffer): void {
    const { device } = this.of;
    const encoder = device.createCommandEncoder({ label: "read" });
    const parts: { readonly part: Part; readonly at: number }[] = [];
    let used = 0, count = 0;
    for (const part of this.#queue) {
      if (used + part.length > staging.size) break;
      count++;
      try {
        part.from.assertHeld();
      } catch (error) {
        part.fail(error);
        continue;
      }
      encoder.copyBufferToBuffer(part.from.buffer, part.offset, staging, used, part.length);
      parts.push({ part, at: used });
      used += part.length;
    }
    this.#queue.splice(0, count);
    if (!parts.length) return void this.#free.push(staging);
    device.queue.submit([encoder.finish()]);
    this.#inFlight++;
    void this.#receive(staging, parts, used);
  }

  async #receive(
    staging: GPUBuffer,
    parts: readonly { readonly part: Part; readonly at: number }[],
    used: number,
  ): Promise<void> {
    try {
      await this.#map(staging, used, parts[0].part.from.name);
      const mapped = new Uint8Array(staging.getMappedRange(0, used));
      for (const { part, at } of parts) part.arrive(mapped.subarray(at, at + part.length));
      staging.unmap();
    } catch (error) {
      for (const { part } of parts) part.fail(error);
    }
    this.#inFlight--;
    this.#free.push(staging);
    this.submit();
    if (!this.#inFlight) this.#releaseUnused();
  }

  async #map(staging: GPUBuffer, bytes: number, name: string): Promise<void> {
    try {
      // At once: Deno waits here until the GPU is idle, so work must not come before it.
      await staging.mapAsync(MAP_MODE.READ, 0, bytes);
    } catch (error) {
      throw await this.of.causeOf(new GpuError(`read ${name}: ${(error as Error).message}`));
    }
  }

  /** The memory of large reads is wanted while they last: a checkpoint, an export. */
  #releaseUnused(): void {
    for (const staging of this.#free.splice(1)) staging.destroy();
    this.#count = 1;
  }
}
