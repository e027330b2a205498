/** Errors of the device. Each names the operation, the rule and the value, and gives a hint. */
import { UserError } from "../options/user_error.ts";

/** A refused allocation, a lost device or a kernel that failed validation. */
export class GpuError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name: string = "GpuError";
}

/** WebGPU found no usable adapter, usually because the driver is missing. */
export class NoAdapterError extends GpuError {
  /** As it appears in a stack trace. */
  override readonly name = "NoAdapterError";
}

/** The device is lost, for example after a driver reset, and its memory with it. */
export class DeviceLostError extends GpuError {
  /** As it appears in a stack trace. */
  override readonly name = "DeviceLostError";
}

/** A request that does not fit in memory: refused before the first allocation, or by the driver. */
export class OutOfMemoryError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name: string = "OutOfMemoryError";
}

/** An allocation that the driver refused. What was allocated before it can be used, or released. */
export class AllocationError extends OutOfMemoryError {
  /** As it appears in a stack trace. */
  override readonly name = "AllocationError";

  /** `allocated`: bytes of tensors and textures that the device held before. */
  constructor(message: string, readonly allocated: number) {
    super(message);
  }
}
