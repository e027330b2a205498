/** Download progress: a bar on a terminal, lines elsewhere; always on stderr. */
import type { DownloadEvent, DownloadProgressEvent } from "../hub/hub.ts";
import { formatBytes } from "../text.ts";
import { barOf, fitting } from "./status_line.ts";
import { formatSeconds, type ProgressOutput } from "./working.ts";

/** Interval between progress lines in a log. */
const LINE_INTERVAL_MS = 10_000;
const BAR_INTERVAL_MS = 100;

/** Shows the events of a download; call `stop` when it ends or fails. */
export class DownloadProgress {
  readonly #logged = new Set<string>();
  /** Where this attempt began: what an earlier one downloaded does not count towards the speed. */
  #began?: { readonly received: number; readonly at: number };
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
    if (!this.#began) return;
    this.#began = undefined;
    this.output.status?.(undefined);
  }

  #draw({ received, bytes, file }: DownloadProgressEvent): void {
    const now = this.now();
    const { received: before, at } = this.#began ??= { received, at: now };
    if (received < bytes && now - this.#last < BAR_INTERVAL_MS) return;
    this.#last = now;
    const left = (bytes - received) * (now - at) / (received - before) / 1000;
    const share = received / bytes, eta = `ETA ${formatSeconds(left)}`;
    const far = `${Math.floor(100 * share)}%  ${formatBytes(received)} of ${formatBytes(bytes)}`;
    this.output.status?.((columns) =>
      fitting(columns, [
        `${barOf(share, 24)} ${far}  ${eta}  ${file}`,
        `${barOf(share, 24)} ${far}  ${eta}`,
        `${barOf(share, 10)} ${far}  ${eta}`,
        `${far}  ${eta}`,
      ])
    );
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
    this.stop();
    this.output.log(text);
  }
}
