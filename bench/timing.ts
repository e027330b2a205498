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

/** Milliseconds of a number of repetitions. */
export type Batch = (count: number) => Promise<number>;

/** Work of this many milliseconds is timed three times at most: noise is small beside it. */
const LONG_MS = 2000;

/**
 * Milliseconds of one repetition of each, in alternating batches: other load on the machine slows
 * all of them, and their ratios stay the same.
 */
export async function alternating(
  batches: readonly Batch[],
  { batchMilliseconds, batches: most }: Effort,
): Promise<number[]> {
  const counts: number[] = [];
  for (const batch of batches) counts.push(await calibrated(batch, batchMilliseconds));
  const times: number[][] = batches.map(() => []);
  let rounds = most;
  for (let round = 0; round < rounds; round++) {
    for (const [i, batch] of batches.entries()) {
      const time = await batch(counts[i]);
      if (time > LONG_MS) rounds = Math.min(most, 3);
      times[i].push(time / counts[i]);
    }
  }
  return times.map(median);
}

/**
 * The number of repetitions per batch. The first run compiles, and one outlier must not count as
 * slow work.
 */
async function calibrated(batch: Batch, milliseconds: number): Promise<number> {
  let count = 1, time = Infinity;
  for (let i = 0; i < 4 && !(i > 0 && time > LONG_MS); i++) time = Math.min(time, await batch(1));
  while (time < milliseconds / 2 && count < MOST) {
    const wanted = count * milliseconds / Math.max(time, 0.1);
    count = Math.min(MOST, 10 * count, Math.ceil(wanted));
    time = await batch(count);
  }
  return count;
}

/**
 * Times by the wall clock what `run` gives to a device, including the host's work, less the constant
 * cost of `waiting` for it.
 */
export function wallClock(
  run: (count: number) => void | Promise<void>,
  settled: () => Promise<unknown>,
  waiting: number,
): Batch {
  return async (count) => {
    await settled();
    const start = performance.now();
    await run(count);
    await settled();
    return Math.max(performance.now() - start - waiting, 1e-3);
  };
}

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

  /** Milliseconds of one repetition of each, in alternating batches. */
  milliseconds(...batches: readonly Batch[]): Promise<number[]> {
    return alternating(batches, this.effort);
  }

  /** Times recorded work, without the recording. */
  recorded(record: Recorded): Batch {
    return (count) => this.#batch(record, count);
  }

  /** Times a `run` that submits itself, possibly several times; includes the host's work. */
  submitted(run: () => void | Promise<void>): Batch {
    const runs = async (count: number) => {
      for (let i = 0; i < count; i++) await run();
    };
    return wallClock(runs, () => this.gpu.settled(), this.waiting);
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
