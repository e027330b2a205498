/** A try: a server on an empty data folder, jobs on it, what happens to them, and their end. */
import { death, endFaults } from "./promises.ts";
import {
  Api,
  createJob,
  emptyFolder,
  jobPath,
  type JobRef,
  type Kind,
  KINDS,
  pause,
  startServer,
  type TestServer,
  type TrainingFiles,
  uploadData,
} from "./support.ts";

/** Of every job: some seconds of training. */
const STEPS = 120;

export interface Setting {
  readonly checkout: string;
  /** The data folder, which is emptied. */
  readonly folder: string;
  readonly modelsFolder: string;
  readonly random: () => number;
}

export class Attempt {
  readonly jobs: JobRef[] = [];
  /** Promises that were broken. */
  readonly faults: string[] = [];
  readonly steps = STEPS;
  #server: TestServer;
  #api: Api;

  private constructor(
    readonly setting: Setting,
    server: TestServer,
    readonly files: TrainingFiles,
  ) {
    this.#server = server;
    this.#api = new Api(server.url);
  }

  /** Runs a try; returns the promises that were broken in it, or at the end of its jobs. */
  static async run(
    setting: Setting,
    happen: (attempt: Attempt) => Promise<void>,
  ): Promise<string[]> {
    await emptyFolder(setting.folder);
    const server = await startServer(setting);
    const attempt = new Attempt(setting, server, await uploadData(new Api(server.url)));
    const { faults, jobs } = attempt;
    try {
      await happen(attempt);
      faults.push(...await endFaults(attempt.api, jobs, STEPS));
    } catch (error) {
      faults.push((error as Error).message);
    }
    const died = await death(attempt.server);
    if (died) faults.unshift(died);
    await attempt.server.stop("SIGKILL");
    return faults;
  }

  /** That runs at the moment. */
  get server(): TestServer {
    return this.#server;
  }

  get api(): Api {
    return this.#api;
  }

  /** Starts a server, once the one before has ended. */
  async restart(): Promise<void> {
    this.#server = await startServer(this.setting);
    this.#api = new Api(this.#server.url);
  }

  /** A number from 0 to `below`. */
  upTo(below: number): number {
    return below * this.setting.random();
  }

  /** Whether one of two ways, by chance. */
  get half(): boolean {
    return this.setting.random() < 0.5;
  }

  /** Creates a job of some kind, with these hyperparameters changed. */
  async start(change: Readonly<Record<string, unknown>> = {}, kind?: Kind): Promise<void> {
    kind ??= KINDS[Math.floor(this.upTo(KINDS.length))];
    this.jobs.push(await createJob(this.api, kind, this.files, { steps: STEPS, ...change }));
  }

  /** Resolves when the first job has made that step, or has ended before. */
  async untilStep(step: number): Promise<void> {
    for (;;) {
      const { progress, status } = await this.api.get(jobPath(this.jobs[0]));
      if (progress?.step >= step || status === "succeeded") return;
      await pause(5);
    }
  }
}
