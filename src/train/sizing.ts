/** The memory of a run with other options than its own. */
import type { Capabilities } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { OptionsError } from "../options/faults.ts";
import { wasLeftOpen } from "../options/schema.ts";
import { type TrainingShape, trainsEmbeddings } from "./build.ts";
import { effectRules } from "./effect.ts";
import { type MemoryOptions, memoryOptions } from "./memory_options.ts";
import { trainingShape } from "./method.ts";
import type { Objective } from "./objective.ts";
import { PARALLEL_EFFECTS } from "./parallel_fields.ts";
import { type MemoryPlan, planMemory } from "./plan.ts";

/** Options by name: as given, or to change. */
export type Values = Readonly<Record<string, unknown>>;

/** A run to size. */
export interface SizedRun {
  /** The model's shape. */
  readonly config: LlamaConfig;
  /** Options of `memory`, or of a run, which has them and more. */
  readonly options: object;
  /** The run's own, where the options alone do not decide it. */
  readonly shape?: TrainingShape;
  /** The objective; cross-entropy by default. */
  readonly objective?: Objective;
  /** Processes to which the batches of a run are dealt out; this one alone by default. */
  readonly ranks?: number;
}

/** A run's size as its options change. */
export class Sizing {
  readonly #given: Values;

  /** Of a run whose method is settled, what `memory` would refuse beside the rest is left out. */
  constructor(private readonly run: SizedRun, private readonly capabilities: Capabilities) {
    const given = sizeOptionsOf(run);
    const parsed = given.optimizer === undefined ? [] : parse(given);
    const refused = Array.isArray(parsed) ? parsed : [];
    this.#given = Object.fromEntries(
      Object.entries(given).filter(([name]) => !refused.includes(name)),
    );
  }

  /** The plan with these options changed; undefined if they do not go together. */
  plan(change: Values = {}): MemoryPlan | undefined {
    const { config, objective } = this.run, shape = this.shape(change);
    return shape && planMemory(config, shape, this.capabilities, objective);
  }

  /** The run's shape with these options changed; undefined if they do not go together. */
  shape(change: Values = {}): TrainingShape | undefined {
    const options = parse({ ...this.#given, ...change });
    if (Array.isArray(options) || !this.#runs(change)) return undefined;
    const own = shapeOf(options, this.run.config);
    if (!own) return undefined;
    const shape = this.#asInRun(own);
    return "rank" in change ? shape : this.#withRanks(shape);
  }

  /** Whether the changes go with a run's other options, of which `memory` lacks some. */
  #runs(change: Values): boolean {
    const { options } = this.run;
    if (!("output" in options)) return true;
    const chosen = Object.entries(options).filter(([name]) => !wasLeftOpen(options, name));
    const given = Object.fromEntries(chosen);
    const after: [Values, Values] = [{ ...options, ...change }, { ...given, ...change }];
    return PARALLEL_RULES.every((rule) => !rule(...after) || rule(options, given));
  }

  /** What no option of `memory` says. */
  #asInRun(shape: TrainingShape): TrainingShape {
    return { ...shape, samplePositions: this.run.shape?.samplePositions };
  }

  /** The ranks that were chosen from gradients. */
  #withRanks(shape: TrainingShape): TrainingShape {
    const { optimizer } = shape, { projection } = optimizer;
    const ranks = this.run.shape?.optimizer.projection?.ranks;
    if (!projection || !ranks) return shape;
    return { ...shape, optimizer: { ...optimizer, projection: { ...projection, ranks } } };
  }
}

const PARALLEL_RULES = effectRules(PARALLEL_EFFECTS);

/** Stands for the model, whose configuration is at hand. */
const MODEL = { model: "./config.json" };

/**
 * The options that `memory` has in common with a run, as they were given. Embedding and head may be
 * trained for another reason: added tokens, or an adapter that has them whole.
 */
function sizeOptionsOf({ options, shape, ranks = 1 }: SizedRun): Values {
  const run = options as Values, isFinetuning = "template" in run, isRun = "output" in run;
  const always = ["batchSize", "seqLen"];
  const otherwise = ["model", "vocabSize", "fit", "allocate", "table", "plot"];
  const names = Object.keys(memoryOptions.fields).filter((name) =>
    !otherwise.includes(name) && run[name] !== undefined &&
    (always.includes(name) || !wasLeftOpen(run, name))
  );
  const given = Object.fromEntries(names.map((name) => [name, run[name]]));
  if (given.rank === "auto") delete given.rank;
  return {
    ...given,
    ...ranks > 1 && {
      // Those that train by themselves need what one does.
      ...run.localSteps === undefined && { ranks },
      gradientAccumulation: Number(run.gradientAccumulation) / ranks,
    },
    ...(given.from === undefined ? MODEL : undefined),
    ...(isRun && given.from === undefined && { finetune: isFinetuning }),
    ...(shape && (isFinetuning || given.from !== undefined && shape.lora) &&
      trainsEmbeddings(shape) && { trainEmbeddings: true }),
  };
}

/** Undefined if the options do not go with the model. */
function shapeOf(options: MemoryOptions, config: LlamaConfig): TrainingShape | undefined {
  try {
    return trainingShape(options, config);
  } catch (error) {
    if (error instanceof OptionsError) return undefined;
    throw error;
  }
}

/** The options, or the names of those that are refused. */
function parse(given: Values): MemoryOptions | string[] {
  try {
    return memoryOptions.parseUnknown(given);
  } catch (error) {
    if (error instanceof OptionsError) return error.faults.map(({ option }) => option);
    throw error;
  }
}
