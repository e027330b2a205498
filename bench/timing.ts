/**
 * Times recorded work over batches much longer than the clock's resolution. Uses the card's own
 * clock if available, which excludes the host and Deno's delay in noticing completion; the wall
 * clock on a software adapter, whose timestamps are unreliable.
 */
import type { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import { MOST_SPANS, Profiler } from "../src/gpu/profiler.ts";
import { BUFFER_USAGE } from "../src/gpu/usage.ts";

export interface Effort {
  /** Approximate duration of a batch. */
  readonly batchMilliseconds: number;
  /** Number of batches; their median is the result. */
  readonly batches: number;
}

export const EFFORT: Record<"quick" | "full", Effort> = {
  quick: { batchMilliseconds: 40, batches: 3 },
  full: { batchMilliseconds: 150, batches: 5 },
};

export type Recorded = (pass: KernelPass) => void;

/** Measures on one device. Subtracts the constant cost of waiting for it, about 11 ms. */
export class Stopwatch {
  readonly #profiler: Profiler | null;

  private constructor(readonly gpu: Gpu, readonly effort: Effort, readonly waiting: number) {
    this.#profiler = gpu.capabilities.software ? null : Profiler.create(gpu);
  }

  static async create(gpu: Gpu, effort: Effort): Promise<Stopwatch> {
    const scratch = gpu.rawBuffer("stopwatch", 16, BUFFER_USAGE.COPY_DST);
    const times: number[] = [];
    for (let i = 0; i < 9; i++) {
      const encoder = gpu.device.createCommandEncoder();
      encoder.clearBuffer(scratch);
      const start = performance.now();
      gpu.device.queue.submit([encoder.finish()]);
      await gpu.settled();
      times.push(performance.now() - start);
    }
    scratch.destroy();
    return new Stopwatch(gpu, effort, median(times));
  }

  /** Milliseconds of one `record`. */
  async milliseconds(record: Recorded): Promise<number> {
    const count = await this.#calibrated(record);
    const times: number[] = [];
    while (times.length < this.effort.batches) times.push(await this.#batch(record, count));
    return median(times) / count;
  }

  /**
   * Milliseconds of one `record` and of one `reference`, in alternating batches: other load on the
   * machine slows both, and their ratio stays the same.
   */
  async paired(record: Recorded, reference: Recorded): Promise<[number, number]> {
    const count = await this.#calibrated(record),
      referenceCount = await this.#calibrated(reference);
    const times: number[] = [], references: number[] = [];
    while (times.length < this.effort.batches) {
      times.push(await this.#batch(record, count) / count);
      references.push(await this.#batch(reference, referenceCount) / referenceCount);
    }
    return [median(times), median(references)];
  }

  /**
   * The number of repetitions per batch. The first run compiles, and one outlier must not count as
   * slow work.
   */
  async #calibrated(record: Recorded): Promise<number> {
    let count = 1, time = Infinity;
    for (let i = 0; i < 4; i++) time = Math.min(time, await this.#batch(record, count));
    while (time < this.effort.batchMilliseconds / 2 && count < MOST) {
      const wanted = count * this.effort.batchMilliseconds / Math.max(time, 0.1);
      count = Math.min(MOST, 10 * count, Math.ceil(wanted));
      time = await this.#batch(record, count);
    }
    return count;
  }

  /** Milliseconds of a `run` that submits itself, possibly several times; includes recording. */
  async millisecondsOf(run: () => void): Promise<number> {
    const times: number[] = [];
    for (let i = -1; i < this.effort.batches; i++) {
      await this.gpu.settled();
      const start = performance.now();
      run();
      await this.gpu.settled();
      if (i >= 0) times.push(performance.now() - start - this.waiting);
    }
    return Math.max(median(times), 1e-3);
  }

  async #batch(record: Recorded, count: number): Promise<number> {
    const profiler = this.#profiler ?? undefined;
    const pass = new KernelPass(this.gpu, profiler);
    for (let i = 0; i < count; i++) record(pass);
    await this.gpu.settled();
    const start = performance.now();
    pass.submit();
    if (profiler) {
      const spans = await profiler.take(), last = spans[spans.length - 1];
      if (spans.length === MOST_SPANS) throw new Error("bench: too many dispatches in a batch");
      return last.start + last.milliseconds - spans[0].start;
    }
    await this.gpu.settled();
    return Math.max(performance.now() - start - this.waiting, 1e-3);
  }
}

/** Most repetitions per batch, so that it stays a single submit, whose start is known. */
const MOST = 250;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted[sorted.length >> 1];
}
