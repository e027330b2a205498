/** Refuses a run that cannot fit, and says what would. */
import type { Capabilities } from "../gpu/capabilities.ts";
import { AllocationError, DeviceLostError, OutOfMemoryError } from "../gpu/errors.ts";
import { parameterCount } from "../model/description.ts";
import { joinPhrases, option, type Phrase, phrase, settings } from "../options/phrase.ts";
import { formatBytes } from "../text.ts";
import type { TrainingShape } from "./build.ts";
import { RESERVED } from "./gpu_memory.ts";
import { atOnce, type Fit, nearestFits } from "./fit.ts";
import { type MemoryPlan, planMemory } from "./plan.ts";
import type { SizedRun } from "./sizing.ts";

/** Options that would make a run fit, and its peak with them. */
export interface Alternative {
  /** Values to use instead of the current ones. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Peak GPU memory with them. */
  readonly bytes: number;
}

/** A run that needs more GPU memory than is available. */
export class DoesNotFitError extends OutOfMemoryError {
  /** As it appears in a stack trace. */
  override readonly name = "DoesNotFitError";

  /** What would fit, nearest first. */
  readonly alternatives: readonly Alternative[];

  /** Without `alternatives` none were looked for. */
  constructor(message: string, alternatives?: readonly Alternative[]) {
    super(message, describeAlternatives(alternatives));
    this.alternatives = alternatives ?? [];
  }
}

/** Describes what would fit, each with its bytes, or what else to try. */
export function describeAlternatives(alternatives?: readonly Alternative[]): Phrase {
  if (!alternatives) {
    return phrase`what would fit could not be looked for, since options alone do not decide the size
      of this run: lower ${option("batchSize")} or ${option("seqLen")}, or choose a smaller model`;
  }
  if (!alternatives.length) {
    return "no smaller batch, rank or length fits: choose a smaller model";
  }
  const described = alternatives.map(({ options, bytes }) =>
    phrase`${settings(options)} (${formatBytes(bytes, 4)})`
  );
  return phrase`these settings fit: ${joinPhrases(described, "; ")}`;
}

/** A run that is planned whole: a {@link Recipe}, or less. */
export interface PlannedRun extends SizedRun {
  /** Sizes of the run. */
  readonly shape: TrainingShape;
}

/** What of a search is shown. */
export const toAlternatives = (fits: readonly Fit[]): Alternative[] =>
  fits.map(({ options, plan }) => ({ options, bytes: plan.plannedPeakBytes }));

/** What of a run would fit into so many bytes; undefined if that cannot be looked for. */
export function alternativesTo(
  run: SizedRun,
  bytes: number,
  capabilities: Capabilities,
): Alternative[] | undefined {
  const fits = atOnce(nearestFits(run, bytes, capabilities));
  return fits && toAlternatives(fits);
}

/** Refuses a run that cannot fit, before its first allocation, and suggests what would. */
export function assertFits(
  run: PlannedRun,
  capabilities: Capabilities,
  limit: number,
): MemoryPlan {
  const { config, shape, objective } = run;
  const plan = planMemory(config, shape, capabilities, objective);
  const { maxBufferSize } = capabilities.limits;
  if (plan.largest.bytes > maxBufferSize) {
    throw new OutOfMemoryError(
      `tensor ${plan.largest.name} needs one buffer of ${formatBytes(plan.largest.bytes, 4)}, ` +
        `this adapter allows ${formatBytes(maxBufferSize, 4)}`,
      phrase`lower ${option("batchSize")} or ${option("seqLen")}, or choose a smaller model`,
    );
  }
  if (plan.allocatedBytes > limit) {
    throw new DoesNotFitError(
      `this run needs ${neededText(plan)}, ${formatBytes(limit, 4)} available ` +
        `(${parameterCount(config)} parameters)`,
      alternativesTo(run, limit, capabilities),
    );
  }
  return plan;
}

/** `13.30 GiB of GPU memory (weights 6.520 GiB, …, the rest of the driver's blocks 264 MiB)`. */
export function neededText(
  { plannedPeakBytes, allocatedBytes }: MemoryPlan,
  parts: readonly string[] = [],
): string {
  const rest = allocatedBytes - plannedPeakBytes;
  const blocks = rest > 0 ? [`the rest of the driver's blocks ${formatBytes(rest)}`] : [];
  const shown = [...parts, ...blocks].join(", ");
  return `${formatBytes(allocatedBytes, 4)} of GPU memory${shown && ` (${shown})`}`;
}

/**
 * The error of a run whose memory the driver refused, with what would fit into the memory that it
 * granted before, less what a driver needs beside it; any other error as it is. A device that is lost
 * does not say when: half of what the run needs is taken to be there.
 */
export function failedAllocation(
  error: unknown,
  run: PlannedRun,
  capabilities: Capabilities,
): unknown {
  const refused = error instanceof AllocationError, lost = error instanceof DeviceLostError;
  if (!refused && !lost) return error;
  const { config, shape, objective } = run;
  const plan = planMemory(config, shape, capabilities, objective);
  const granted = refused ? error.allocated : plan.allocatedBytes / 2;
  const what = refused
    ? `the driver gave ${formatBytes(error.allocated, 4)} and refused more`
    : `the device was lost while it was allocated (${error.message})`;
  return new DoesNotFitError(
    `this run needs ${neededText(plan)}; ${what}`,
    alternativesTo(run, Math.max(0, granted - RESERVED), capabilities),
  );
}
