/** What of the machine decides allocations: its limits, and the kernels chosen for it. */
import type { Gpu } from "../gpu/gpu.ts";
import { type MatmulVariant, matmulVariant } from "./matmul.ts";

export interface Machine {
  /** Of matrix products and of attention. */
  readonly variant: MatmulVariant;
  readonly limits: Pick<GPUSupportedLimits, "maxBufferSize" | "maxTextureDimension2D">;
}

/** A consumer card that is not here: what a plan assumes where no adapter is. */
export const CONSUMER_CARD: Machine = {
  variant: "tiled",
  limits: { maxBufferSize: 2 ** 32, maxTextureDimension2D: 8192 },
};

/** The machine behind a device. */
export function machineOf(gpu: Gpu): Machine {
  return { variant: matmulVariant(gpu.adapter), limits: gpu.limits };
}
