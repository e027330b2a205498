/** Opens the device, which takes a driver some seconds. */
import { Gpu } from "../gpu/gpu.ts";
import { assertChosen } from "./gpu_choice.ts";
import { type ProgressOutput, whileDoing } from "./working.ts";

export async function openGpu(output: ProgressOutput): Promise<Gpu> {
  const gpu = await whileDoing(output, "opening the GPU", () => Gpu.open(), { atOnce: true });
  try {
    assertChosen(gpu.adapter);
    return gpu;
  } catch (error) {
    gpu.close();
    throw error;
  }
}
