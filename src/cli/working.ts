/** Shows what a command is doing while it takes time, so that nothing seems to hang. */
import { barOf, type Draw, fitting } from "./status_line.ts";

/** Where progress is shown. */
export interface ProgressOutput {
  readonly interactive: boolean;
  log(line: string): void;
  /** Shows a line at the bottom of the terminal; undefined removes it. */
  status?(draw: Draw | undefined): void;
}

/** How far something is. */
export interface HowFar {
  /** 0 to 1. */
  readonly share?: number;
  /** More of it in words: `5 of 24 layers`. */
  readonly detail?: string;
  /** How long the rest will take, where that can be known. */
  readonly secondsLeft?: number;
  /** Shown on a terminal before it takes long: the clock stands still meanwhile. */
  readonly atOnce?: boolean;
}

/**
 * Silence in a log after which a line says what is going on: 4 seconds, or a twentieth of the time that
 * it has taken so far, up to half a minute.
 */
const SILENCE_MS = 4000, LONGEST_SILENCE_MS = 30_000, SHARE_OF_TIME = 1 / 20;
/** Interval of the clock that looks for silence, and redraws the line on a terminal. */
const TICK_MS = 500;

/** What is going on; call `stop` when it ends or fails. */
export class Working {
  #what: string | undefined;
  #how: HowFar = {};
  #since = 0;
  #written = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `now` is the clock, in ms. */
  constructor(
    readonly output: ProgressOutput,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#written = now();
  }

  /** Looks at the clock by itself from now on. */
  start(): this {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS);
    return this;
  }

  /** Says what is being done from now on, or how far it is. */
  show(what: string, how: HowFar = {}): void {
    if (what !== this.#what) [this.#what, this.#since] = [what, this.now()];
    this.#how = how;
    this.tick();
  }

  /** Writes a line, which breaks a silence. */
  line(text: string): void {
    this.#written = this.now();
    this.output.log(text);
  }

  /** Shows what takes long; what is done at once is not shown at all. */
  tick(): void {
    if (this.#what === undefined) return;
    const { interactive, status } = this.output;
    if (interactive && status) {
      const { atOnce } = this.#how;
      if (atOnce || this.now() - this.#since >= TICK_MS) status((columns) => this.#drawn(columns));
    } else if (this.now() - this.#written >= this.#silence()) {
      this.line(this.#text());
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = this.#what = undefined;
    this.output.status?.(undefined);
  }

  #silence(): number {
    const part = SHARE_OF_TIME * (this.now() - this.#since);
    return Math.min(LONGEST_SILENCE_MS, Math.max(SILENCE_MS, part));
  }

  /** `loading weights: 38%, 12s`. */
  #text(): string {
    const { share, detail, secondsLeft } = this.#how;
    const seconds = (this.now() - this.#since) / 1000;
    const far = [share === undefined ? undefined : `${Math.floor(100 * share)}%`, detail];
    const known = far.filter((each) => each !== undefined).join(", ");
    return `${this.#what}${known && `: ${known}`}, ${timeOf(seconds, secondsLeft)}`;
  }

  #drawn(columns: number): string {
    const { share } = this.#how, text = this.#text();
    return share === undefined ? text : fitting(columns, [`${barOf(share, 24)} ${text}`, text]);
  }
}

/** Says that something is being done until it is. */
export async function whileDoing<T>(
  output: ProgressOutput,
  what: string,
  work: (report: (how: HowFar) => void) => T | Promise<T>,
  how?: HowFar,
): Promise<T> {
  const working = new Working(output).start();
  try {
    working.show(what, how);
    return await work((how) => working.show(what, how));
  } finally {
    working.stop();
  }
}

/** Says that kernels are being compiled, until all are. */
export function showCompiling(output: ProgressOutput): (done: number, total: number) => void {
  const working = new Working(output);
  return (done, total) => {
    if (done === total) working.stop();
    else working.start().show("compiling kernels", { share: done / total });
  };
}

/** `12s`, or `12s of ~1m30s` where it is known how long the rest will take. */
export function timeOf(seconds: number, left: number | undefined): string {
  const all = left === undefined ? "" : ` of ~${formatSeconds(seconds + left)}`;
  return `${formatSeconds(seconds)}${all}`;
}

/** 3725 seconds: 1h02m; 273,600 seconds: 3d04h. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${pad(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h${pad(Math.floor(whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86_400)}d${pad(Math.floor(whole / 3600) % 24)}h`;
}
