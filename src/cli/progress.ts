/** Progress of a run: a bar on a terminal, lines elsewhere; always on stderr. */
import type {
  DataEvent,
  DoneEvent,
  PlanEvent,
  PreparationEvent,
  ProgressEvent,
  RunPhase,
  StepEvent,
  TrainingEvent,
} from "../train/events.ts";
import { formatBytes } from "../text.ts";
import { howFar } from "./how_far.ts";
import { describeRanks } from "./rank_table.ts";
import { barOf, fitting } from "./status_line.ts";
import { StepTimes } from "./step_times.ts";
import { formatSeconds, type HowFar, type ProgressOutput, timeOf, Working } from "./working.ts";

export type { ProgressOutput };

/** Least interval between lines of steps where there is no bar. */
const LINE_INTERVAL_MS = 1000;
/** Interval of the clock. */
const TICK_MS = 500;
/** Seconds after which it is said how long something has taken. */
const LONG_S = 2;

/** Shows the events of a run; call `stop` when it ends or fails. */
export class Progress {
  readonly #working: Working;
  #steps = 0;
  #step: StepEvent | undefined;
  readonly #times = new StepTimes();
  /** The step that the phase belongs to. */
  #stepOf = 0;
  #lastLine = -Infinity;
  #phase: RunPhase | undefined;
  #how: HowFar = {};
  #since = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `now` is the clock, in ms. */
  constructor(
    private readonly output: ProgressOutput,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#working = new Working(output, now);
  }

  /** Looks at the clock by itself from now on. */
  start(): this {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS);
    return this;
  }

  /** Says what is done before the run's first event. */
  prepare(what: string): void {
    this.#working.show(what, { atOnce: true });
  }

  /** Shows the time that passes. */
  tick(): void {
    if (this.#isDrawn) this.#draw();
    else this.#working.tick();
  }

  handle(event: TrainingEvent | PreparationEvent | ProgressEvent): void {
    const line = (text: string) => this.#working.line(text);
    switch (event.type) {
      case "preparation": {
        const { what, share, count } = event;
        return this.#working.show(what, {
          share,
          detail: share === undefined && count !== undefined ? `${count}` : undefined,
        });
      }
      case "progress":
        return this.#goOn(event);
      case "plan":
        this.#steps = event.steps;
        this.#since = this.now();
        line(describePlan(event));
        if (isUnlimited(event)) line(UNLIMITED);
        return this.tick();
      case "data":
        return line(describeData(event));
      case "rank_advice":
        return line(describeRanks(event));
      case "step":
        return this.#count(event);
      case "eval":
        return line(
          `step ${event.step}: evaluation loss ${event.eval_loss.toFixed(4)}, perplexity ${
            event.eval_perplexity.toFixed(2)
          }`,
        );
      case "sample":
        return line(`step ${event.step}: ${event.prompt} → ${event.text.replaceAll("\n", "⏎")}`);
      case "checkpoint":
        return line(`step ${event.step}: saved ${event.path}`);
      case "warning":
        return line(`warning: ${event.message}`);
      case "failed":
        return this.stop();
      case "done":
        this.stop();
        return describeDone(event).forEach(line);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#steps = 0;
    this.#working.stop();
  }

  #goOn(event: ProgressEvent): void {
    const { phase, step } = event, training = phase === "training";
    if (phase !== this.#phase) this.#since = this.now();
    [this.#phase, this.#stepOf] = [phase, step];
    this.#how = howFar(event);
    if (this.#isDrawn) return this.#draw();
    const of = this.#steps ? ` of ${this.#steps}` : "";
    this.#working.show(training ? `step ${step}${of}` : `step ${step}: ${phase}`, this.#how);
  }

  #count(event: StepEvent): void {
    this.#step = event;
    this.#since = this.now();
    this.#how = {};
    this.#times.add(event);
    if (this.#isDrawn) return this.#draw();
    if (event.step !== this.#steps && this.now() - this.#lastLine < LINE_INTERVAL_MS) return;
    this.#lastLine = this.now();
    const { loss, lr, speed, memory } = figures(event);
    this.#working.line(
      `step ${event.step}/${this.#steps}  loss ${loss}  lr ${lr}  ${speed}  ${memory}  ` +
        `ETA ${this.#left()}`,
    );
  }

  get #isDrawn(): boolean {
    return this.output.interactive && this.output.status !== undefined && this.#steps > 0;
  }

  #draw(): void {
    this.output.status!((columns) => this.#bar(columns));
  }

  /** What matters most stays longest in a narrow window: the step, the time left, the loss. */
  #bar(columns: number): string {
    const { step = 0 } = this.#step ?? {}, share = step / (this.#steps || 1);
    const bar = (length: number) => barOf(share, length), count = `${step}/${this.#steps}`;
    const eta = `ETA ${this.#left()}`;
    const doing = this.#doing();
    if (doing) {
      const loss = this.#step ? `  loss ${this.#step.loss.toFixed(4)}` : "";
      return fitting(columns, [
        `${bar(24)} ${count}${loss}  ${doing}  ${eta}`,
        `${bar(10)} ${count}${loss}  ${doing}  ${eta}`,
        `${bar(10)} ${count}  ${doing}  ${eta}`,
        `${count}  ${doing}  ${eta}`,
        `${count}  ${this.#phase}  ${eta}`,
        `${count}  ${eta}`,
      ]);
    }
    if (!this.#step) return fitting(columns, [`${bar(24)} ${count}`, count]);
    const { loss, lr, speed, memory } = figures(this.#step);
    const parts = [`loss ${loss}`, `lr ${lr}`, speed, memory];
    const without = (...gone: number[]) =>
      [...parts.filter((_, at) => !gone.includes(at)), eta].join("  ");
    return fitting(columns, [
      `${bar(24)} ${count}  ${without()}`,
      `${bar(10)} ${count}  ${without()}`,
      `${bar(24)} ${count}  ${without(3)}`,
      `${bar(10)} ${count}  ${without(3)}`,
      `${bar(24)} ${count}  ${without(1, 3)}`,
      `${bar(10)} ${count}  ${without(1, 3)}`,
      `${bar(10)} ${count}  ${without(1, 2, 3)}`,
      `${count}  ${without(1, 2, 3)}`,
      `${count}  ${eta}`,
    ]);
  }

  /** What takes long: another phase than training, or a step of seconds. */
  #doing(): string | undefined {
    const seconds = (this.now() - this.#since) / 1000, { detail, share, secondsLeft } = this.#how;
    const far = detail ?? (share === undefined ? undefined : `${Math.floor(100 * share)}%`);
    const phase = this.#phase === "training" ? undefined : this.#phase;
    const known = [phase, far].filter((each) => each !== undefined);
    if (seconds < LONG_S && !phase) return undefined;
    if (seconds >= LONG_S) {
      known.push(`${known.length ? "" : "this step "}${timeOf(seconds, secondsLeft)}`);
    }
    return known.join(", ");
  }

  #left(): string {
    const { secondsLeft } = this.#how, ms = this.#times.mean;
    const done = secondsLeft === undefined ? this.#step?.step ?? 0 : this.#stepOf;
    const steps = this.#steps - done;
    if (steps > 0 && ms === undefined) return "?";
    return formatSeconds((secondsLeft ?? 0) + steps * (ms ?? 0) / 1000);
  }
}

/** The figures of a step, for both kinds of display. */
function figures(event: StepEvent) {
  return {
    loss: event.loss.toFixed(4),
    lr: event.lr.toPrecision(3),
    speed: `${event.tokens_per_second.toFixed(0)} tokens/s`,
    memory: formatBytes(event.gpu_bytes),
  };
}
function describePlan(plan: PlanEvent): string {
  const count = (value: number) => value.toLocaleString("en-GB");
  const { parameters, trained_parameters: trained } = plan;
  const part = trained === parameters ? "" : `${count(trained)} trained, `;
  const saved = plan.resumed_saved_at &&
    `, saved ${new Date(plan.resumed_saved_at).toLocaleString("sv").slice(0, 16)}`;
  const checkpoint = plan.resumed_from ? ` (${plan.resumed_from}${saved ?? ""})` : "";
  const from = plan.resumed_step ? `resuming after step ${plan.resumed_step}${checkpoint}, ` : "";
  return `${count(parameters)} parameters, ${part}${from}${plan.steps} steps, ` +
    `${describeMemory(plan)}, on ${plan.adapter}${describeTeam(plan)}`;
}

function describeTeam(plan: PlanEvent): string {
  const { ranks, exchanged_bytes, local_steps, outer_bytes } = plan;
  const outer = local_steps
    ? `, ${formatBytes(outer_bytes!)} of host memory for the outer step after every ${local_steps}`
    : "";
  if (ranks === undefined) return outer;
  const sent = formatBytes(exchanged_bytes!);
  return `${outer}, in each of ${ranks} processes, which send ${sent} in a step on average`;
}

function describeMemory({ planned_peak_bytes, allocated_bytes, memory_limit }: PlanEvent): string {
  const planned = `${formatBytes(planned_peak_bytes)} of GPU memory`;
  const notes = [
    ...(allocated_bytes ?? 0) > planned_peak_bytes
      ? [`${formatBytes(allocated_bytes!)} in the driver's blocks`]
      : [],
    ...memory_limit === undefined ? [] : [`${formatBytes(memory_limit)} available`],
  ];
  return notes.length ? `${planned} (${notes.join(", ")})` : planned;
}

const UNLIMITED =
  "how much memory this card has is unknown: with --gpu-memory, a run that does not " +
  "fit is refused at once";

/** Events of earlier versions do not say. */
function isUnlimited({ allocated_bytes, memory_limit }: PlanEvent): boolean {
  return allocated_bytes !== undefined && memory_limit === undefined;
}

function describeData({ records, examples, held_out, tokens, trained_tokens }: DataEvent): string {
  const count = (value: number) => value.toLocaleString("en-GB");
  const held = held_out ? `, ${count(held_out)} held out` : "";
  return `${count(examples)} of ${count(records)} examples${held}: ${count(tokens)} tokens, ` +
    `${count(trained_tokens)} of them trained`;
}

function describeDone({ summary, interrupted, step }: DoneEvent): string[] {
  const { final_loss, tokens, tokens_per_second, gpu_peak_bytes } = summary;
  const { best_step, best_eval_loss, stopped_early_at } = summary;
  // A run that had ended before has no speed.
  const speed = tokens_per_second ? ` at ${tokens_per_second.toFixed(0)} tokens/s` : "";
  const trained = step > 0
    ? `loss ${final_loss.toFixed(4)}, ${tokens} tokens${speed}`
    : "before the first step";
  return [
    ...stopped_early_at === undefined ? [] : [`step ${stopped_early_at}: stopped early`],
    ...best_step === undefined
      ? []
      : [`best evaluation: loss ${best_eval_loss!.toFixed(4)} at step ${best_step}`],
    `${interrupted ? "stopped" : "done"}: ${trained}, ${
      formatBytes(gpu_peak_bytes)
    } of GPU memory at peak`,
  ];
}
