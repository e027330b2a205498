/** Download progress: a bar on a terminal, lines elsewhere; always on stderr. */
import process from "node:process";
import cliProgress from "../packages/cli_progress.ts";
import type { DownloadEvent, DownloadProgressEvent } from "../hub/hub.ts";
import { formatBytes } from "../text.ts";
import type { ProgressOutput } from "./progress.ts";

/** Interval between progress lines in a log. */
const LINE_INTERVAL_MS = 10_000;
const BAR_INTERVAL_MS = 100;

/** Shows the events of a download; call `stop` when it ends or fails. */
export class DownloadProgress {
  readonly #logged = new Set<string>();
  #bar?: cliProgress.SingleBar;
  #last = 0;

  /** `now` is the clock, in ms. */
  constructor(
    readonly output: ProgressOutput,
    readonly now: () => number = () => performance.now(),
  ) {}

  handle(event: DownloadEvent): void {
    switch (event.type) {
      case "download_start": {
        const { files, bytes, spec } = event;
        this.#line(
          `${spec}: downloading ${files} file${files > 1 ? "s" : ""}, ${formatBytes(bytes)}`,
        );
        this.#last = this.now();
        return;
      }
      case "download_progress":
        return this.output.interactive ? this.#draw(event) : this.#logProgress(event);
      case "download_done":
        return this.#line(`${event.spec}: downloaded ${formatBytes(event.bytes)}`);
      case "notice":
        // Otherwise repeated for each file looked up offline.
        if (this.#logged.has(event.message)) return;
        this.#logged.add(event.message);
        return this.#line(`warning: ${event.message}`);
    }
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #draw(event: DownloadProgressEvent): void {
    const payload = {
      file: event.file,
      done: formatBytes(event.received),
      all: formatBytes(event.bytes),
    };
    if (!this.#bar) {
      this.#bar = new cliProgress.SingleBar({
        stream: process.stderr,
        format: "{bar} {percentage}%  {done} of {all}  ETA {eta_formatted}  {file}",
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
        forceRedraw: true,
      }, cliProgress.Presets.shades_classic);
      // Start from what an earlier attempt downloaded, which must not count towards the speed.
      this.#bar.start(event.bytes, event.received, payload);
    }
    if (event.received < event.bytes && this.now() - this.#last < BAR_INTERVAL_MS) return;
    this.#last = this.now();
    this.#bar.update(event.received, payload);
  }

  #logProgress(event: DownloadProgressEvent): void {
    if (this.now() - this.#last < LINE_INTERVAL_MS) return;
    this.#last = this.now();
    const share = Math.floor(100 * event.received / event.bytes);
    this.#line(
      `${event.spec}: ${formatBytes(event.received)} of ${formatBytes(event.bytes)} (${share}%)`,
    );
  }

  #line(text: string): void {
    this.stop(); // otherwise the bar would overwrite the line
    this.output.log(text);
  }
}
