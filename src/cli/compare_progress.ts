/** Progress of a comparison on one line: the run, how far it is, and the time that all will take. */
import type { ComparedRun, CompareEvent } from "../compare/events.ts";
import type { RunRecord } from "../compare/record.ts";
import { formatRate } from "../compare/table.ts";
import type { PreparationEvent, ProgressEvent, StepEvent } from "../train/events.ts";
import { howFar } from "./how_far.ts";
import { barOf, fitting } from "./status_line.ts";
import { StepTimes } from "./step_times.ts";
import { formatSeconds, type ProgressOutput, Working } from "./working.ts";

export class CompareProgress {
  readonly #working: Working;
  /** Those to come, after the one in progress. */
  #left: readonly ComparedRun[] = [];
  #number = 0;
  #run: ComparedRun | undefined;
  #step: StepEvent | undefined;
  readonly #warnings = new Set<string>();
  readonly #times = new Map<string, StepTimes>();

  /** `now` is the clock, in ms. */
  constructor(private readonly output: ProgressOutput, now?: () => number) {
    this.#working = new Working(output, now);
  }

  start(): this {
    this.#working.start();
    this.#working.show("reading models and data", { atOnce: true });
    return this;
  }

  stop(): void {
    this.#working.stop();
  }

  prepare({ what, share }: PreparationEvent): void {
    const run = this.#run;
    this.#working.show(run ? `${this.#title(run)}: ${what}` : what, { share });
  }

  /** Within a step of the run, or beside its steps. */
  goOn(event: ProgressEvent): void {
    const run = this.#run, { detail, share } = howFar(event);
    if (!run) return;
    if (event.phase !== "training") {
      return this.#working.show(`${this.#title(run)}: ${event.phase}`, { detail, share });
    }
    // The bar of steps stays.
    if (this.#step && this.output.interactive) return;
    const step = `step ${event.step} of ${run.steps}`;
    this.#working.show(this.#title(run), {
      detail: detail ? `${step}, ${detail}` : step,
      secondsLeft: this.#secondsLeft(),
    });
  }

  handle(event: CompareEvent): void {
    switch (event.type) {
      case "comparison":
        if (event.done) {
          this.#working.line(`continuing: ${event.done} of ${event.runs.length} runs are done`);
        }
        return;
      case "run":
        return this.#begin(event);
      case "run_event":
        if (event.event.type === "warning") {
          this.#warn(event.folder, event.event.message);
        }
        if (event.event.type === "step") this.#count(event.event);
        return;
      case "run_done":
        return this.#end(event.run);
      case "measuring":
        return this.#working.show(
          `measuring speeds, round ${event.round} of ${event.rounds}: ${event.method}`,
          { atOnce: true },
        );
    }
  }

  /** What holds for every run is shown with the first. */
  #warn(folder: string, message: string): void {
    if (this.#warnings.has(message)) return;
    this.#warnings.add(message);
    this.#working.line(`${folder}: ${message}`);
  }

  #begin({ run, done, left }: Extract<CompareEvent, { type: "run" }>): void {
    this.#run = run;
    this.#step = undefined;
    this.#number = done + 1;
    this.#left = left;
    if (!this.output.interactive) this.#working.line(this.#title(run));
    this.#working.show(this.#title(run), { atOnce: true });
  }

  #count(step: StepEvent): void {
    const run = this.#run!;
    this.#step = step;
    const times = this.#times.get(run.method) ?? new StepTimes();
    this.#times.set(run.method, times);
    times.add(step);
    if (this.output.interactive && this.output.status) {
      this.output.status((columns) => this.#drawn(columns));
    } else {
      this.#working.show(this.#title(run), {
        detail: `step ${step.step} of ${run.steps}, loss ${step.loss.toFixed(4)}`,
        secondsLeft: this.#secondsLeft(),
      });
    }
  }

  #end({ method, seed, lr, purpose, status, message, final_loss, eval_loss }: RunRecord): void {
    const loss = (value: number | undefined) => value?.toFixed(4) ?? "-";
    const tried = purpose === "sweep" ? "tried " : "";
    const figures = `training loss ${loss(final_loss)}, held-out loss ${loss(eval_loss)}`;
    const text = status === "done" ? figures : message ?? `${status}: ${figures}`;
    this.#working.line(`${method}, seed ${seed}, ${tried}rate ${formatRate(lr)}: ${text}`);
  }

  #title({ method, purpose, seed, lr }: ComparedRun): string {
    const what = purpose === "sweep" ? `trying rate ${formatRate(lr)}` : `seed ${seed}`;
    return `run ${this.#number} of ${this.#number + this.#left.length}: ${method}, ${what}`;
  }

  #drawn(columns: number): string {
    const run = this.#run!, { step, loss } = this.#step!;
    const bar = (length: number) => barOf(step / run.steps, length);
    const count = `${step}/${run.steps}`, eta = `ETA ${formatSeconds(this.#secondsLeft() ?? NaN)}`;
    const title = this.#title(run);
    return fitting(columns, [
      `${bar(24)} ${count}  loss ${loss.toFixed(4)}  ${title}  ${eta}`,
      `${bar(10)} ${count}  ${title}  ${eta}`,
      `${count}  ${title}  ${eta}`,
      `${title}  ${eta}`,
      `${count}  ${eta}`,
    ]);
  }

  /** Of all runs; a method that has not trained yet takes what the others take on average. */
  #secondsLeft(): number | undefined {
    const known = [...this.#times.values()].flatMap(({ mean }) => mean ?? []);
    if (!known.length) return undefined;
    const usual = known.reduce((sum, ms) => sum + ms, 0) / known.length;
    const ms = (method: string) => this.#times.get(method)?.mean ?? usual;
    const run = this.#run!;
    const now = (run.steps - (this.#step?.step ?? 0)) * ms(run.method);
    return this.#left.reduce((sum, { steps, method }) => sum + steps * ms(method), now) / 1000;
  }
}
