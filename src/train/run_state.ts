/** What a checkpoint holds besides tensors: the progress of its run, and its identity. */
import { z } from "../packages/zod.ts";
import { UserError } from "../options/user_error.ts";
import type { LazyRefresh } from "../optim/lazy_refresh.ts";
import type { OptimizerShape } from "../optim/optimizer_shape.ts";
import { option, phrase } from "../options/phrase.ts";
import type { BestState } from "./best_evaluation.ts";
import type { TrainingShape } from "./build.ts";
import type { Checkpoint } from "../formats/checkpoint/reader.ts";
import { crossEntropyObjective } from "./objective.ts";
import type { RunIdentity } from "./run_identity.ts";
import type { RunSchedule } from "./resumed_schedule.ts";

export interface RunState extends RunIdentity {
  readonly step: number;
  /** Targets trained on so far. */
  readonly tokens: number;
  /** Of the last step. */
  readonly loss: number;
  /** Where the loss began; see loss_watch.ts. Version 0.1.0 has none of these three. */
  readonly first_loss?: number;
  /** Of the learning rate. */
  readonly schedule?: RunSchedule;
  /** The evaluation with the lowest loss, if any. */
  readonly best?: BestState;
  /** On the held-out data before the first step, if evaluated. */
  readonly first_eval_loss?: number;
  /** Work after this step that a stop prevented: evaluation and samples, or samples alone. */
  readonly due?: "evaluation" | "samples";
  /** State of the lazy rule, by parameter. */
  readonly lazy: Readonly<Record<string, LazyRefresh>>;
  /**
   * Of ranks that train by themselves: the option, and the lazy rule's state on every other rank than
   * the first, whose entries begin with `rank1.` and so on.
   */
  readonly local?: {
    readonly local_steps: number;
    readonly lazy: readonly Readonly<Record<string, LazyRefresh>>[];
  };
  /** Position of the next batch. */
  readonly data: unknown;
  /** Where the weights are that the checkpoint does not hold, if any; older versions lack it. */
  readonly base?: string;
  /** What those weights were: see formats/weights_mark.ts. */
  readonly base_mark?: string;
}

const count = z.number().int().min(0);
const lazy = z.record(
  z.string(),
  z.object({ interval: count, queue: z.array(z.number()), refreshes: count }),
);
const shape = z.looseObject({ optimizer: z.looseObject({}) });
const schema = z.looseObject({
  step: count,
  tokens: count,
  loss: z.number().nullable(), // NaN in JSON
  first_loss: z.number().nullable().optional(),
  schedule: z.looseObject({ lr: z.number(), steps: count }).optional(),
  best: z.object({ step: count, loss: z.number(), stale: count }).optional(),
  first_eval_loss: z.number().nullable().optional(),
  due: z.enum(["evaluation", "samples"]).optional(),
  lazy,
  local: z.object({ local_steps: count, lazy: z.array(lazy) }).optional(),
  config: z.looseObject({}),
  shape,
  rates: z.looseObject({ seed: count }).optional(),
  objective: z.string().optional(),
  layerwise: z.boolean().optional(),
  base: z.string().optional(),
  base_mark: z.string().optional(),
});

/** The state in a checkpoint of this or an older version. Throws if it is invalid. */
export function readRunState({ path, state }: Pick<Checkpoint, "path" | "state">): RunState {
  const { success, data, error } = schema.safeParse(state);
  if (!success) {
    const [{ path: place, message }] = error.issues;
    throw new UserError(
      `checkpoint ${path}: invalid state: ${place.join(".")}: ${message}`,
    );
  }
  if (data.rates) return data as unknown as RunState;
  const { optimizer, ...sizes } = data.shape, old = optimizer as unknown as FirstOptimizer;
  return {
    ...data as unknown as RunState,
    shape: { ...sizes as unknown as TrainingShape, optimizer: upgraded(old) },
    rates: { seed: old.seed },
    objective: crossEntropyObjective.name,
  };
}

/** The optimizer in version 1 checkpoints: sizes and rates together, rules as bits. */
interface FirstOptimizer {
  readonly galore: boolean;
  readonly adamBits: 8 | 32;
  readonly embeddingAdamBits: 8 | 32;
  readonly rank: number;
  readonly ranks?: Readonly<Record<string, number>>;
  readonly projQuant: boolean;
  readonly projGroupSize: number;
  readonly gradientAccumulation: number;
  readonly seed: number;
}

function upgraded(old: FirstOptimizer): OptimizerShape {
  const adam = (bits: 8 | 32) => bits === 8 ? "adam8bit" as const : "adam" as const;
  const own = adam(old.adamBits);
  const { rank, ranks, projQuant: quantised, projGroupSize: groupSize } = old;
  return {
    rules: { matrices: own, embeddings: adam(old.embeddingAdamBits), others: own },
    projection: old.galore ? { rank, ranks, quantised, groupSize } : undefined,
    gradientAccumulation: old.gradientAccumulation,
  };
}

/** Refuses to resume on another base than the run's, where the checkpoint says which it was. */
export function assertSameBase(
  path: string,
  saved: Pick<RunState, "base" | "base_mark">,
  base: string | undefined,
  mark: string | undefined,
): void {
  const { base_mark: before } = saved;
  if (before === undefined || mark === undefined || mark === before) return;
  const place = base === saved.base
    ? `those in ${base} have changed since (their mark was ${before}, is ${mark})`
    : `those in ${base} (mark ${mark}) are not those in ${saved.base} (mark ${before})`;
  throw new UserError(
    `checkpoint ${path} lacks the weights that are not trained, which must be those that the run ` +
      `started from: ${place}`,
    phrase`put them back, or name the place where they are now (in pre-training ${
      option("from")
    }, in
      fine-tuning ${option("model")})`,
  );
}
