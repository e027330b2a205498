/**
 * Reads device memory through staging buffers, several of them in flight: a map takes 11 ms or more
 * in Deno however little it reads, and many at once take no longer than one. What is asked for at
 * the same time shares a buffer.
 */
import { GpuError } from "./errors.ts";
import { MAP_MODE } from "./usage.ts";

/**
 * Bytes of a staging buffer, and how many there may be, unless more is asked for: together they hide
 * the wait for a map, and they are memory of the host, once more while Deno copies what is mapped of
 * one.
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

/** A read that is asked for. */
interface Request {
  readonly from: ReadSource;
  readonly into: Uint8Array;
  /** Bytes whose copies the queue has, and those that have come. */
  given: number;
  come: number;
  /** Nothing more of it is read. */
  failed: boolean;
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

/** What a staging buffer receives of a read. */
interface Copy {
  readonly request: Request;
  /** Its place in the buffer, and in what the read fills. */
  readonly at: number;
  readonly start: number;
  readonly length: number;
}

/** A staging buffer whose copies are given. */
interface Filled {
  readonly staging: GPUBuffer;
  readonly copies: readonly Copy[];
  readonly used: number;
}

export class ReadBack {
  readonly #queue: Request[] = [];
  #scheduled = false;
  /** Unused ones. One is kept; the others are released when nothing is left to read. */
  readonly #free: GPUBuffer[];
  #count = 1;
  #most = STAGING_COUNT;
  #inFlight = 0;

  constructor(private readonly of: ReadDevice) {
    this.#free = [of.staging(STAGING_BYTES)];
  }

  /** Reads of so many bytes pass at once from now on, if more do not already. */
  atOnce(bytes: number): void {
    this.#most = Math.max(this.#most, Math.ceil(bytes / STAGING_BYTES));
  }

  /**
   * Fills `into` with bytes of a buffer. They are those of now, unless other reads keep all staging
   * buffers busy: then those of the moment when one becomes free.
   */
  async read(from: ReadSource, into: Uint8Array): Promise<void> {
    from.assertHeld();
    if (into.length) {
      const { promise, resolve: done, reject: fail } = Promise.withResolvers<void>();
      this.#queue.push({ from, into, given: 0, come: 0, failed: false, done, fail });
      this.#schedule();
      await promise;
    }
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
    if (!this.#queue.length) return;
    const { device } = this.of, filled: Filled[] = [];
    let encoder: GPUCommandEncoder | undefined;
    while (this.#queue.length) {
      const staging = this.#takeStaging();
      if (!staging) break;
      encoder ??= device.createCommandEncoder({ label: "read" });
      const { copies, used } = this.#fill(encoder, staging);
      if (used) filled.push({ staging, copies, used });
      else this.#free.push(staging);
    }
    if (!filled.length) return;
    device.queue.submit([encoder!.finish()]);
    this.#inFlight += filled.length;
    // All copies come first: Deno waits for them in the first map, and then for nothing in the others.
    for (const each of filled) void this.#receive(each);
  }

  #takeStaging(): GPUBuffer | undefined {
    if (this.#free.length || this.#count === this.#most) return this.#free.pop();
    this.#count++;
    return this.of.staging(STAGING_BYTES);
  }

  /** Copies what is first in the queue, as much as fits. */
  #fill(encoder: GPUCommandEncoder, staging: GPUBuffer): Omit<Filled, "staging"> {
    const copies: Copy[] = [];
    let used = 0;
    while (used < staging.size && this.#queue.length) {
      const [request] = this.#queue, { from, into, given: start } = request;
      try {
        from.assertHeld();
      } catch (error) {
        this.#fail(request, error);
        continue;
      }
      const length = Math.min(staging.size - used, into.length - start);
      encoder.copyBufferToBuffer(from.buffer, from.offset + start, staging, used, length);
      copies.push({ request, at: used, start, length });
      used += length;
      request.given += length;
      if (request.given === into.length) this.#queue.shift();
    }
    return { copies, used };
  }

  async #receive({ staging, copies, used }: Filled): Promise<void> {
    try {
      await this.#map(staging, used, copies[0].request.from.name);
      const mapped = new Uint8Array(staging.getMappedRange(0, used));
      for (const { request, at, start, length } of copies) {
        if (request.failed) continue;
        request.into.set(mapped.subarray(at, at + length), start);
        request.come += length;
        if (request.come === request.into.length) request.done();
      }
      staging.unmap();
    } catch (error) {
      for (const { request } of copies) this.#fail(request, error);
    }
    this.#inFlight--;
    this.#free.push(staging);
    this.submit();
    if (!this.#inFlight) this.#releaseUnused();
  }

  #fail(request: Request, error: unknown): void {
    request.failed = true;
    request.fail(error);
    const place = this.#queue.indexOf(request);
    if (place >= 0) this.#queue.splice(place, 1);
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
