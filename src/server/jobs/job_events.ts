/** Converts events of a run to events of its job: text for people, data for charts. */
import { formatBytes } from "../../text.ts";
import type {
  DataEvent,
  DoneEvent,
  PlanEvent,
  StepEvent,
  TrainingEvent,
} from "../../train/events.ts";
import type { NewEvent } from "../store/records.ts";

/** A run reports its steps in groups; the evaluation belongs to one of them. */
export function jobEvent(event: TrainingEvent, totalSteps: number): NewEvent | undefined {
  switch (event.type) {
    case "plan":
      return planEvent(event);
    case "data":
      return dataEvent(event);
    case "step":
      return stepEvent(event, totalSteps);
    case "eval":
      // An evaluation is reported with its step, unless a resume repeats it after the step.
      return metrics(
        `eval:${event.step}`,
        `Step ${event.step}/${totalSteps}: ${validation(event.eval_loss)}`,
        {
          step: event.step,
          total_steps: totalSteps,
          valid_loss: event.eval_loss,
          valid_perplexity: event.eval_perplexity,
        },
      );
    case "sample":
      return {
        ...message(`Sample at step ${event.step}: ${event.text}`, {
          kind: "sample",
          step: event.step,
          prompt: event.prompt,
          text: event.text,
        }),
        key: `sample:${event.step}:${event.prompt}`,
      };
    case "checkpoint":
      return {
        ...message(`Checkpoint created at step ${event.step}`, {
          kind: "checkpoint",
          step: event.step,
        }),
        key: `checkpoint:${event.step}`,
      };
    case "rank_advice":
      return {
        ...message(`Ranks chosen for ${event.matrices.length} matrices`, {
          ...event,
          kind: "ranks",
        }),
        key: "ranks",
      };
    case "warning":
      return warning(event.message);
    case "done":
      return earlyStopEvent(event);
    case "failed":
      return undefined;
  }
}

function earlyStopEvent({ summary }: DoneEvent): NewEvent | undefined {
  const { stopped_early_at: step, best_step, best_eval_loss } = summary;
  if (step === undefined) return undefined;
  const best = best_eval_loss === undefined
    ? ""
    : `, whose best step is ${best_step} (${validation(best_eval_loss)})`;
  const data = { kind: "early_stop", step, best_step, best_valid_loss: best_eval_loss };
  return {
    ...message(`Early stopping ended the run at step ${step}${best}`, data),
    key: "early_stop",
  };
}

/** A message from the server itself about a job. */
export function message(text: string, data: Readonly<Record<string, unknown>> = {}): NewEvent {
  return { level: "info", type: "message", message: text, data };
}

/** What to know of a run. It is found at creation and by each attempt, and stored once. */
export function warning(text: string): NewEvent {
  return { ...message(text), level: "warn", key: `warning:${text}` };
}

function metrics(key: string, text: string, data: NewEvent["data"]): NewEvent {
  return { key, level: "info", type: "metrics", message: text, data };
}

function planEvent({ type: _, ...plan }: PlanEvent): NewEvent {
  const { trained_parameters, steps, planned_peak_bytes } = plan;
  const text = `Training ${trained_parameters} parameters in ${steps} steps, ` +
    `${formatBytes(planned_peak_bytes)} of GPU memory planned`;
  return { ...message(text, { kind: "plan", ...plan }), key: "plan" };
}

function dataEvent({ type: _, ...data }: DataEvent): NewEvent {
  const { examples, records, trained_tokens } = data;
  const text = `Training on ${examples} of ${records} examples, ${trained_tokens} tokens`;
  return { ...message(text, { kind: "data", ...data }), key: "data" };
}

function stepEvent(event: StepEvent, totalSteps: number): NewEvent {
  const { type: _, loss, eval_loss, eval_perplexity, ...rest } = event;
  const evaluated = eval_loss === undefined ? "" : `, ${validation(eval_loss)}`;
  return metrics(
    `step:${event.step}`,
    `Step ${event.step}/${totalSteps}: training loss=${loss.toFixed(4)}${evaluated}`,
    {
      ...rest,
      total_steps: totalSteps,
      train_loss: loss,
      ...(eval_loss === undefined
        ? undefined
        : { valid_loss: eval_loss, valid_perplexity: eval_perplexity }),
    },
  );
}

const validation = (loss: number) => `validation loss=${loss.toFixed(4)}`;
