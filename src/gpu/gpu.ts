/**
 * The device, opened with the adapter's own limits. Every byte of every buffer is accounted for.
 *
 * @module
 */
import { type AdapterDescription, describeAdapter, findAdapter } from "./adapter.ts";
import {
  type Allocator,
  layOut,
  MemoryAccount,
  type PlannedMemory,
  type TensorSpec,
  textureBytes,
  type TextureSpec,
  type TextureTensor,
} from "./allocator.ts";
import { BindGroupCache } from "./bind_groups.ts";
import { type Capabilities, type Limits, openDevice } from "./capabilities.ts";
import {
  AllocationError,
  DeviceLostError,
  GpuError,
  NoAdapterError,
  OutOfMemoryError,
} from "./errors.ts";
import { largestFirst } from "./driver_memory.ts";
import { PipelineCache } from "./pipelines.ts";
import type { Purpose, Tensor } from "./tensor.ts";
import { ReadBack } from "./read_back.ts";
import { BUFFER_USAGE, TEXTURE_USAGE } from "./usage.ts";

/**
 * Bytes written that are given to the device at once: until then they wait in memory of the driver.
 */
const WRITTEN_BYTES = 8 << 20;

/** Dispatches of a piece of held work: at a quarter of a second each at most, some seconds. */
const SMALL_PIECE = 16;

/**
 * Pieces of held work that are encoded at once, so that the device can have them at once: whatever
 * they hold, each takes the host a megabyte where a model has thousands of buffers.
 */
const ENCODED_PIECES = 16;

/** Milliseconds in which a loss is known after the errors that it causes. */
const LOSS_TAKES_MS = 50;

/** What of a step can be watched: the layers of its two passes, and refreshes of subspaces. */
export type WatchedPart = "forward" | "backward" | "refresh";

/**
 * Called as the `index`-th of `count` layers or refreshes is recorded, from 1, in the order of the
 * part; returns what is called once the GPU has done it.
 */
export type Watch = (part: WatchedPart, index: number, count: number) => () => void;

/** Something for the queue that was recorded and is not given to it yet. */
export interface HeldWork {
  /** Gives it to the queue. */
  readonly give: () => void;
  /** Whether it overwrites what a run must keep; all that follows may as well. */
  readonly overwrites: boolean;
  /** Records it, where that was put off; see {@link KernelPass.later}. */
  readonly record?: () => void;
}

/** A device and its allocations. Close it when done: drivers limit the number of open devices. */
export class Gpu implements Allocator {
  /** Bytes of all tensors and textures. */
  readonly account: MemoryAccount = new MemoryAccount();
  /** Bind groups of live operands. */
  readonly bindGroups: BindGroupCache = new BindGroupCache();
  /** Compiled kernels. */
  readonly pipelines: PipelineCache;
  /** What is of no use without the device: disposed of when it is closed. */
  readonly dependents: Set<Disposable> = new Set();
  /** Watches passes; see {@link KernelPass.passed}. */
  watch: Watch | undefined;
  readonly #purposes = new WeakMap<GPUBuffer, Purpose>();
  /** Buffers of tensors to come, by name and size. */
  readonly #reserved = new Map<string, GPUBuffer[]>();
  #reservedBytes = 0;
  readonly #fixed = new WeakSet<GPUBuffer>();
  #pending: Promise<unknown>[] = [];
  #failure: Error | null = null;
  /** Of what failed, the first allocation, whose consequences are the rest. */
  #refused: AllocationError | null = null;
  /** Whatever else fails on a lost device is its consequence. */
  #lost: DeviceLostError | null = null;
  #held: { readonly work: HeldWork[]; readonly piece: number } | undefined;
  readonly #readBack: ReadBack;
  /** Bytes written since the last submit for their sake. */
  #written = 0;
  #capabilities: Capabilities;
  #closed = false;

  private constructor(
    readonly device: GPUDevice,
    readonly adapter: AdapterDescription,
    capabilities: Capabilities,
  ) {
    this.#capabilities = capabilities;
    this.pipelines = new PipelineCache(this);
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      const { error } = event as GPUUncapturedErrorEvent, message = `GPU: ${error.message}`;
      // Not of a tensor, which has a scope: of what a write needs on its way.
      const isFull = error.constructor.name === "GPUOutOfMemoryError";
      this.fail(isFull ? new AllocationError(message, this.account.live) : new GpuError(message));
    });
    device.lost.then((info) => {
      if (this.#closed) return;
      this.#lost = new DeviceLostError(
        `GPU: the device was lost (${info.reason ?? "unknown"}): ${info.message}`,
        "was the driver reset, or the card unplugged?",
      );
    });
    this.#readBack = new ReadBack({
      device,
      staging: (bytes) =>
        this.rawBuffer("read-back", bytes, BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST),
      check: () => this.check(),
      causeOf: (error) => this.#cause(error),
    });
  }

  /**
   * Opens an adapter with all it allows: the fastest, unless one is given, of this or of another
   * implementation of WebGPU. Throws {@link NoAdapterError} if none exists.
   */
  static async open(given?: GPUAdapter): Promise<Gpu> {
    const adapter = given ?? await findAdapter();
    if (!adapter) {
      throw new NoAdapterError("no WebGPU adapter was found", "is its driver installed?");
    }
    const { device, capabilities } = await openDevice(adapter);
    return new Gpu(device, describeAdapter(adapter), capabilities);
  }

  /** What the device can do. */
  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  /** Changes what kernels go by: adds what was timed, or makes a test's device another kind. */
  assume(change: Partial<Capabilities>): void {
    this.#capabilities = { ...this.#capabilities, ...change };
  }

  /** Of {@link capabilities}. */
  get limits(): Limits {
    return this.capabilities.limits;
  }

  /** Allocates a tensor of zeros. Throws {@link OutOfMemoryError} beyond the adapter's limit. */
  tensor(spec: TensorSpec): Tensor {
    return layOut(spec, (name, bytes, purpose) => {
      const limit = this.limits.maxBufferSize;
      if (bytes > limit) {
        throw new OutOfMemoryError(
          `tensor ${name}: needs ${bytes} bytes in one buffer, this adapter allows ${limit}`,
        );
      }
      const buffer = this.#takeReserved(name, bytes) ?? this.#tensorBuffer(name, bytes);
      this.account.add(purpose, bytes);
      this.#purposes.set(buffer, purpose);
      return buffer;
    });
  }

  #tensorBuffer(name: string, bytes: number): GPUBuffer {
    const usage = BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC | BUFFER_USAGE.COPY_DST;
    return this.rawBuffer(name, bytes, usage);
  }

  /**
   * Creates the buffers of tensors that will be allocated, in the order that wastes least of the
   * driver's blocks (driver_memory.ts). They count as allocated when their tensors are; what is left
   * of them is given back when the result is disposed of.
   */
  reserve(planned: readonly PlannedMemory[]): Disposable {
    for (const { name, bytes, texture } of largestFirst(planned)) {
      if (texture || bytes > this.limits.maxBufferSize) continue;
      const key = `${bytes} ${name}`, buffer = this.#tensorBuffer(name, bytes);
      this.#reserved.set(key, [...this.#reserved.get(key) ?? [], buffer]);
      this.#reservedBytes += bytes;
    }
    return {
      [Symbol.dispose]: () => {
        for (const buffers of this.#reserved.values()) {
          for (const buffer of buffers) buffer.destroy();
        }
        this.#reserved.clear();
        this.#reservedBytes = 0;
      },
    };
  }

  #takeReserved(name: string, bytes: number): GPUBuffer | undefined {
    const buffer = this.#reserved.get(`${bytes} ${name}`)?.shift();
    if (buffer) this.#reservedBytes -= bytes;
    return buffer;
  }

  /** Allocates a staging texture. */
  texture(spec: TextureSpec): TextureTensor {
    const texture = this.#guard(
      "out-of-memory",
      `texture ${spec.name}`,
      () =>
        this.device.createTexture({
          label: spec.name,
          size: [spec.width, spec.height],
          format: spec.format ?? "rgba32float",
          usage: TEXTURE_USAGE.STORAGE_BINDING | TEXTURE_USAGE.COPY_DST,
        }),
    );
    this.account.add(spec.purpose, textureBytes(spec));
    return { ...spec, texture };
  }

  /** Releases memory, which can be reused after the next submit. */
  release(made: Tensor | TextureTensor): void {
    if ("texture" in made) {
      if (!made.texture) return;
      this.bindGroups.forget(made.texture);
      made.texture.destroy();
      this.account.add(made.purpose, -textureBytes(made));
      return;
    }
    const { buffer } = made;
    if (!buffer) return;
    const purpose = this.#purposes.get(buffer);
    if (!purpose) throw new GpuError(`release: ${made.name} was already released`);
    this.#purposes.delete(buffer);
    this.bindGroups.forget(buffer);
    this.account.add(purpose, -buffer.size);
    buffer.destroy();
    if (made.constants) this.release(made.constants);
  }

  /** Throws a {@link GpuError} if a tensor has no memory here, before the device would fail. */
  assertHeld(tensor: Tensor, what: string): void {
    const { buffer } = tensor;
    if (buffer && (this.#purposes.has(buffer) || this.#fixed.has(buffer))) return;
    if (tensor.inHostMemory) {
      throw new GpuError(
        `${what}: ${tensor.name} lies in host memory`,
        "take its rows from the `host` of its parameter",
      );
    }
    throw new GpuError(
      `${what}: the memory of ${tensor.name} was released`,
      "release a model, or what else holds it, after its last use; a tensor belongs to one Gpu",
    );
  }

  /**
   * A buffer outside the account: parameters, a few megabytes of fixed size; and read-back, which
   * lies in the host's memory.
   */
  rawBuffer(label: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
    return this.#guard(
      "out-of-memory",
      `buffer ${label} of ${size} bytes`,
      () => this.device.createBuffer({ label, size, usage }),
    );
  }

  /** Scratch memory of a few kilobytes outside the account, for as long as the device is open. */
  rawTensor(name: string, elements: number): Tensor {
    const byteLength = 4 * elements, shape = [elements];
    const buffer = this.rawBuffer(name, byteLength, BUFFER_USAGE.STORAGE);
    this.#fixed.add(buffer);
    return { name, shape, stride: elements, dtype: "float32", buffer, byteOffset: 0, byteLength };
  }

  /** Writes bytes into a tensor at `byteOffset`, a multiple of 4. */
  write(tensor: Tensor, data: ArrayBufferView<ArrayBuffer>, byteOffset = 0): void {
    if (byteOffset + data.byteLength > tensor.byteLength) {
      throw new GpuError(
        `write: ${data.byteLength} bytes at ${byteOffset} overrun ${tensor.name} of ${tensor.byteLength}`,
      );
    }
    this.assertHeld(tensor, "write");
    const { buffer, byteLength } = data, { queue } = this.device;
    const at = tensor.byteOffset + byteOffset, target = tensor.buffer!;
    // What is written later is a copy: the caller may reuse its array.
    const [source, start] = this.#held
      ? [buffer.slice(data.byteOffset, data.byteOffset + byteLength), 0]
      : [buffer, data.byteOffset];
    this.enqueue(() => {
      queue.writeBuffer(target, at, source, start, byteLength);
      this.#written += byteLength;
      if (this.#written < WRITTEN_BYTES) return;
      queue.submit([]);
      this.#written = 0;
    });
  }

  /** Gives work to the queue now, or keeps it while {@link hold} records. */
  enqueue(give: () => void, overwrites = false): void {
    if (this.#held) {
      this.#held.work.push({ give, overwrites });
      return;
    }
    this.#readBack.submit();
    give();
  }

  /** While {@link hold} records a long step: its commands are encoded when they are given. */
  get keepsCommands(): boolean {
    return this.#held !== undefined && this.#held.work.length >= ENCODED_PIECES;
  }

  /** The recording that {@link hold} has in progress, of no use but to tell it from others. */
  get recording(): object | undefined {
    return this.#held;
  }

  /** While {@link hold} records: the dispatches of a piece. */
  get piece(): number | undefined {
    return this.#held?.piece;
  }

  /**
   * What `record` submits and writes, in order and in pieces of at most `piece` dispatches, for the
   * caller to {@link enqueue} at its own pace. `record` cannot wait for the GPU.
   */
  hold(record: () => void, piece: number = SMALL_PIECE): HeldWork[] {
    const work: HeldWork[] = [];
    this.#held = { work, piece };
    try {
      record();
    } finally {
      this.#held = undefined;
    }
    return work;
  }

  /** While {@link hold} records: keeps work whose recording is put off. */
  putOff(record: () => void, overwrites: boolean): void {
    this.#held!.work.push({ give: record, overwrites, record });
  }

  /** Held work, in order; what was put off is recorded when its turn comes, in pieces as well. */
  *inTurn(held: readonly HeldWork[], piece?: number): Generator<HeldWork> {
    for (const work of held) {
      if (work.record) yield* this.inTurn(this.hold(work.record, piece), piece);
      else yield work;
    }
  }

  /**
   * The bytes of a tensor, padding included (or `length` of them from `start`, multiples of 4).
   * Reads that are asked for together are made together: what several callers need at a time is
   * fetched by one wait for the GPU.
   */
  async read(
    tensor: Tensor,
    start = 0,
    length: number = tensor.byteLength - start,
  ): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.readInto(tensor, bytes, start);
    return bytes;
  }

  /** The same into memory at hand: as many bytes as there is room for, a multiple of 4. */
  readInto(tensor: Tensor, into: Uint8Array, start = 0): Promise<void> {
    const { name, buffer, byteOffset } = tensor, offset = byteOffset + start;
    const assertHeld = () => this.assertHeld(tensor, "read");
    return this.#readBack.read({ name, buffer: buffer!, offset, assertHeld }, into);
  }

  /** Waits until the GPU has finished all submitted work. */
  async settled(): Promise<void> {
    await this.check();
    try {
      await this.device.queue.onSubmittedWorkDone();
    } catch (error) {
      throw await this.#cause(new GpuError(`waiting for the GPU: ${(error as Error).message}`));
    }
    await this.check();
  }

  /**
   * Throws the first error that the device reported, if any. A failed allocation is thrown once: a
   * device goes on without what it refused.
   */
  async check(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    await Promise.all(pending);
    if (this.#closed) throw new GpuError("GPU: used after it was closed");
    if (this.#lost) throw this.#lost;
    const refused = this.#refused;
    this.#refused = null;
    if (refused) throw await this.#cause(refused);
    if (this.#failure) throw await this.#cause(this.#failure);
  }

  /** What to report for an error: on a lost device the first is of some operation, not the loss. */
  async #cause(error: Error): Promise<Error> {
    if (this.#closed) return new GpuError("GPU: used after it was closed");
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, LOSS_TAKES_MS);
    await Promise.race([this.device.lost, late.promise]);
    clearTimeout(timer);
    if (this.#lost) return this.#lost;
    return error instanceof AllocationError ? error : this.#failure ?? error;
  }

  /** Runs `make` in an error scope; the next {@link check} throws what it reports. */
  validated<T>(what: string, make: () => T): T {
    return this.#guard("validation", what, make);
  }

  /** Keeps the first error for {@link check} to throw. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Destroys the device and releases all its memory. */
  close(): void {
    this.#closed = true;
    for (const dependent of this.dependents) dependent[Symbol.dispose]();
    this.device.destroy();
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #guard<T>(filter: GPUErrorFilter, what: string, make: () => T): T {
    const live = this.account.live + this.#reservedBytes;
    this.device.pushErrorScope(filter);
    const made = make();
    this.#pending.push(
      this.device.popErrorScope().then((error) => {
        if (!error) return;
        if (filter !== "out-of-memory") return this.fail(new GpuError(`${what}: ${error.message}`));
        const message = `${what}: the GPU is out of memory (${error.message})`;
        this.#refused ??= new AllocationError(message, live);
      }),
    );
    return made;
  }
}
