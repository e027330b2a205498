/** The parts of the server that run jobs. */
import type { ServerOptions } from "../options.ts";
import type { ServerLog } from "../server_log.ts";
import type { EventLog, Models, Room, Storage } from "../services.ts";
import type { TimingsFolder } from "../../train/timings.ts";
import type { JobRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { Moments } from "./moments.ts";
import type { Slots } from "./slots.ts";
import type { StartTraining, TrainingProcess } from "./training_process.ts";

export interface QueueParts {
  readonly store: Store;
  readonly serverLog: ServerLog;
  readonly log: EventLog;
  readonly storage: Storage;
  readonly models: Pick<Models, "get">;
  readonly options: ServerOptions;
  readonly room: Room;
  /** Has the tiles that jobs timed; by default none. */
  readonly timings?: TimingsFolder;
  /** Has what the running job does at the moment; by default of the queue's own. */
  readonly moments?: Moments;
  /** The workers of this machine; by default as many as the options say, on one card. */
  readonly own?: ConstructorParameters<typeof Slots>[0];
  /** The process on another machine that a job of an earlier server has. */
  readonly attach?: (job: JobRecord) => TrainingProcess | undefined;
  /** For tests: what stands in for the launcher of several processes. */
  readonly findLauncher?: () => unknown;
  /** For tests: what stands in for the training process. */
  readonly startTraining?: StartTraining;
}
