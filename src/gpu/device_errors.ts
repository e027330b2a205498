/** What a device reports of its errors, which is later than what caused them. */
import { AllocationError, DeviceLostError, GpuError } from "./errors.ts";

/** Milliseconds in which a loss is known after the errors that it causes. */
const LOSS_TAKES_MS = 50;

export class DeviceErrors {
  #pending: Promise<unknown>[] = [];
  #failure: Error | null = null;
  /** Of what failed, the first allocation, whose consequences are the rest. */
  #refused: AllocationError | null = null;
  /** Whatever else fails on a lost device is its consequence. */
  #lost: DeviceLostError | null = null;
  #closed = false;

  /** `allocated`: bytes that the device holds now. */
  constructor(private readonly device: GPUDevice, private readonly allocated: () => number) {
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      const { error } = event as GPUUncapturedErrorEvent, message = `GPU: ${error.message}`;
      // Not of a tensor, which has a scope: of what a write needs on its way.
      const isFull = error.constructor.name === "GPUOutOfMemoryError";
      this.fail(isFull ? new AllocationError(message, allocated()) : new GpuError(message));
    });
    device.lost.then((info) => {
      if (this.#closed) return;
      this.#lost = new DeviceLostError(
        `GPU: the device was lost (${info.reason ?? "unknown"}): ${info.message}`,
        "was the driver reset, or the card unplugged?",
      );
    });
  }

  /** Runs `make` in an error scope; the next {@link check} throws what it reports. */
  guard<T>(filter: GPUErrorFilter, what: string, make: () => T): T {
    const allocated = this.allocated();
    this.device.pushErrorScope(filter);
    const made = make();
    this.#pending.push(
      this.device.popErrorScope().then((error) => {
        if (!error) return;
        if (filter !== "out-of-memory") return this.fail(new GpuError(`${what}: ${error.message}`));
        const message = `${what}: the GPU is out of memory (${error.message})`;
        this.#refused ??= new AllocationError(message, allocated);
      }),
    );
    return made;
  }

  /** Keeps the first error for {@link check} to throw. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Throws the first error that was reported, if any; a failed allocation once. */
  async check(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    await Promise.all(pending);
    if (this.#closed) throw new GpuError("GPU: used after it was closed");
    if (this.#lost) throw this.#lost;
    const refused = this.#refused;
    this.#refused = null;
    if (refused) throw await this.causeOf(refused);
    if (this.#failure) throw await this.causeOf(this.#failure);
  }

  /** What to report for an error: on a lost device the first is of some operation, not the loss. */
  async causeOf(error: Error): Promise<Error> {
    if (this.#closed) return new GpuError("GPU: used after it was closed");
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, LOSS_TAKES_MS);
    await Promise.race([this.device.lost, late.promise]);
    clearTimeout(timer);
    if (this.#lost) return this.#lost;
    return error instanceof AllocationError ? error : this.#failure ?? error;
  }

  /** The device is about to be destroyed, which is no loss. */
  close(): void {
    this.#closed = true;
  }
}
