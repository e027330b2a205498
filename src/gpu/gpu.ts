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
import { DeviceErrors } from "./device_errors.ts";
import { GpuError, NoAdapterError, OutOfMemoryError } from "./errors.ts";
import { type HeldWork, Holding } from "./held_work.ts";
import { PipelineCache } from "./pipelines.ts";
import type { Purpose, Tensor } from "./tensor.ts";
import { ReadBack } from "./read_back.ts";
import { ReservedBuffers } from "./reserved_buffers.ts";
import { BUFFER_USAGE, TEXTURE_USAGE } from "./usage.ts";
import type { Watch } from "./watch.ts";

/**
 * Bytes written that are given to the device at once: until then they wait in memory of the driver.
 */
const WRITTEN_BYTES = 8 << 20;

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
  /** Watches passes, those for which it returns something; see {@link KernelPass.passed}. */
  watch: ((...passed: Parameters<Watch>) => ReturnType<Watch> | undefined) | undefined;
  readonly #purposes = new WeakMap<GPUBuffer, Purpose>();
  readonly #reserved = new ReservedBuffers();
  readonly #fixed = new WeakSet<GPUBuffer>();
  readonly #errors: DeviceErrors;
  readonly #holding = new Holding();
  readonly #readBack: ReadBack;
  /** Bytes written since the last submit for their sake. */
  #written = 0;
  #capabilities: Capabilities;

  private constructor(
    readonly device: GPUDevice,
    readonly adapter: AdapterDescription,
    capabilities: Capabilities,
  ) {
    this.#capabilities = capabilities;
    this.pipelines = new PipelineCache(this);
    this.#errors = new DeviceErrors(device, () => this.account.live + this.#reserved.bytes);
    this.#readBack = new ReadBack({
      device,
      staging: (bytes) =>
        this.rawBuffer("read-back", bytes, BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST),
      check: () => this.check(),
      causeOf: (error) => this.#errors.causeOf(error),
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
      const buffer = this.#reserved.take(name, bytes) ?? this.#tensorBuffer(name, bytes);
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
    const make = (name: string, bytes: number) => this.#tensorBuffer(name, bytes);
    this.#reserved.create(planned, this.limits.maxBufferSize, make);
    return { [Symbol.dispose]: () => this.#reserved.giveBack() };
  }

  /** Allocates a staging texture. */
  texture(spec: TextureSpec): TextureTensor {
    const texture = this.#errors.guard(
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

  /** Releases memory, which can be reused after the next submit; nothing of a memory plan. */
  release(made: Tensor | TextureTensor): void {
    if ("texture" in made) {
      if (!made.texture) return;
      this.bindGroups.forget(made.texture);
      made.texture.destroy();
      this.account.add(made.purpose, -textureBytes(made));
      return;
    }
    const { buffer } = made;
    if (buffer === null) return;
    if (buffer === undefined) {
      throw new GpuError(
        "release: expected a tensor or a texture",
        "what a record holds is released one by one, or with the Scope it was allocated through",
      );
    }
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
    return this.#errors.guard(
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
    const [source, start] = this.recording
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
    if (this.#holding.keep({ give, overwrites })) return;
    this.#readBack.submit();
    give();
  }

  /** While {@link hold} records a long step: its commands are encoded when they are given. */
  get keepsCommands(): boolean {
    return this.#holding.keepsCommands;
  }

  /** The recording that {@link hold} has in progress, of no use but to tell it from others. */
  get recording(): object | undefined {
    return this.#holding.recording;
  }

  /** While {@link hold} records: the dispatches of a piece. */
  get piece(): number | undefined {
    return this.#holding.piece;
  }

  /**
   * What `record` submits and writes, in order and in pieces of at most `piece` dispatches, for the
   * caller to {@link enqueue} at its own pace. `record` cannot wait for the GPU.
   */
  hold(record: () => void, piece?: number): HeldWork[] {
    return this.#holding.hold(record, piece);
  }

  /** Keeps work whose recording is put off, while {@link hold} records; otherwise records it now. */
  putOff(record: () => void, overwrites: boolean): void {
    if (!this.#holding.keep({ give: record, overwrites, record })) record();
  }

  /** While {@link hold} records: a place where whoever gives the work does this before it goes on. */
  pause(wait: () => Promise<void>): void {
    if (this.#holding.keep({ give: () => {}, overwrites: false, wait })) return;
    throw new GpuError("pause: only work that is held can wait");
  }

  /** Gives what is recorded, waiting where it {@link pause}s. */
  async give(record: () => void): Promise<void> {
    for (const { give, overwrites, wait } of this.inTurn(this.hold(record, Infinity), Infinity)) {
      await wait?.();
      this.enqueue(give, overwrites);
    }
  }

  /** Held work, in order; what was put off is recorded when its turn comes, in pieces as well. */
  inTurn(held: readonly HeldWork[], piece?: number): Generator<HeldWork> {
    return this.#holding.inTurn(held, piece);
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

  /**
   * Reads of so many bytes together, of one tensor or several, wait for the GPU once from now on: what
   * passes through the host's memory at once is otherwise 16 MiB.
   */
  readAtOnce(bytes: number): void {
    this.#readBack.atOnce(bytes);
  }

  /** Waits until the GPU has finished all submitted work. */
  async settled(): Promise<void> {
    await this.check();
    try {
      await this.device.queue.onSubmittedWorkDone();
    } catch (error) {
      throw await this.#errors.causeOf(
        new GpuError(`waiting for the GPU: ${(error as Error).message}`),
      );
    }
    await this.check();
  }

  /**
   * Throws the first error that the device reported, if any. A failed allocation is thrown once: a
   * device goes on without what it refused.
   */
  check(): Promise<void> {
    return this.#errors.check();
  }

  /** Runs `make` in an error scope; the next {@link check} throws what it reports. */
  validated<T>(what: string, make: () => T): T {
    return this.#errors.guard("validation", what, make);
  }

  /** Keeps the first error for {@link check} to throw. */
  fail(error: Error): void {
    this.#errors.fail(error);
  }

  /** Destroys the device and releases all its memory. */
  close(): void {
    this.#errors.close();
    for (const dependent of this.dependents) dependent[Symbol.dispose]();
    this.device.destroy();
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
