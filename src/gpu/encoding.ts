/** Commands for the device, as they are encoded. */

/** Encodes one command; may be called later than it was recorded. */
export type Command = (to: Encoding) => void;

export class Encoding {
  readonly #encoder: GPUCommandEncoder;
  #pass: GPUComputePassEncoder | null = null;

  constructor(device: GPUDevice) {
    this.#encoder = device.createCommandEncoder({ label: "pass" });
  }

  /** For dispatches: the compute pass in progress, or a new one. */
  compute(label: string): GPUComputePassEncoder {
    return this.#pass ??= this.#encoder.beginComputePass({ label });
  }

  /** For a dispatch between two timestamps. */
  timed(label: string, timestampWrites: GPUComputePassTimestampWrites): GPUComputePassEncoder {
    this.#endPass();
    return this.#pass = this.#encoder.beginComputePass({ label, timestampWrites });
  }

  /** For all else, which no compute pass takes. */
  outside(): GPUCommandEncoder {
    this.#endPass();
    return this.#encoder;
  }

  finish(): GPUCommandBuffer {
    return this.outside().finish();
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }
}
