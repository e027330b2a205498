/**
 * Speed of the kernels on this adapter, relative to its peak: multiply-adds in registers for
 * arithmetic, a device copy for memory. On a software adapter only the ratios are meaningful.
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
import { createPeaks, type Peaks } from "./peak.ts";
import { EFFORT, Stopwatch } from "./timing.ts";

/** One line of `bench --json`. */
export interface Measurement {
  readonly name: string;
  readonly shape: string;
  /** Time of one repetition, the median of several batches. */
  readonly ms?: number;
  readonly gflops?: number;
  readonly gbps?: number;
  /** Fraction of the adapter's peak, measured alternately with it. */
  readonly share_of_peak: number;
}

export interface BenchOptions {
  /** Short batches: takes seconds instead of a minute, but is noisier. */
  readonly quick?: boolean;
  /** Only cases whose name contains this. */
  readonly filter?: string;
  readonly signal?: AbortSignal;
}

/** The cases for an adapter, grouped by family. */
export function benchCases(gpu: Gpu): BenchCase[] {
  const sizes = sizesFor(gpu.capabilities.software);
  return [
    ...matmulCases(sizes),
    ...attentionCases(sizes),
    ...modelCases(sizes),
    ...optimCases(sizes),
  ];
}

/** Measures the peaks, then case by case. */
export async function* bench(
  gpu: Gpu,
  { quick = false, filter = "", signal }: BenchOptions = {},
): AsyncGenerator<Measurement> {
  const watch = await Stopwatch.create(gpu, EFFORT[quick ? "quick" : "full"]);
  const peaks = createPeaks(gpu);
  try {
    const { arithmetic, copying } = peaks;
    const [registers] = await watch.milliseconds(watch.recorded(arithmetic.record));
    const gflops = arithmetic.amount / registers / 1e6;
    yield measurement("peak multiply-add", "registers", { gflops }, 1);
    const [copied] = await watch.milliseconds(watch.recorded(copying.record));
    const gbps = copying.amount / copied / 1e6;
    yield measurement("peak copy", "read + write", { gbps }, 1);
    for (const each of benchCases(gpu).filter(({ name }) => name.includes(filter))) {
      if (signal?.aborted) return;
      yield await measure(each, watch, peaks);
    }
  } finally {
    peaks.release();
  }
}

async function measure(each: BenchCase, watch: Stopwatch, peaks: Peaks): Promise<Measurement> {
  const { gpu } = watch;
  const scope = new Scope(gpu);
  try {
    const { record, flops, bytes } = each.prepare(new Bench(gpu, scope));
    const peak = flops === undefined ? peaks.copying : peaks.arithmetic;
    const [ms, peakMs] = await watch.milliseconds(
      watch.recorded(record),
      watch.recorded(peak.record),
    );
    const rate = (flops ?? bytes!) / ms / 1e6;
    const share = rate / (peak.amount / peakMs / 1e6);
    const speed = flops === undefined ? { gbps: rate } : { gflops: rate };
    return measurement(each.name, each.shape, speed, share, ms);
  } finally {
    scope.release();
  }
}

function measurement(
  name: string,
  shape: string,
  speed: { gflops: number } | { gbps: number },
  share: number,
  ms?: number,
): Measurement {
  return {
    name,
    shape,
    ...(ms !== undefined && { ms: rounded(ms) }),
    ...("gflops" in speed ? { gflops: rounded(speed.gflops) } : { gbps: rounded(speed.gbps) }),
    share_of_peak: rounded(share),
  };
}

/** Four digits: more would be noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** The header of the table whose lines {@link formatMeasurement} formats. */
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
