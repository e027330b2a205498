/** Builds the parts of the server, and defines a shutdown order that loses nothing. */
import { EventStreams } from "./events/event_stream.ts";
import { StoredEventLog } from "./events/event_log.ts";
import { logJobs } from "./events/job_log.ts";
import { saveCheckpoint } from "./jobs/checkpoint_models.ts";
import { Moments } from "./jobs/moments.ts";
import { JobQueue } from "./jobs/queue.ts";
import type { QueueParts } from "./jobs/queue_parts.ts";
import { Offers } from "./pool/offers.ts";
import { Pool } from "./pool/pool.ts";
import { InferenceHost } from "./inference/host.ts";
import { checkExposure } from "./http/exposure.ts";
import { Rehearsal } from "./admission/rehearsal.ts";
import { ModelFolder } from "./models/model_folder.ts";
import type { ServerOptions } from "./options.ts";
import { assertPermissible } from "./processes/deno_process.ts";
import { findLauncher } from "./processes/find_launcher.ts";
import { probeCards, probeDevice } from "./processes/probe.ts";
import { ServerMetrics } from "./http/prometheus.ts";
import { ownPlaces } from "./jobs/slots.ts";
import { Retention } from "./jobs/retention.ts";
import type { ServerLog } from "./server_log.ts";
import type { Services } from "./services.ts";
import { toWorkers } from "./protocol/worker.ts";
import { DataFolder } from "./storage/data_folder.ts";
import { Store } from "./store/store.ts";
import { TimingsFolder } from "../train/timings.ts";
import { join } from "../packages/std_path.ts";

const GIB = 2 ** 30;

export interface Parts {
  readonly services: Services;
  /** Ends streams, the running job (after a checkpoint) and inference. */
  stop(): Promise<void>;
  /** Closes the database and unlocks the folder. The services must not be used afterwards. */
  close(): Promise<void>;
}

/** Throws a `UserError` if something they need is missing, after closing what was opened. */
export async function openParts(
  options: ServerOptions,
  serverLog: ServerLog,
): Promise<Parts> {
  assertPermissible([options.dataFolder, options.modelsFolder]);
  await using stack = new AsyncDisposableStack();
  const quota = options.diskQuota === undefined ? undefined : options.diskQuota * GIB;
  const storage = stack.adopt(
    await DataFolder.open(options.dataFolder, { quota }),
    (folder) => folder.close(),
  );
  const store = stack.adopt(
    Store.open(storage.database, (error, id) => serverLog.fault(error, { id })),
    (store) => store.close(),
  );
  checkExposure(options, store.keys.anyActive());
  const device = await probeDevice(), cards = await probeCards(device);
  const own = ownPlaces(options.workers, device.name, cards);

  const log = new StoredEventLog(store, (error) => serverLog.fault(error));
  stack.defer(logJobs(log, serverLog));
  const moments = new Moments();
  const streams = new EventStreams({ store, log, moments });
  const leases: { pool?: Pool } = {};
  const metrics = stack.adopt(
    new ServerMetrics({
      store,
      log,
      storage,
      streams,
      workers: () => toWorkers({ own, store, pool: leases.pool }).data,
    }),
    (metrics) => metrics.close(),
  );
  const models = new ModelFolder({ options, store, storage, inference: () => inference });
  const inference: InferenceHost = new InferenceHost({
    options,
    serverLog,
    models,
    store,
    own,
    materialize: (model) =>
      saveCheckpoint(model, { options, store, serverLog, log, storage, models, room: retention }),
  });
  const retention = new Retention({ options, store, storage }, {
    onFault: (line) => serverLog.error(line),
  });
  const timings = new TimingsFolder(join(storage.path, "timings"));
  const parts: QueueParts = {
    options,
    store,
    serverLog,
    log,
    storage,
    models,
    room: retention,
    moments,
    timings,
    own,
    attach: (job) => leases.pool?.attach(job),
  };
  const jobs = new JobQueue(parts, {
    // A job's plan assumes that no model is loaded for inference.
    onStart: () => inference.unload(),
    onSuccess: (job) => retention.pruneFinished(job),
  });
  if (options.queue !== undefined) {
    const onFault = (message: string) => serverLog.error(`queue: ${message}`);
    const offers = await Offers.open({ url: options.queue, lease: options.lease, onFault });
    leases.pool = stack.adopt(new Pool({ ...parts, offers, jobs }), (pool) => pool.close());
  }
  await retention.start();
  stack.defer(() => retention.stop());

  const kept = stack.move();
  return {
    services: {
      options,
      device,
      own,
      findLauncher,
      serverLog,
      store,
      log,
      streams,
      metrics,
      jobs,
      pool: leases.pool,
      rehearsal: new Rehearsal({ options, models, storage, store }),
      models,
      inference,
      storage,
      room: retention,
    },
    stop: async () => {
      leases.pool?.stop(); // before its leases are left
      await Promise.all([streams.close(), jobs.stop(), inference.stop()]);
    },
    close: () => kept.disposeAsync(),
  };
}
