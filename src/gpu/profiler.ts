/**
 * Times dispatches by the GPU's own clock, where the adapter supports timestamps. Mesa's software
 * Vulkan takes them when a dispatch is queued, not when it runs: they mean little there.
 */
import type { Gpu } from "./gpu.ts";
import { BUFFER_USAGE, MAP_MODE } from "./usage.ts";

/** The time of one dispatch. */
export interface Span {
  /** Name of the kernel. */
  readonly name: string;
  /** Start in milliseconds, on a clock with an arbitrary zero. */
  readonly start: number;
  /** Duration. */
  readonly milliseconds: number;
}

/** Most spans in one submit. */
export const MOST_SPANS = 2048;

/** Times the dispatches of the {@link KernelPass} that it is given to. */
export class Profiler implements Disposable {
  readonly #names: string[] = [];
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #mapped: GPUBuffer;

  private constructor(readonly gpu: Gpu) {
    this.#queries = gpu.device.createQuerySet({ type: "timestamp", count: 2 * MOST_SPANS });
    const bytes = 16 * MOST_SPANS;
    this.#resolved = gpu.rawBuffer(
      "timestamps",
      bytes,
      BUFFER_USAGE.QUERY_RESOLVE | BUFFER_USAGE.COPY_SRC,
    );
    this.#mapped = gpu.rawBuffer(
      "timestamps",
      bytes,
      BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST,
    );
  }

  /** Null if the adapter has no timestamps. */
  static create(gpu: Gpu): Profiler | null {
    return gpu.capabilities.features.includes("timestamp-query") ? new Profiler(gpu) : null;
  }

  /** Gives back its queries. */
  [Symbol.dispose](): void {
    this.#queries.destroy();
    this.#resolved.destroy();
    this.#mapped.destroy();
  }

  /** Opens a span; undefined once the profiler is full. */
  span(name: string): GPUComputePassTimestampWrites | undefined {
    if (this.#names.length === MOST_SPANS) return undefined;
    const index = 2 * this.#names.length;
    this.#names.push(name);
    return {
      querySet: this.#queries,
      beginningOfPassWriteIndex: index,
      endOfPassWriteIndex: index + 1,
    };
  }

  /** Records the copy of all timestamps; a pass calls it when it submits. */
  resolve(encoder: GPUCommandEncoder): void {
    const count = this.#names.length;
    if (!count) return;
    encoder.resolveQuerySet(this.#queries, 0, 2 * count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#mapped, 0, 16 * count);
  }

  /** The spans recorded since the last call, in order; waits for the GPU. */
  async take(): Promise<Span[]> {
    const names = this.#names.splice(0);
    if (!names.length) return [];
    await this.gpu.check();
    await this.#mapped.mapAsync(MAP_MODE.READ);
    const times = new BigUint64Array(this.#mapped.getMappedRange().slice(0, 16 * names.length));
    this.#mapped.unmap();
    return names.map((name, index) => ({
      name,
      start: Number(times[2 * index]) / 1e6,
      milliseconds: Number(times[2 * index + 1] - times[2 * index]) / 1e6,
    }));
  }
}
