/** Keys of the learning rate's schedule. */
import { fault, type KeyContext, type Meaning, type Reader, show } from "./meaning.ts";

export const SCHEDULE: Readonly<Record<string, Reader>> = {
  lr_scheduler_type: (value, file) => {
    const { has } = file;
    switch (value) {
      case "cosine_with_min_lr":
        return withFloor(file);
      case "cosine":
      case "linear":
        // In LLaMA-Factory the rate decays to zero.
        return { options: { scheduler: value }, implied: { minLrRatio: 0 } };
      case "constant":
        return {
          options: { scheduler: value },
          implied: has("warmupRatio") ? { warmupRatio: 0 } : { warmupSteps: 0 },
        };
      case "constant_with_warmup":
        return { options: { scheduler: "constant" } };
    }
    const known = ["cosine", "cosine_with_min_lr", "linear", "constant", "constant_with_warmup"];
    return {
      fault: {
        message: `must be one of ${known.join(", ")}, got ${show(value)}`,
        near: [String(value), known],
      },
    };
  },
  lr_scheduler_kwargs: (value, file) =>
    file.get("lr_scheduler_type") === "cosine_with_min_lr" || JSON.stringify(value) === "{}"
      ? {}
      : fault("is supported only with lr_scheduler_type: cosine_with_min_lr, for its floor"),
  min_lr: floorOf,
  min_lr_rate: floorOf,
  warmup_ratio: (value, file) => {
    const steps = file.get("warmup_steps");
    if (steps !== undefined && steps !== 0) {
      return { note: `has no effect: ${file.line("warmup_steps")} takes precedence` };
    }
    return withoutWarmup(value, file) ?? warmupShare(value, file);
  },
  warmup_steps: (value, file) => {
    // As in transformers: `warmup_steps` takes precedence unless 0; below 1 it is a ratio.
    if (value === 0 && file.get("warmup_ratio") !== undefined) return {};
    const isShare = typeof value === "number" && value > 0 && value < 1;
    return withoutWarmup(value, file) ??
      (isShare ? warmupShare(value, file) : { options: { warmupSteps: value } });
  },
};

/** transformers' `cosine_with_min_lr`: its floor is a rate, here a fraction of the peak. */
function withFloor(file: KeyContext): Meaning {
  const kwargs = (file.get("lr_scheduler_kwargs") ?? {}) as Record<string, unknown>;
  const unknown = Object.keys(kwargs).filter((key) => key !== "min_lr" && key !== "min_lr_rate");
  if (unknown.length) return fault(`lr_scheduler_kwargs has no ${unknown.join(", ")} here`);
  const floor = kwargs.min_lr ?? file.get("min_lr");
  const rate = kwargs.min_lr_rate ?? file.get("min_lr_rate");
  const peak = file.get("learning_rate") ?? file.get("lr");
  const scheduler = "cosine";
  if (rate !== undefined && floor === undefined) {
    return { options: { scheduler, minLrRatio: rate } };
  }
  if (typeof floor !== "number" || rate !== undefined) {
    return fault("cosine_with_min_lr needs min_lr or min_lr_rate in lr_scheduler_kwargs, not both");
  }
  if (typeof peak !== "number") {
    return fault("min_lr needs learning_rate in the same file, or min_lr_rate in its place");
  }
  // Without the digits that a quotient of decimal fractions gains.
  return { options: { scheduler, minLrRatio: Number((floor / peak).toPrecision(12)) } };
}

/** Read with the scheduler that they belong to. */
function floorOf(_: unknown, file: KeyContext): Meaning {
  return file.get("lr_scheduler_type") === "cosine_with_min_lr"
    ? {}
    : fault("needs lr_scheduler_type: cosine_with_min_lr");
}

/** A warm-up as a share of the steps, which pre-training knows from the start. */
function warmupShare(value: unknown, { get, has }: KeyContext): Meaning {
  if (has("warmupRatio")) return { options: { warmupRatio: value } };
  const steps = get("max_steps") ?? get("steps");
  if (typeof value !== "number" || typeof steps !== "number") {
    return fault("needs max_steps in the same file; or give warmup_steps");
  }
  return { options: { warmupSteps: Math.round(value * steps) } };
}

/** transformers' `constant` has no warm-up, regardless of other options. */
function withoutWarmup(value: unknown, file: KeyContext): Meaning | undefined {
  if (file.get("lr_scheduler_type") !== "constant") return undefined;
  if (value === 0) return {};
  return fault(
    `${show(value)} has no effect with ${file.line("lr_scheduler_type")}: constant has no ` +
      "warm-up, constant_with_warmup has",
  );
}
