/** `memory --allocate`: what a plan takes on this machine's GPU. */
import { adapterName } from "../gpu/adapter.ts";
import type { LlamaConfig } from "../model/config.ts";
import { formatBytes, formatDuration } from "../text.ts";
import type { MemoryOptions } from "../train/memory_options.ts";
import { type TriedMemory, tryMemory } from "../train/try_memory.ts";
import { EXIT, type Io } from "./command.ts";
import { openGpu } from "./open_gpu.ts";
import { Working } from "./working.ts";

export async function showTrial(
  config: LlamaConfig,
  options: MemoryOptions,
  io: Io,
): Promise<number> {
  const gpu = await openGpu(io), working = new Working(io).start();
  try {
    const tried = await tryMemory(gpu, config, options, {
      onProgress: (what, share) => working.show(what, { share }),
      signal: io.signal,
    });
    working.stop();
    const { plan, gpuPeakBytes, processBytes, seconds } = tried;
    const { allocating, compiling, refreshingStep, step } = seconds;
    io.result(
      {
        planned_peak_bytes: plan.plannedPeakBytes,
        by_purpose: plan.byPurpose,
        allocated_bytes: plan.allocatedBytes,
        gpu_peak_bytes: gpuPeakBytes,
        process_bytes: processBytes,
        seconds: { allocating, compiling, refreshing_step: refreshingStep, step },
        adapter: adapterName(gpu.adapter),
      },
      describe(tried, adapterName(gpu.adapter)),
    );
    return EXIT.done;
  } finally {
    working.stop();
    gpu.close();
  }
}

function describe(
  { plan, gpuPeakBytes, processBytes, seconds }: TriedMemory,
  adapter: string,
): string {
  const { allocating, compiling, refreshingStep, step } = seconds;
  const exact = (bytes: number) => `${formatBytes(bytes, 4)} (${bytes} bytes)`;
  const rows = [
    ["planned", exact(plan.plannedPeakBytes)],
    ["allocated", exact(gpuPeakBytes)],
    ["driver blocks", formatBytes(plan.allocatedBytes, 4)],
    ["process memory", formatBytes(processBytes, 4)],
    ["allocating", formatDuration(allocating)],
    ["compiling", formatDuration(compiling)],
    ...refreshingStep === undefined
      ? []
      : [["one-layer step", `${formatDuration(refreshingStep)}, refreshing its subspaces`]],
    ...step === undefined ? [] : [["one-layer step", formatDuration(step)]],
  ];
  return [
    `fits on ${adapter}. Times are for one layer plus embedding and head`,
    "",
    ...rows.map(([name, value]) => `${name.padEnd(16)}${value}`),
  ].join("\n");
}
