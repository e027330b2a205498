/** Progress of a run: a bar on a terminal, lines elsewhere; always on stderr. */
import process from "node:process";
import cliProgress from "../packages/cli_progress.ts";
import type {
  DataEvent,
  PlanEvent,
  PreparationEvent,
  StepEvent,
  TrainingEvent,
} from "../train/events.ts";
import { formatBytes } from "../text.ts";
import { describeRanks } from "./rank_table.ts";

export interface ProgressOutput {
  readonly interactive: boolean;
  log(line: string): void;
}

/** Least interval between lines where there is no bar. */
const LINE_INTERVAL_MS = 1000;

/** Preparations longer than this are reported, and again at this interval. */
const PREPARATION_INTERVAL_MS = 5000;

/** Shows the events of a run; call `stop` when it ends or fails. */
export class Progress {
  readonly #show: { step(event: StepEvent): void; line(text: string): void; stop(): void };
  #steps = 0;
  #preparing: string | undefined;
  #reportedAt = 0;

  /** `now` is the clock, in ms. */
  constructor(
    output: ProgressOutput,
    private readonly now: () => number = () => performance.now(),
  ) {
    const steps = () => this.#steps;
    this.#show = output.interactive ? new Bar(steps) : new Lines(output, steps, now);
  }

  handle(event: TrainingEvent | PreparationEvent): void {
    const line = (text: string) => this.#show.line(text);
    switch (event.type) {
      case "preparation":
        return this.#prepare(event);
      case "plan":
        this.#steps = event.steps;
        return line(describePlan(event));
      case "data":
        return line(describeData(event));
      case "rank_advice":
        return line(describeRanks(event));
      case "step":
        return this.#show.step(event);
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
      case "done": {
        this.stop();
        const { final_loss, tokens, tokens_per_second, gpu_peak_bytes } = event.summary;
        const { best_step, best_eval_loss, stopped_early_at } = event.summary;
        if (stopped_early_at !== undefined) line(`step ${stopped_early_at}: stopped early`);
        if (best_step !== undefined) {
          line(`best evaluation: loss ${best_eval_loss!.toFixed(4)} at step ${best_step}`);
        }
        return line(
          `${event.interrupted ? "stopped" : "done"}: loss ${
            final_loss.toFixed(4)
          }, ${tokens} tokens at ${tokens_per_second.toFixed(0)} tokens/s, ${
            formatBytes(gpu_peak_bytes)
          } of GPU memory at peak`,
        );
      }
    }
  }

  stop(): void {
    this.#show.stop();
  }

  /** Fast preparations are not reported. */
  #prepare({ what, share, count }: PreparationEvent): void {
    if (what !== this.#preparing) [this.#preparing, this.#reportedAt] = [what, this.now()];
    if (this.now() - this.#reportedAt < PREPARATION_INTERVAL_MS) return;
    this.#reportedAt = this.now();
    const done = share === undefined ? `${count}` : `${Math.floor(100 * share)}%`;
    this.#show.line(`${what}: ${done}`);
  }
}

class Lines {
  #lastLine = -Infinity;

  constructor(
    readonly output: ProgressOutput,
    readonly steps: () => number,
    readonly now: () => number,
  ) {}

  step(event: StepEvent): void {
    const last = event.step === this.steps();
    if (!last && this.now() - this.#lastLine < LINE_INTERVAL_MS) return;
    this.#lastLine = this.now();
    const { loss, lr, speed, memory } = figures(event);
    const left = (this.steps() - event.step) * event.step_ms / 1000;
    this.line(
      [
        `step ${event.step}/${this.steps()}`,
        `loss ${loss}`,
        `lr ${lr}`,
        `${speed} tokens/s`,
        memory,
        `ETA ${formatSeconds(left)}`,
      ].join("  "),
    );
  }

  line(text: string): void {
    this.output.log(text);
  }

  stop(): void {}
}

class Bar {
  readonly #bars = new cliProgress.MultiBar({
    stream: process.stderr,
    format: "{bar} {value}/{total}  loss {loss}  lr {lr}  {speed} tokens/s  {memory}  " +
      "ETA {eta_formatted}",
    barsize: 24,
    hideCursor: true,
    // Estimate the remaining time from a few steps.
    etaBuffer: 20,
    forceRedraw: true,
  }, cliProgress.Presets.shades_classic);
  #bar?: { update(value: number, payload: Record<string, string>): void };
  #stopped = false;

  constructor(readonly steps: () => number) {}

  step(event: StepEvent): void {
    if (this.#stopped) return;
    // Start at the first step: shader compilation would distort the estimate.
    const bar = this.#bar ??= this.#bars.create(this.steps(), event.step - 1, figures(event));
    bar!.update(event.step, figures(event));
  }

  line(text: string): void {
    if (this.#bar && !this.#stopped) this.#bars.log(`${text}\n`);
    else console.error(text);
  }

  stop(): void {
    if (!this.#stopped) this.#bars.stop();
    this.#stopped = true;
  }
}

/** The figures of a step, for both kinds of display. */
function figures(event: StepEvent) {
  return {
    loss: event.loss.toFixed(4),
    lr: event.lr.toPrecision(3),
    speed: event.tokens_per_second.toFixed(0),
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
    `${formatBytes(plan.planned_peak_bytes)} of GPU memory, on ${plan.adapter}`;
}

function describeData({ records, examples, held_out, tokens, trained_tokens }: DataEvent): string {
  const count = (value: number) => value.toLocaleString("en-GB");
  const held = held_out ? `, ${count(held_out)} held out` : "";
  return `${count(examples)} of ${count(records)} examples${held}: ${count(tokens)} tokens, ` +
    `${count(trained_tokens)} of them trained`;
}

/** 3725 seconds: 1h02m. */
function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${pad(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${pad(Math.floor(whole / 60) % 60)}m`;
}
