/**
 * What every method needs of a model, beside what papers say.
 *
 * @module
 */
import { PlanAllocator } from "../gpu/allocator.ts";
import { type Capabilities, CONSUMER_CARD } from "../gpu/capabilities.ts";
import type { Purpose } from "../gpu/tensor.ts";
import type { LlamaConfig, PresetName } from "../model/config.ts";
import { buildTraining, type TrainingShape } from "./build.ts";
import { METHOD_NAMES, type MethodName, methodOf, rankOptionOf } from "./methods.ts";
import type { MemoryInput } from "./memory_options.ts";
import { plansFinetuning } from "./option_effects.ts";
import {
  PAPER_ESTIMATES,
  PAPER_MEASURED,
  PAPER_RANKS,
  type PaperFigures,
  type PaperName,
  PAPERS,
} from "./paper_figures.ts";
import { type MemoryPlan, shapeOfProcess } from "./plan.ts";
import { presetOf, rankOf } from "./presets.ts";
import { type SizedRun, Sizing, type Values } from "./sizing.ts";

/** A figure of a paper beside ours. */
export interface BesidePaper {
  /** Where it is from: a key of `PAPERS`. */
  readonly paper: PaperName;
  /** As it is printed there. */
  readonly figure: string;
  /** In bytes. */
  readonly bytes: number;
  /** Whether ours, as papers count, is at most that, in the digits that are printed. */
  readonly atMost: boolean;
  /** Of an estimate: whether what is stored here is at most that, too. */
  readonly storedAtMost?: boolean;
  /** Why not, where it is known. */
  readonly less?: string;
}

/** What a method needs. */
export interface MethodMemory {
  /** Its name, as `optimizer` takes it. */
  readonly method: MethodName;
  /** Of its projections, adapters or space, if it has one. */
  readonly rank?: number;
  /** Whether the plan is of training from random weights, which some adapters do not do. */
  readonly pretrains: boolean;
  /** Of the run. */
  readonly plan: MemoryPlan;
  /** Bytes of weights, projections and optimizer states, as they are stored. */
  readonly storedBytes: number;
  /** The same as papers count them: what is float32 here, such as moments, as bfloat16. */
  readonly countedBytes: number;
  /** What papers estimate of that. */
  readonly estimates: readonly BesidePaper[];
  /** What papers measured of such a run, beside the plan's peak. */
  readonly measured: readonly BesidePaper[];
}

/** Sequences and their length in papers' measurements. */
export const PAPER_BATCH = { batchSize: 1, seqLen: 256 } as const;

/** Of a model's state, as papers count. */
const STORED: readonly Purpose[] = [
  "weights",
  "quantisation_constants",
  "projections",
  "optimizer_state",
];

/**
 * Every method's memory for a model, in the order of the methods: with these options, those of
 * {@link PAPER_BATCH} and papers' ranks where they are left open. A method with which they do not go is
 * left out.
 *
 * @example
 * ```ts
 * import { methodMemory, PRESETS } from "@deno-galore/trainer";
 *
 * for (const { method, storedBytes, plan } of methodMemory(PRESETS.llama_1b, { model: "llama_1b" })) {
 *   console.log(method, storedBytes, plan.plannedPeakBytes);
 * }
 * ```
 */
export function methodMemory(
  config: LlamaConfig,
  given: MemoryInput,
  capabilities: Capabilities = CONSUMER_CARD,
): MethodMemory[] {
  const { optimizer, ...rest } = given, run = { config, options: { ...PAPER_BATCH, ...rest } };
  const names = optimizer === undefined ? METHOD_NAMES : [optimizer as MethodName];
  return names.flatMap((method) => memoryOf(method, run, capabilities) ?? []);
}

/** The option that sets its rank, where neither the method nor fine-tuning has its own. */
function rankFor(name: MethodName, run: SizedRun, isFinetuned: boolean): Values {
  const { config } = run, options = run.options as Values;
  const method = methodOf(name), option = rankOptionOf(method);
  if (!option || method.apollo?.rank || isFinetuned && option === "loraRank") return {};
  const { model } = options as { model?: PresetName };
  const usual = (model && PAPER_RANKS[model]) ?? rankOf({}, config, method);
  return { [option]: options[option] ?? usual };
}

function rankIn({ lora, optimizer }: TrainingShape): number | undefined {
  if (lora) return "rank" in lora ? lora.rank as number : undefined;
  return optimizer.projection?.rank ?? optimizer.rank;
}

function memoryOf(
  method: MethodName,
  run: SizedRun,
  capabilities: Capabilities,
): MethodMemory | undefined {
  const { finetune, from } = run.options as MemoryInput;
  // Adapters that train from random weights, too, do so where that is asked for.
  const asked = finetune === undefined && from === undefined ? [{ finetune: false }, {}] : [{}];
  const sizing = new Sizing(run, capabilities);
  for (const kind of asked) {
    const isFinetuned = plansFinetuning({ finetune, from, optimizer: method, ...kind });
    const sized = rankFor(method, run, isFinetuned);
    const change = { optimizer: method, ...kind, ...sized }, shape = sizing.shape(change);
    const plan = shape && sizing.plan(change);
    if (!plan) continue;
    const pretrains = !isFinetuned;
    const counted = countedBytes(run.config, shapeOfProcess(shape, plan.own), capabilities);
    const stored = STORED.reduce((sum, purpose) => sum + plan.byPurpose[purpose], 0);
    const theirs = pretrains && shapeOfPapers(method, run, capabilities);
    const isTheirs = theirs && JSON.stringify(theirs) === JSON.stringify(shape);
    const { estimates, measured } = figuresOf(method, run);
    return {
      method,
      rank: rankIn(shape),
      pretrains,
      plan,
      storedBytes: stored,
      countedBytes: counted,
      estimates: isTheirs
        ? estimates.map((each) => ({
          ...beside(counted, each),
          storedAtMost: beside(stored, each).atMost,
        }))
        : [],
      measured: isTheirs
        ? measured.filter(isLike(shape)).map((each) => beside(plan.plannedPeakBytes, each))
        : [],
    };
  }
}

/**
 * The shape of the method in papers' experiments: at their rank, in its usual formats, with the run's
 * batches. Undefined of a model of none.
 */
function shapeOfPapers(
  optimizer: MethodName,
  { config, options }: SizedRun,
  capabilities: Capabilities,
): TrainingShape | undefined {
  const { model, vocabSize, batchSize, seqLen, activationCheckpointing } = options as MemoryInput;
  if (presetOf(model) === undefined || vocabSize !== undefined) return undefined;
  const usual = { config, options: { model, batchSize, seqLen, activationCheckpointing } };
  const change = { optimizer, finetune: false, ...rankFor(optimizer, usual, false) };
  return new Sizing(usual, capabilities).shape(change);
}

function isLike({ batchSize, seqLen, activationCheckpointing }: TrainingShape) {
  return (measured: typeof PAPER_MEASURED[number]) =>
    seqLen === PAPER_BATCH.seqLen && batchSize === measured.batchSize &&
    activationCheckpointing === measured.activationCheckpointing;
}

function figuresOf(method: MethodName, { options }: SizedRun) {
  const { model } = options as { model: PresetName };
  const isOf = (figures: PaperFigures) => figures.method === method && figures.figures[model];
  const figure = <Figures extends PaperFigures>(figures: Figures) => ({
    ...figures,
    figure: figures.figures[model]!,
  });
  return {
    estimates: PAPER_ESTIMATES.filter(isOf).map(figure),
    measured: PAPER_MEASURED.filter(isOf).map(figure),
  };
}

function beside(
  bytes: number,
  { paper, figure, less }: Pick<PaperFigures, "paper" | "less"> & { readonly figure: string },
): BesidePaper {
  const { unit } = PAPERS[paper], digits = figure.split(".")[1]?.length ?? 0;
  const atMost = Number((bytes / unit).toFixed(digits)) <= Number(figure);
  return { paper, figure, bytes: Number(figure) * unit, atMost, ...(!atMost && { less }) };
}

function countedBytes(
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
): number {
  const allocator = new PlanAllocator();
  buildTraining(allocator, config, shape, capabilities);
  return allocator.tensors.filter(({ purpose }) => STORED.includes(purpose))
    .reduce((sum, { bytes, dtype }) => sum + (dtype === "float32" ? bytes / 2 : bytes), 0);
}
