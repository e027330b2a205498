/**
 * How long recorded work takes, over batches that outweigh the grain of the clock: the card's own
 * where there is one, which sees neither the host nor how late Deno notices that the work is done;
 * the wall clock on a software adapter, whose timestamps say little.
 */
import type { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import { MOST_SPANS, Profiler } from "../src/gpu/profiler.ts";

export interface Effort {
  /** A batch lasts about so long. */
  readonly batchMilliseconds: number;
  /** Their median counts. */
  readonly batches: number;
}

export const EFFORT: Record<"quick" | "full", Effort> = {
  quick: { batchMilliseconds: 40, batches: 3 },
  full: { batchMilliseconds: 150, batches: 5 },
};

export type Recorded = (pass: KernelPass) => void;

/** Measures on one device. Waiting for it costs some 11 ms whatever it did, which is taken off. */
export class Stopwatch {
  readonly #profiler: Profiler | null;

  private constructor(readonly gpu: Gpu, readonly effort: Effort, readonly waiting: number) {
    this.#profiler = gpu.capabilities.software ? null : Profiler.create(gpu);
  }

  static async create(gpu: Gpu, effort: Effort): Promise<Stopwatch> {
    const scratch = gpu.rawBuffer("stopwatch", 16, GPUBufferUsage.COPY_DST);
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
   * Milliseconds of one `record` and of one `reference`, batch after batch in turn: what else the
   * machine does slows both, and their ratio stays.
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

  /** How many make a batch. The first compile; and one slow moment must not pass for a long one. */
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

  /** Milliseconds of a `run` that submits by itself, in several submits perhaps; recording counts. */
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

/** Of a batch: so that it stays one submit, whose start is known. */
const MOST = 250;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted[sorted.length >> 1];
}
