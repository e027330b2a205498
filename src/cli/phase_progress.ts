/** Progress of work in phases: a bar on a terminal, lines elsewhere; always on stderr. */
import process from "node:process";
import cliProgress from "../packages/cli_progress.ts";
import type { ProgressOutput } from "./progress.ts";

/** Phases longer than this are reported in a log, and again at this interval. */
const LINE_INTERVAL_MS = 5000;

/** Shows one phase after another; call `stop` when the work ends or fails. */
export class PhaseProgress {
  #phase: string | undefined;
  #reportedAt = 0;
  #bar?: cliProgress.SingleBar;

  /** `now` is the clock, in ms. */
  constructor(
    readonly output: ProgressOutput,
    readonly now: () => number = () => performance.now(),
  ) {}

  show(phase: string, done: number, total: number): void {
    const begins = phase !== this.#phase;
    if (begins) {
      this.stop();
      [this.#phase, this.#reportedAt] = [phase, this.now()];
    }
    if (this.output.interactive) return this.#draw(phase, done, total);
    if (this.now() - this.#reportedAt < LINE_INTERVAL_MS) return;
    this.#reportedAt = this.now();
    this.output.log(`${phase}: ${Math.floor(100 * done / total)}%`);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #draw(phase: string, done: number, total: number): void {
    if (this.#bar) return this.#bar.update(done);
    this.#bar = new cliProgress.SingleBar({
      stream: process.stderr,
      format: `{bar} {percentage}%  ETA {eta_formatted}  ${phase}`,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      forceRedraw: true,
    }, cliProgress.Presets.shades_classic);
    this.#bar.start(total, done);
  }
}
