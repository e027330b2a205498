/** Opens the device, which takes a driver some seconds. */
import { Gpu } from "../gpu/gpu.ts";
import { type ProgressOutput, whileDoing } from "./working.ts";

export function openGpu(output: ProgressOutput): Promise<Gpu> {
  return whileDoing(output, "opening the GPU", () => Gpu.open(), { atOnce: true });
}
