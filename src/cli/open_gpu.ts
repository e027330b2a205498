/** Opens the device, which takes a driver some seconds. */
import { Gpu } from "../gpu/gpu.ts";
import { assertChosen } from "./gpu_choice.ts";
import { type ProgressOutput, whileDoing } from "./working.ts";

/** Says meanwhile what it waits for. */
export function openGpu(output: ProgressOutput): Promise<Gpu> {
  return whileDoing(output, "opening the GPU", openChosenGpu, { atOnce: true });
}

/** Throws a {@link UserError} if it is another than the one that was chosen. */
export async function openChosenGpu(): Promise<Gpu> {
  const gpu = await Gpu.open();
  try {
    assertChosen(gpu.adapter);
    return gpu;
  } catch (error) {
    gpu.close();
    throw error;
  }
}
