/** The errors of the device. Each names the operation, the rule, the value and a hint. */
import { UserError } from "../options/user_error.ts";

/** A refused allocation, a lost device or a kernel that failed validation. */
export class GpuError extends UserError {
  override readonly name: string = "GpuError";
}

/** This system has no adapter that WebGPU could use: its driver is missing. */
export class NoAdapterError extends GpuError {
  override readonly name = "NoAdapterError";
}

/** The device is gone, as after a reset of the driver: what it held is lost. */
export class DeviceLostError extends GpuError {
  override readonly name = "DeviceLostError";
}

/** What does not fit is refused before the first allocation. */
export class OutOfMemoryError extends UserError {
  override readonly name: string = "OutOfMemoryError";
}
