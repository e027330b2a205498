/** What a run says before its first step about options that will not do what they seem to. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { wasGiven } from "../options/schema.ts";
import type { RunOptions, TrainingData } from "./recipe.ts";

/** Steps between meetings from which on we do not advise against the paper's outer momentum. */
const FEW_LOCAL_STEPS = 100;

/**
 * Once the number of steps is known, and whether anything is held out. Throws a {@link UserError}
 * for options that need evaluations where none is possible.
 */
export function runNotes(
  options: RunOptions,
  { steps, warmupSteps, evaluates = true }: Pick<
    TrainingData,
    "steps" | "warmupSteps" | "evaluates"
  >,
): Phrase[] {
  if (!evaluates) refuseEvaluations(options);
  const { evalEvery, saveEvery, saveMinutes, keepCheckpoints, samplePrompt, lr } = options;
  const given = (name: string) => wasGiven(options, name);
  const notes: Phrase[] = [];
  if (options.embeddingAdam8bit) {
    const now = option("embeddingOptimizer", "adamw8bit");
    notes.push(phrase`${option("embeddingAdam8bit")} is the former name of ${now}`);
  }
  const { localSteps, outerMomentum } = options;
  if (localSteps !== undefined && localSteps < FEW_LOCAL_STEPS && !given("outerMomentum")) {
    const [usual, less] = [outerMomentum, 0.5].map((value) => option("outerMomentum", value));
    notes.push(
      phrase`${
        option("localSteps", localSteps)
      }: below ${FEW_LOCAL_STEPS} the usual ${usual} is too much:
        with 20 the loss ended above that of one process by itself, and with ${less} below it
        (docs/parallel.md)`,
    );
  }
  if (warmupSteps > steps) {
    notes.push(
      phrase`a warm-up of ${warmupSteps} steps is longer than the run of ${steps}: the learning rate
        never reaches ${option("lr", lr)} (set ${option("warmupSteps")})`,
    );
  }
  if (given("evalEvery") && evalEvery !== 0 && !evaluates && !samplePrompt) {
    notes.push(phrase`${option("evalEvery", evalEvery)} has no effect: nothing is held out`);
  } else if (given("evalEvery") && typeof evalEvery === "number" && evalEvery > steps) {
    notes.push(
      phrase`${
        option("evalEvery", evalEvery)
      } is longer than the run of ${steps} steps: the model is
        evaluated only at its end`,
    );
  }
  const byMinutes = saveMinutes !== 0;
  const once = !byMinutes &&
    (saveEvery === 0 || (typeof saveEvery === "number" && saveEvery >= steps));
  if (given("saveEvery") && typeof saveEvery === "number" && saveEvery > steps) {
    notes.push(
      phrase`${option("saveEvery", saveEvery)} is longer than the run of ${steps} steps: ${
        byMinutes
          ? phrase`checkpoints are saved as ${
            option("saveMinutes", saveMinutes)
          } says, and at its end`
          : "only one checkpoint is saved, at its end"
      }`,
    );
  }
  if (given("keepCheckpoints") && keepCheckpoints > 1 && once) {
    notes.push(
      phrase`${option("keepCheckpoints", keepCheckpoints)} has no effect: only one checkpoint is
        saved, at the end of the run`,
    );
  }
  return notes;
}

function refuseEvaluations(options: RunOptions): void {
  const needing = (["loadBestModelAtEnd", "earlyStoppingPatience"] as const)
    .find((name) => options[name]);
  if (!needing) return;
  throw new UserError(
    phrase`${option(needing)} needs evaluations, but nothing is held out`,
    phrase`increase ${option("evalShare")} or set ${option("evalData")}`,
  );
}

/** Whether something that happens every so many steps, or once per epoch, happens after this one. */
export function isDue(
  step: number,
  every: number | "epoch",
  stepsPerEpoch: number | undefined,
): boolean {
  if (every !== "epoch") return every > 0 && step % every === 0;
  if (stepsPerEpoch === undefined) return false;
  // A pass rarely ends with a step: it is over after the step that reads its last example.
  const passes = (steps: number) => Math.floor(steps / stepsPerEpoch + 1e-9);
  return passes(step) > passes(step - 1);
}
