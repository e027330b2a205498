/**
 * What a run keeps of itself beside its figures, for whoever reads its folder later: what it was asked
 * for and planned (run.json), what its model wrote (samples.jsonl), and how alike the successive
 * subspaces of each matrix were (refreshes.jsonl). None of it may end the run.
 */
import { dataNames } from "../data/data.ts";
import { writeJson } from "../files/atomic.ts";
import { isThere } from "../files/stat.ts";
import { wasGiven } from "../options/schema.ts";
import { join } from "../packages/std_path.ts";
import { PRODUCT, VERSION } from "../product.ts";
import type { DataReport, PlanEvent, SampleEvent, TrainingEvent } from "./events.ts";
import { Metrics } from "./metrics.ts";
import type { RunOptions } from "./recipe.ts";
import type { RefreshRecord } from "./submitted_steps.ts";

export const RUN_FILE = "run.json";
export const SAMPLES_FILE = "samples.jsonl";
export const REFRESHES_FILE = "refreshes.jsonl";

/** run.json. */
export interface RunRecordFile {
  /** Of the layout of the file. */
  readonly version: 1;
  readonly program: string;
  /** Of this sitting, ISO 8601. */
  readonly started_at: string;
  /** All options; data in memory by its description. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Names of those that were given. */
  readonly given: readonly string[];
  readonly plan: Omit<PlanEvent, "type">;
  readonly data?: DataReport;
}

/** A line of samples.jsonl. */
export type SampleRecord = Omit<SampleEvent, "type">;

/** Writes these files as events pass by. */
export class RunRecorder implements Disposable {
  readonly #files = new Map<string, Metrics<{ readonly step: number }>>();
  #afterStep = 0;
  #run: RunRecordFile | undefined;

  /** `takeRefreshes` returns what has been recorded since it was called last. */
  constructor(
    private readonly options: RunOptions,
    private readonly takeRefreshes: () => readonly RefreshRecord[],
  ) {}

  /** Writes what an event brings. */
  async handle(event: TrainingEvent): Promise<void> {
    try {
      if (event.type === "plan") await this.#begin(event);
      else if (event.type === "data") await this.#writeRun({ data: dropType(event) });
      else if (event.type === "sample") await this.#append(SAMPLES_FILE, [dropType(event)]);
      else if (event.type === "step") await this.#append(REFRESHES_FILE, this.takeRefreshes());
    } catch {
      // A disk that is full is reported by what the run cannot do without.
    }
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) file[Symbol.dispose]();
    this.#files.clear();
  }

  async #begin(event: PlanEvent): Promise<void> {
    this.#afterStep = event.resumed_step;
    await this.#writeRun({ plan: dropType(event) });
    for (const name of [SAMPLES_FILE, REFRESHES_FILE]) {
      const path = join(this.options.output, name);
      if (!await isThere(path)) continue;
      // What another run has left, or what this one had reached after the checkpoint.
      if (this.#afterStep) await this.#open(name);
      else await Deno.remove(path);
    }
  }

  async #writeRun(change: Partial<RunRecordFile>): Promise<void> {
    const { options } = this, all = Object.entries(options);
    this.#run = {
      version: 1,
      program: `${PRODUCT} ${VERSION}`,
      started_at: new Date().toISOString(),
      options: Object.fromEntries(all.map(([name, value]) => [name, plain(name, value)])),
      given: all.map(([name]) => name).filter((name) => wasGiven(options, name)),
      ...this.#run,
      ...change,
    } as RunRecordFile;
    await writeJson(join(options.output, RUN_FILE), this.#run);
  }

  async #append(name: string, lines: readonly { readonly step: number }[]): Promise<void> {
    if (lines.length) await (await this.#open(name)).append(lines);
  }

  async #open(name: string): Promise<Metrics<{ readonly step: number }>> {
    const known = this.#files.get(name);
    if (known) return known;
    const file = await Metrics.open<{ readonly step: number }>(
      this.options.output,
      this.#afterStep,
      name,
    );
    this.#files.set(name, file);
    return file;
  }
}

function dropType<Event extends { readonly type: string }>({ type: _, ...rest }: Event) {
  return rest;
}

function plain(name: string, value: unknown): unknown {
  return name === "data" || name === "evalData"
    ? dataNames(value as Parameters<typeof dataNames>[0])
    : value;
}
