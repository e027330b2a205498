/** A process of its own: opens the GPU, prints what it is as JSON, and ends. See `probe.ts`. */
import { driverAdvice, inspectSystem } from "../../host/system.ts";
import { findAdapter } from "../../gpu/adapter.ts";
import { Gpu } from "../../gpu/gpu.ts";
import { machineOf } from "../../kernels/machine.ts";
import type { ProbeResult } from "./probe.ts";

async function probe(): Promise<ProbeResult> {
  if (!await findAdapter()) return { advice: driverAdvice(inspectSystem()) };
  const gpu = await Gpu.open();
  const { adapter: { description, device, software } } = gpu;
  const { variant, limits: { maxBufferSize, maxTextureDimension2D } } = machineOf(gpu);
  // Limits are getters: JSON sees them only as fields.
  const machine = { variant, limits: { maxBufferSize, maxTextureDimension2D } };
  return { device: { name: description || device || "unnamed", software, machine } };
}

if (import.meta.main) {
  console.log(JSON.stringify(await probe()));
  Deno.exit();
}
