/**
 * Services for routes called without a server: a real store and its log, and parts that fail when
 * used.
 */
import { StoredEventLog } from "../../src/server/events/event_log.ts";
import { EventStreams } from "../../src/server/events/event_stream.ts";
import { serverOptions } from "../../src/server/options.ts";
import { ServerMetrics } from "../../src/server/http/prometheus.ts";
import { ServerLog } from "../../src/server/server_log.ts";
import type { Services } from "../../src/server/services.ts";
import { Store } from "../../src/server/store/store.ts";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";

/** A part whose every use fails with its name. */
function missing<Part extends object>(name: string): Part {
  return new Proxy({} as Part, {
    get: (_, member) => {
      throw new Error(`this test has no services.${name} (asked for ${String(member)})`);
    },
  });
}

/** `options` as on the command line. The store is in memory and closed by `close`. */
export function testServices(
  { options = {}, ...parts }:
    & Partial<Omit<Services, "options">>
    & { readonly options?: Record<string, unknown> } = {},
): Services & { close(): void } {
  const store = parts.store ?? Store.open(":memory:");
  const serverLog = parts.serverLog ?? new ServerLog((line) => console.error(line));
  const log = new StoredEventLog(store, (error) => serverLog.fault(error));
  const streams = new EventStreams({ store, log });
  const storage = { used: () => Promise.resolve(0), free: () => Promise.resolve(2 ** 40) };
  const metrics = new ServerMetrics({ store, log, storage, streams, workers: () => [] });
  return {
    options: serverOptions.parseUnknown(options),
    device: {
      name: "test adapter",
      capabilities: {
        ...CONSUMER_CARD,
        software: true,
        limits: { ...CONSUMER_CARD.limits, maxBufferSize: 2 ** 30 },
      },
    },
    own: [{ worker: "server-1", card: "test adapter" }],
    findLauncher: () => ({ program: "mpirun", family: "openmpi" }),
    serverLog,
    log,
    streams,
    metrics,
    jobs: missing("jobs"),
    rehearsal: { rehearse: () => Promise.resolve({ warnings: [] }) },
    models: missing("models"),
    inference: missing("inference"),
    storage: missing("storage"),
    room: {
      makeRoom: async (bytes) => bytes <= await (parts.storage ?? storage).free(),
    },
    ...parts,
    store,
    close: () => {
      metrics.close();
      store.close();
    },
  };
}
