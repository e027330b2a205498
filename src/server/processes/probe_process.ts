/** Opens the GPU, prints its description as JSON and ends. See `probe.ts`. */
import { driverAdvice, inspectSystem } from "../../host/system.ts";
import { adapterName, findAdapter } from "../../gpu/adapter.ts";
import { Gpu } from "../../gpu/gpu.ts";
import { isProgram } from "./own_program.ts";
import type { ProbeResult } from "./probe.ts";

async function probe(): Promise<ProbeResult> {
  if (!await findAdapter()) return { advice: driverAdvice(inspectSystem()) };
  const gpu = await Gpu.open();
  const { adapter, capabilities } = gpu;
  return { device: { name: adapterName(adapter), capabilities } };
}

if (isProgram(import.meta)) {
  console.log(JSON.stringify(await probe()));
  Deno.exit();
}
