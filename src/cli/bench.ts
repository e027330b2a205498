/** `bench`: speed of the kernels on this adapter. */
import { z } from "zod";
import { bench as measure, formatMeasurement, MEASUREMENT_HEAD } from "../../bench/bench.ts";
import { benchStep, type StepResult } from "../../bench/step.ts";
import { EFFORT, Stopwatch } from "../../bench/timing.ts";
import { Gpu } from "../gpu/gpu.ts";
import { defineOptions, section } from "../options/schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { formatTable } from "../text.ts";
import { adapterName } from "../gpu/adapter.ts";

const options = defineOptions({
  fields: section("Selection", {
    quick: z.boolean().default(false).describe("shorter measurements: faster, but noisier"),
    filter: z.string().min(1).optional().describe("run only benchmarks whose names contain this"),
  }),
});
export type BenchOptions = ReturnType<typeof options.parse>;

export const bench: Command = {
  name: "bench",
  summary: "measure the kernels on this adapter",
  examples: ["bench --filter matmul"],
  options,
  run,
};

async function run({ filter, quick }: BenchOptions, io: Io): Promise<number> {
  const gpu = await Gpu.open();
  try {
    io.log(`adapter: ${adapterName(gpu.adapter)}`);
    io.log(MEASUREMENT_HEAD);
    for await (const measured of measure(gpu, { filter, quick, signal: io.signal })) {
      io.result(measured, formatMeasurement(measured));
    }
    if (!io.signal.aborted && (!filter || "step".includes(filter))) {
      const watch = await Stopwatch.create(gpu, EFFORT[quick ? "quick" : "full"]);
      const step = await benchStep(watch);
      io.result(step, formatStep(step));
    }
  } finally {
    gpu.close();
  }
  return EXIT.done;
}

function formatStep({ shape, phases, step_ms, tokens_per_second }: StepResult): string {
  const rows = Object.entries(phases).map(([phase, milliseconds]) => [
    phase,
    milliseconds.toFixed(1),
    `${(100 * milliseconds / step_ms).toFixed(0)}%`,
  ]);
  return `\nstep of ${shape} tokens: ${step_ms.toFixed(0)} ms, ${
    tokens_per_second.toFixed(0)
  } tokens/s\n${formatTable(["phase", "ms", "share"], rows)}`;
}
