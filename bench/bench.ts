/**
 * Speed of the kernels on this adapter, each beside the most the adapter can do: arithmetic beside
 * multiply-adds on registers alone, memory beside a copy by the device. On a software adapter only
 * the shares mean anything.
 *
 * @module
 */
import type { Gpu } from "../src/gpu/gpu.ts";
import { Scope } from "../src/gpu/scope.ts";
import { Bench, type BenchCase, sizesFor } from "./case.ts";
import { attentionCases } from "./cases/attention.ts";
import { matmulCases } from "./cases/matmul.ts";
import { modelCases } from "./cases/model.ts";
import { optimCases } from "./cases/optim.ts";
import { measurePeak, type Peak } from "./peak.ts";
import { EFFORT, Stopwatch } from "./timing.ts";

/** One line of `bench --json`. */
export interface Measurement {
  readonly name: string;
  readonly shape: string;
  /** Of one repetition, the median of several batches. */
  readonly ms?: number;
  readonly gflops?: number;
  readonly gbps?: number;
  /** Of the peak measured in the same run. */
  readonly share_of_peak: number;
}

export interface BenchOptions {
  /** Short batches: seconds instead of a minute, and less steady. */
  readonly quick?: boolean;
  /** Only cases whose name contains this. */
  readonly filter?: string;
  readonly signal?: AbortSignal;
}

/** The cases for an adapter, by family. */
export function benchCases(gpu: Gpu): BenchCase[] {
  const sizes = sizesFor(gpu.adapter.software);
  return [
    ...matmulCases(sizes),
    ...attentionCases(sizes),
    ...modelCases(sizes),
    ...optimCases(sizes),
  ];
}

/** Measures the peak, then case by case. */
export async function* bench(
  gpu: Gpu,
  { quick = false, filter = "", signal }: BenchOptions = {},
): AsyncGenerator<Measurement> {
  const watch = await Stopwatch.create(gpu, EFFORT[quick ? "quick" : "full"]);
  const peak = await measurePeak(watch);
  yield { name: "peak multiply-add", shape: "registers", ...speed(peak, { gflops: peak.gflops }) };
  yield { name: "peak copy", shape: "read + write", ...speed(peak, { gbps: peak.gbps }) };
  for (const each of benchCases(gpu).filter(({ name }) => name.includes(filter))) {
    if (signal?.aborted) return;
    yield await measure(each, watch, peak);
  }
}

async function measure(each: BenchCase, watch: Stopwatch, peak: Peak): Promise<Measurement> {
  const { gpu } = watch;
  const scope = new Scope(gpu);
  try {
    const { record, flops, bytes } = each.prepare(new Bench(gpu, scope));
    const ms = await watch.milliseconds(record);
    return {
      name: each.name,
      shape: each.shape,
      ms: rounded(ms),
      ...speed(
        peak,
        flops === undefined ? { gbps: bytes! / ms / 1e6 } : { gflops: flops / ms / 1e6 },
      ),
    };
  } finally {
    scope.release();
  }
}

/** A rate and its share of the peak of its kind. */
function speed(peak: Peak, rate: { gflops: number } | { gbps: number }) {
  if ("gflops" in rate) {
    return { gflops: rounded(rate.gflops), share_of_peak: rounded(rate.gflops / peak.gflops) };
  }
  return { gbps: rounded(rate.gbps), share_of_peak: rounded(rate.gbps / peak.gbps) };
}

/** Four digits: more would be noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** The head of the table that {@link formatMeasurement} makes lines of. */
export const MEASUREMENT_HEAD = row("kernel", "shape", "ms", "speed", "of peak");

export function formatMeasurement({ name, shape, ms, gflops, gbps, share_of_peak }: Measurement) {
  const speed = gflops !== undefined ? `${gflops.toFixed(1)} GFLOP/s` : `${gbps!.toFixed(1)} GB/s`;
  return row(name, shape, ms?.toFixed(2) ?? "", speed, `${(100 * share_of_peak).toFixed(0)} %`);
}

function row(name: string, shape: string, ms: string, speed: string, share: string): string {
  return [
    name.padEnd(34),
    shape.padEnd(36),
    ms.padStart(9),
    speed.padStart(15),
    share.padStart(8),
  ].join("").trimEnd();
}
